"""``medsam-slicer measure``: volume, diameters, surface and image values of segments."""

from __future__ import annotations

import argparse
import json

from ..engine.errors import InputError
from ..handoff.measure import measure
from ..handoff.read_segments import read_segments, values_of_image, values_of_series
from ..handoff.tables import MEASURE_COLUMNS, measurement_json, measurement_row, text_table
from ..io.output_files import write_atomically
from ..io.tables import write_table
from .console import print_line
from .handoff_options import (
    SEGMENTATION_HELP,
    add_axis_option,
    add_dicom_option,
    add_series_option,
    axis_of_options,
    check_outputs,
    chosen,
    print_notes,
    series_of_options,
)
from .log_options import add_log_options

DESCRIPTION = (
    "Measures segments: volume, longest diameter on an original slice and its longest perpendicular (as RECIST 1.1 does), "
    "surface, number of parts, and the values of the image in them: HU, or SUV where the DICOM headers tell how."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("segmentation", nargs="+", metavar="SEGMENTATION", help=SEGMENTATION_HELP)
    image = parser.add_mutually_exclusive_group()
    image.add_argument("--image", metavar="FILE", help="image whose values are measured")
    add_dicom_option(image, "whose values are measured")
    add_series_option(parser)
    add_axis_option(parser)
    parser.add_argument(
        "--segment", action="append", default=[], metavar="SEGMENT", help="measure this segment only; repeatable"
    )
    parser.add_argument("--output", metavar="OUT", help="table (.csv) or numbers that are not rounded (.json)")
    parser.add_argument("--quiet", action="store_true", help="do not print the table")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Measure, print and write.

    Raises:
        MedSAMError: no file was written.
    """
    inputs = [*options.segmentation, options.image, options.dicom]
    check_outputs({"--output": options.output}, inputs, {"--output": (".csv", ".json")})
    if options.quiet and not options.output:
        raise InputError("--quiet without --output does nothing: give --output")
    series = series_of_options(options)
    values = values_of_series(series) if series else values_of_image(options.image) if options.image else None
    found = read_segments(options.segmentation, series, None if values is None else values.grid)
    axis = axis_of_options(options, series)
    measured = [
        measure(segment.name, segment.mask, found.grid, axis=axis)
        if values is None
        else measure(segment.name, segment.mask, found.grid, values.voxels, values.unit, values.factor, axis)
        for segment in chosen(found, options.segment)
    ]
    rows = [measurement_row(one) for one in measured]
    entries = [measurement_json(one) for one in measured]
    columns = list(MEASURE_COLUMNS)
    if series is not None and axis == "K":  # viewers and reports name slices by it
        columns.insert(columns.index("slice") + 1, "instance")
        for one, row, entry in zip(measured, rows, entries, strict=True):
            entry["instance"] = series.instance_number(one.slice)
            row["instance"] = "" if entry["instance"] is None else str(entry["instance"])
    if options.output and options.output.lower().endswith(".json"):
        text = json.dumps(entries, indent=2, allow_nan=False) + "\n"
        write_atomically(options.output, lambda path: path.write_text(text, encoding="utf-8"))
    elif options.output:
        write_table(options.output, columns, rows)
    if not options.quiet:
        print_notes([*found.notes, *(values.notes if values else ())])
        print_line(text_table(columns, rows))
