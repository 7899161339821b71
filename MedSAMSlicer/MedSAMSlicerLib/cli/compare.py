"""``medsam-slicer compare``: two segmentations of a patient, of one image or of two times."""

from __future__ import annotations

import argparse
import json

from ..engine.errors import InputError
from ..handoff.compare import compare
from ..handoff.read_segments import read_segments
from ..handoff.source_series import SourceSeries, read_source_series
from ..handoff.tables import COMPARE_COLUMNS, comparison_json, comparison_rows, response_json, text_table
from ..io.output_files import write_atomically
from ..io.tables import write_table
from .console import print_line
from .handoff_options import (
    SEGMENTATION_HELP,
    add_axis_option,
    check_outputs,
    print_notes,
)
from .log_options import add_log_options

DESCRIPTION = (
    "Compares segments of the same name, or of any name where each file has one. Of one image: Dice, surface Dice at 2 mm "
    "and 95 % Hausdorff distance. Of two times (--recist): change of volume and diameter, and the response by RECIST 1.1 of "
    "all segments as target lesions; a target without contours at the second time is gone."
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
    second = read_segments(options.second, later, may_be_empty=options.recist)
    found = compare(
        first, second, recist=options.recist, nadir_mm=options.nadir, names=options.segment, axis=options.axis
    )
    rows = comparison_rows(found.segments, found.response)
    if options.output and options.output.lower().endswith(".json"):
        entries = {"segments": [comparison_json(one) for one in found.segments]}
        if found.response is not None:
            entries["targets"] = [response_json(found.response)]
        text = json.dumps(entries, indent=2, allow_nan=False) + "\n"
        write_atomically(options.output, lambda path: path.write_text(text, encoding="utf-8"))
    elif options.output:
        write_table(options.output, COMPARE_COLUMNS, rows)
    if not options.quiet:
        doubts = [] if series is None or later is None else _doubts_of_patient(series, later)
        print_notes([*first.notes, *second.notes, *doubts, *found.notes])
        print_line(text_table(COMPARE_COLUMNS, rows))


def _doubts_of_patient(first: SourceSeries, second: SourceSeries) -> list[str]:
    ids = [str(series.first.get("PatientID") or "").strip() for series in (first, second)]
    return ["the two series have different patient IDs: check that they are of one patient"] if ids[0] != ids[1] else []
