"""``medsam-slicer export``: segments as RTSTRUCT, DICOM SEG and structured report."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..engine.errors import InputError
from ..handoff.read_segments import origin_notes, read_segments, renamed, values_of_series
from ..handoff.segments import KINDS, Review
from ..handoff.write_dicom import check_dicom_outputs, dicom_writers
from ..io.output_files import write_together
from .console import print_line
from .handoff_options import (
    SEGMENTATION_HELP,
    add_dicom_option,
    add_series_option,
    check_outputs,
    chosen,
    name_warnings,
    pairs,
    print_notes,
    series_of_options,
)
from .log_options import add_log_options

DESCRIPTION = (
    "Writes segments as DICOM files that refer to the series that they were drawn on. Contours lie in the planes of its "
    "slices. Segments on another grid are resampled, with a note; segments that lie outside are refused."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("segmentation", nargs="+", metavar="SEGMENTATION", help=SEGMENTATION_HELP)
    add_dicom_option(parser, "that the segments were drawn on", required=True)
    add_series_option(parser)
    add_dicom_outputs(parser)
    options = parser.add_argument_group("segments")
    options.add_argument(
        "--segment", action="append", default=[], metavar="SEGMENT", help="write this segment only; repeatable"
    )
    options.add_argument(
        "--name", action="append", default=[], metavar="SEGMENT=NAME", help="name of a segment in the files; repeatable"
    )
    options.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="SEGMENT=TYPE",
        help=f"{', '.join(KINDS)} (default: what the name suggests); repeatable",
    )
    options.add_argument(
        "--anatomy",
        action="append",
        default=[],
        metavar="SEGMENT=REGION",
        help="region or organ, such as Lung or Abdomen, for SEG and report; repeatable",
    )
    options.add_argument(
        "--reviewed",
        action="store_true",
        help="a person has looked at every slice that needs it (default: as the segmentation says)",
    )
    options.add_argument("--reviewed-by", default="", metavar="NAME", help="who has, if it is to stand in the file")
    options.add_argument("--reviewed-on", default="", metavar="YYYY-MM-DD", help="when, if it is to stand in the file")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    add_log_options(parser)


def add_dicom_outputs(parser: argparse.ArgumentParser) -> None:
    """Add ``--rtstruct`` and ``--seg``, and for `export` ``--sr``."""
    outputs = parser.add_argument_group("DICOM files, one or more of")
    outputs.add_argument("--rtstruct", metavar="OUT.dcm", help="RT structure set, for planning systems")
    outputs.add_argument("--seg", metavar="OUT.dcm", help="DICOM segmentation, for archives and viewers")
    outputs.add_argument("--sr", metavar="OUT.dcm", help="structured report of measurements; needs --seg")


def run(options: argparse.Namespace) -> None:
    """Read the segments and write the files.

    Raises:
        MedSAMError: no file was written.
    """
    outputs = {"--rtstruct": options.rtstruct, "--seg": options.seg, "--sr": options.sr}
    if not any(outputs.values()):
        raise InputError("no output is chosen: give --rtstruct, --seg or --sr")
    check_dicom_outputs(options.seg, options.sr)
    if options.anatomy and not options.seg:
        raise InputError("--anatomy stands in DICOM SEG and reports only: add --seg, or leave it out")
    check_outputs(outputs, [*options.segmentation, options.dicom], dict.fromkeys(outputs, (".dcm",)))
    review = Review(True, options.reviewed_by, options.reviewed_on)
    reviewed = options.reviewed or bool(options.reviewed_by or options.reviewed_on)
    series = series_of_options(options)
    assert series is not None  # --dicom is required
    found = read_segments(options.segmentation, series)
    if found.empty and not options.segment:
        raise InputError(
            f"{found.empty[0]} is empty: contour it, or name the segments that are to be written with --segment"
        )
    segments = chosen(found, options.segment)
    segments = renamed(
        segments,
        pairs("--name", options.name, segments),
        {name: kind.upper() for name, kind in pairs("--type", options.type, segments).items()},
        pairs("--anatomy", options.anatomy, segments),
    )
    if reviewed:
        segments = [replace(segment, review=review) for segment in segments]
    values = values_of_series(series) if options.sr else None
    writers = dicom_writers(
        series, segments, rtstruct=options.rtstruct, seg=options.seg, report=options.sr, values=values
    )
    write_together(writers)
    if not options.quiet:
        value_notes = values.notes if values else ()
        print_notes([*found.notes, *value_notes, *origin_notes(segments), *name_warnings(segments)])
        names = ", ".join(f"{segment.name} ({segment.kind}, {segment.review})" for segment in segments)
        print_line(f"Written: {', '.join(writers)}: {names}")
