"""``medsam-slicer compare``: two segmentations of a patient, of one image or of two times."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

import numpy as np

from ..engine.errors import InputError
from ..engine.stack import array_axis
from ..handoff.compare import compare
from ..handoff.grid import Grid
from ..handoff.measure import AXIS_NOTE, Measurements, measure
from ..handoff.read_segments import SegmentSet, read_segments
from ..handoff.recist import response
from ..handoff.source_series import SourceSeries, read_source_series
from ..handoff.tables import COMPARE_COLUMNS, comparison_json, comparison_rows, response_json, text_table
from ..io.output_files import write_atomically
from ..io.tables import write_table
from .console import print_line
from .handoff_options import (
    SEGMENTATION_HELP,
    add_axis_option,
    axis_of_options,
    check_outputs,
    chosen,
    print_notes,
)
from .log_options import add_log_options

DESCRIPTION = (
    "Compares segments of the same name. Of one image: Dice, surface Dice at 2 mm and 95 % Hausdorff distance. Of two times "
    "(--recist): change of volume and diameter, and the response by RECIST 1.1 of all segments as target lesions."
)
_SAME_DIRECTION = np.cos(np.radians(20))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("first", metavar="FIRST", help=SEGMENTATION_HELP)
    parser.add_argument("second", metavar="SECOND", help="segmentation of the same image, or of a later one")
    parser.add_argument("--dicom", metavar="FOLDER", help="folder with the DICOM series of the first segmentation")
    parser.add_argument("--dicom-second", metavar="FOLDER", help="the same for the second (default: that of the first)")
    parser.add_argument(
        "--segment", action="append", default=[], metavar="SEGMENT", help="compare this segment only; repeatable"
    )
    parser.add_argument(
        "--recist", action="store_true", help="two times: response of the targets, no overlap; GTVn... are lymph nodes"
    )
    parser.add_argument(
        "--nadir",
        type=float,
        metavar="MM",
        help="smallest sum of diameters since the first (default: that of the first)",
    )
    add_axis_option(parser)
    parser.add_argument("--output", metavar="OUT", help="table (.csv) or numbers that are not rounded (.json)")
    parser.add_argument("--quiet", action="store_true", help="do not print the table")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Compare, print and write.

    Raises:
        MedSAMError: no file was written.
    """
    inputs = [options.first, options.second, options.dicom, options.dicom_second]
    check_outputs({"--output": options.output}, inputs, {"--output": (".csv", ".json")})
    if options.quiet and not options.output:
        raise InputError("--quiet without --output does nothing: give --output")
    if options.nadir is not None and (not options.recist or options.nadir < 0):
        raise InputError("--nadir is a sum of diameters in mm and belongs to --recist: give both")
    series = None if options.dicom is None else read_source_series(options.dicom)
    later = series if options.dicom_second is None else read_source_series(options.dicom_second)
    first = read_segments(options.first, series)
    # Without overlap to compute, an empty segmentation says that all lesions are gone.
    second = read_segments(options.second, later, None if options.recist else first.grid, may_be_empty=options.recist)
    if options.segment:
        first = SegmentSet(tuple(chosen(first, options.segment)), first.grid, first.notes)
        # A target that has disappeared is missing at the later time.
        left = tuple(segment for segment in second.segments if segment.name in options.segment)
        second = SegmentSet(left, second.grid, second.notes)
    axis = axis_of_options(options, series)
    later_axis = axis_of_options(options, later if options.recist else series)  # without --recist both have one grid
    measured = [
        {one.name: measure(one.name, one.mask, found.grid, axis=along) for one in found.segments}
        for found, along in ((first, axis), (second, later_axis))
    ]
    common = measured[0].keys() & measured[1].keys()
    if not options.recist and not common:
        raise InputError(
            "the segmentations have no segment of the same name: rename one, or compare times with --recist"
        )
    masks = tuple({one.name: one.mask for one in found.segments if one.name in common} for found in (first, second))
    compared = compare(measured[0], measured[1], None if options.recist else (masks[0], masks[1]), first.grid)
    found = None
    if options.recist:
        sums = [{name: one.recist_mm for name, one in of_time.items()} for of_time in measured]
        found = response(sums[0], sums[1], options.nadir)
    rows = comparison_rows(compared, found)
    if options.output and options.output.lower().endswith(".json"):
        entries = {"segments": [comparison_json(one) for one in compared]}
        if found is not None:
            entries["targets"] = [response_json(found)]
        text = json.dumps(entries, indent=2, allow_nan=False) + "\n"
        write_atomically(options.output, lambda path: path.write_text(text, encoding="utf-8"))
    elif options.output:
        write_table(options.output, COMPARE_COLUMNS, rows)
    if not options.quiet:
        doubts = [] if series is None or later is None else _doubts_of_patient(series, later)
        if options.recist:
            doubts += _doubts_of_slices(measured, (first.grid, second.grid))
        print_notes([*first.notes, *second.notes, *doubts])
        print_line(text_table(COMPARE_COLUMNS, rows))


def _doubts_of_patient(first: SourceSeries, second: SourceSeries) -> list[str]:
    ids = [str(series.first.get("PatientID") or "").strip() for series in (first, second)]
    return ["the two series have different patient IDs: check that they are of one patient"] if ids[0] != ids[1] else []


def _doubts_of_slices(measured: Sequence[Mapping[str, Measurements]], grids: Sequence[Grid]) -> list[str]:
    """Why diameters at two times may not compare."""
    found = [one for of_time in measured for one in of_time.values()]
    doubts = [AXIS_NOTE + ", --axis states others"] if any(AXIS_NOTE in one.notes for one in found) else []
    normals = []
    for of_time, grid in zip(measured, grids, strict=True):
        for one in list(of_time.values())[:1]:
            across = grid.ijk_to_lps[:3, 2 - array_axis(one.axis)]
            normals.append(across / np.linalg.norm(across))
    if len(normals) == 2 and abs(normals[0] @ normals[1]) < _SAME_DIRECTION:
        doubts.append("the slices of the two times lie at an angle, so their diameters do not compare")
    return doubts
