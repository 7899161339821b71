"""``medsam-slicer margin``: a clinical or planning target volume around a segment."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from ..engine.provenance import PROVENANCE_TAG
from ..handoff.margins import at_edge, grow, margin_provenance
from ..handoff.read_segments import read_segments
from ..handoff.roi_names import warning
from ..handoff.segments import COLOURS, kind_of
from ..io.image import Image
from ..io.output_files import check_output
from ..io.segmentations import SEGMENTATION_ENDINGS, write_segmentation
from .console import print_line
from .handoff_options import SEGMENTATION_HELP, add_dicom_option, add_series_option, print_notes, series_of_options
from .log_options import add_log_options

DESCRIPTION = (
    "Grows a segment by a margin in the patient's directions, on any grid. The margin can leave out other segments or stay "
    "inside of them; the segment itself stays whole."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("segmentation", nargs="+", metavar="SEGMENTATION", help=SEGMENTATION_HELP)
    parser.add_argument(
        "--margin",
        nargs="+",
        type=float,
        required=True,
        metavar="MM",
        help="one margin, or six: left, right, anterior, posterior, superior, inferior",
    )
    parser.add_argument("--output", required=True, metavar="OUT", help="segmentation with the new segment")
    parser.add_argument("--segment", metavar="SEGMENT", help="segment to grow (default: the only one)")
    parser.add_argument("--name", default="PTV", help="name of the new segment (default: PTV)")
    parser.add_argument(
        "--avoid", action="append", default=[], metavar="SEGMENT", help="the margin does not enter it; repeatable"
    )
    parser.add_argument(
        "--inside", action="append", default=[], metavar="SEGMENT", help="the margin does not leave it; repeatable"
    )
    add_dicom_option(parser, "that the segments were drawn on")
    add_series_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Grow the segment and write it.

    Raises:
        MedSAMError: no file was written.
    """
    inputs = [*options.segmentation, *([options.dicom] if options.dicom else [])]
    check_output(options.output, inputs, SEGMENTATION_ENDINGS)
    series = series_of_options(options)
    found = read_segments(options.segmentation, series)
    if options.segment is None and len(found.segments) != 1:
        names = ", ".join(segment.name for segment in found.segments)
        raise InputError(f"there are several segments ({names}): give --segment")
    segment = found.segments[0] if options.segment is None else found.named(options.segment)
    grown = grow(
        segment.mask,
        found.grid,
        options.margin,
        avoid=[found.named(name).mask for name in options.avoid],
        inside=[found.named(name).mask for name in options.inside],
    )
    matrix = found.grid.ijk_to_lps
    k_mm, j_mm, i_mm = found.grid.spacing_kji
    x, y, z = (float(mm) for mm in matrix[:3, 3])
    direction = matrix[:3, :3] / np.array([i_mm, j_mm, k_mm])
    geometry = Image(grown, (i_mm, j_mm, k_mm), (x, y, z), direction, None, Path(options.segmentation[0]))
    provenance = margin_provenance(segment, options.margin, options.avoid, options.inside)
    colour = COLOURS[{"CTV": 1, "PTV": 2}.get(kind_of(options.name), 3)]
    write_segmentation(options.output, grown, geometry, options.name, colour, {PROVENANCE_TAG: provenance})
    if not options.quiet:
        print_notes([*found.notes, *([text] if (text := warning(options.name)) else [])])
        if at_edge(grown):
            print_notes([f"{options.name} reaches the edge of the image: its margin may be cut off there"])
        before, after = (np.count_nonzero(mask) * found.grid.voxel_ml for mask in (segment.mask, grown))
        print_line(f"{options.name}: {after:.3g} ml, from {before:.3g} ml of {segment.name}; written: {options.output}")
