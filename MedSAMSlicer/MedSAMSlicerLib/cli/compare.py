"""``medsam-slicer compare``: two segmentations of a patient, of one image or of two times."""

from __future__ import annotations

import argparse
import json

from ..engine.errors import InputError
from ..handoff.compare import compare
from ..handoff.measure import measure
from ..handoff.read_segments import SegmentSet, read_segments
from ..handoff.recist import response
from ..handoff.source_series import read_source_series
from ..handoff.tables import COMPARE_COLUMNS, comparison_json, comparison_rows, response_json, text_table
from ..io.output_files import write_atomically
from ..io.tables import write_table
from .console import print_line
from .handoff_options import SEGMENTATION_HELP, check_outputs, chosen, print_notes
from .log_options import add_log_options

DESCRIPTION = (
    "Compares segments of the same name. Of one image: Dice, surface Dice at 2 mm and 95 % Hausdorff distance. Of two times "
    "(--recist): change of volume and diameter, and the response by RECIST 1.1 of all segments as target lesions."
)


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
    second = read_segments(options.second, later, None if options.recist else first.grid)
    if options.segment:
        first = SegmentSet(tuple(chosen(first, options.segment)), first.grid, first.notes)
        # A target that has disappeared is missing at the later time.
        left = tuple(segment for segment in second.segments if segment.name in options.segment)
        second = SegmentSet(left, second.grid, second.notes)
    measured = [
        {one.name: measure(one.name, one.mask, found.grid, axis="K" if of_series else None) for one in found.segments}
        for found, of_series in ((first, series), (second, later))
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
        print_notes([*first.notes, *second.notes])
        print_line(text_table(COMPARE_COLUMNS, rows))
