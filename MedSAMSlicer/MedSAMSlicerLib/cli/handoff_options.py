"""Options that the subcommands for hand-off share, and how they are read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..engine.errors import InputError
from ..engine.stack import AXES
from ..handoff.read_segments import SegmentSet
from ..handoff.roi_names import warning
from ..handoff.segments import Segment
from ..handoff.source_series import SourceSeries, read_source_series
from ..io.output_files import check_apart, check_output
from .console import print_line

SEGMENTATION_HELP = ".seg.nrrd, a labelmap (.nrrd, .nii.gz, .mha), or with --dicom an RTSTRUCT or SEG (.dcm)"


def add_dicom_option(parser: argparse._ActionsContainer, what: str, *, required: bool = False) -> None:
    """Add ``--dicom FOLDER``."""
    parser.add_argument("--dicom", required=required, metavar="FOLDER", help=f"folder with the DICOM series {what}")


def add_series_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--series TEXT`` and ``--frame N``, which `series_of_options` reads."""
    parser.add_argument(
        "--series",
        metavar="TEXT",
        help="number or UID of the series in --dicom, or part of its description, if there are several",
    )
    parser.add_argument(
        "--frame", type=int, metavar="N", help="time point or repetition of the series, from 0, if it has several"
    )


def add_axis_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--axis``, which `axis_of_options` reads."""
    parser.add_argument(
        "--axis", choices=AXES, help="axis across the original slices, on which diameters are measured (default: K)"
    )


def axis_of_options(options: argparse.Namespace, series: SourceSeries | None) -> str | None:
    """Axis across the slices, see `measure`: that of the option or the series; None if it is not known."""
    return options.axis or (None if series is None else "K")


def series_of_options(options: argparse.Namespace) -> SourceSeries | None:
    """The series of ``--dicom``, ``--series`` and ``--frame``; None if the first is not given.

    Raises:
        InputError: one of the others alone, or as `read_source_series` does.
    """
    if options.dicom is None:
        if options.series is not None or options.frame is not None:
            raise InputError("--series and --frame choose in --dicom: give its folder, too")
        return None
    return read_source_series(options.dicom, options.series, options.frame)


def pairs(option: str, texts: Sequence[str], segments: Sequence[Segment]) -> dict[str, str]:
    """``SEGMENT=VALUE`` of a repeatable option; without ``SEGMENT=`` the value is that of the only segment.

    Raises:
        InputError: a text has another form, or a segment is named twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        segment, equals, value = text.rpartition("=")
        if not equals and len(segments) == 1:
            segment = segments[0].name
        if not segment or not value:
            raise InputError(f"{option} {text} is not understood: give SEGMENT=VALUE")
        if segment in found:
            raise InputError(f"{option} names {segment} twice: give it once")
        found[segment] = value
    return found


def chosen(found: SegmentSet, names: Sequence[str]) -> list[Segment]:
    """Segments of the given names in that order; all of them if no name is given."""
    return [found.named(name) for name in names] if names else list(found.segments)


def check_outputs(
    outputs: Mapping[str, str | None], inputs: Sequence[str | None], endings: Mapping[str, tuple[str, ...]]
) -> None:
    """Check that the outputs of the options can be written and replace no input."""
    check_apart(outputs)
    read: list[Path | str] = [path for path in inputs if path]
    for option, path in outputs.items():
        if path:
            check_output(path, read, endings[option])


def print_notes(notes: Sequence[str]) -> None:
    """Print what a user should read."""
    for note in notes:
        print_line(f"Note: {note}")


def name_warnings(segments: Sequence[Segment]) -> list[str]:
    """Warnings about names that break the rules of TG-263."""
    return [text for segment in segments if (text := warning(segment.name))]
