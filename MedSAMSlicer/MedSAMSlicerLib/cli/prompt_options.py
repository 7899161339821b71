"""Prompts of the command line: texts and numbers in, a checked `StackPrompt` out."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from ..engine.errors import InputError
from ..engine.oriented_box import OrientedBox, index_box
from ..engine.prompts import Box, StackPrompt
from ..engine.results import SliceResult
from ..engine.stack import AXES
from ..io.roi_file import read_roi
from .slice_options import index_ranges, key_rectangles, kinds_of, points_of, slices_from_options


def check_prompt_options(options: argparse.Namespace) -> None:
    """Refuse what can be refused without the image.

    Raises:
        InputError: no prompt, several prompts, or one that is turned over or cannot be read.
    """
    on_slice = [name for name in ("rect", "mask") if getattr(options, name) is not None]
    unplaced = [text for text in options.point if ":" not in text]
    given = [f"--{name}" for name in ("box", "roi") if getattr(options, name) is not None]
    in_3d_box = len(given) == 1
    # Within a 3D box a slice may get points and a mask, but no second rectangle.
    if options.slice is not None and not (in_3d_box and options.rect is None and (on_slice or unplaced)):
        given.append(f"--slice with --{on_slice[0]}" if on_slice else "--slice")
    elif options.slice is None and on_slice and not (in_3d_box and options.rect is None):
        given.append(f"--{on_slice[0]}")
    elif options.point and not given:
        given.append("--point")
    if len(given) != 1:
        found = f"{', '.join(given[:-1])} and {given[-1]} were given" if given else "none was given"
        raise InputError(f"one prompt is needed, {found}: give --box, --roi, or --slice with --rect")
    if options.slice is None and on_slice:
        raise InputError(f"--slice and --{on_slice[0]} belong together: give both")
    if options.slice is not None and not on_slice and not unplaced:
        raise InputError("--slice and --rect belong together: give both, or --point or --mask with --slice")
    if options.key and options.slice is None and (in_3d_box or not options.point):
        raise InputError("--key adds to --slice and --rect, or to --point: give these first")
    if options.box is not None:
        index_ranges("--box", options.box, AXES)
    key_rectangles(options)
    points = points_of(options)
    if points and not any(positive for *_, positive in points) and kinds_of(options) == {"points"}:
        raise InputError("all points are negative: add a positive point, a box or a mask")


def prompt_from_options(
    options: argparse.Namespace,
    dimensions: tuple[int, int, int],
    ijk_to_ras: np.ndarray,
    axis: str,
    mask: np.ndarray | None = None,
) -> StackPrompt:
    """The prompt in slices along `axis` of a volume.

    Args:
        options: checked by `check_prompt_options`.
        dimensions: voxels along I, J, K.
        ijk_to_ras: 4x4, for ROI files.
        mask: bool (slices, rows, columns) along `axis`, what --mask holds.

    Raises:
        InputError: the prompt lies outside the volume, a positive point outside the 3D box, or the ROI file cannot be
            used.
    """
    given = slices_from_options(options, dimensions, axis, mask)
    if options.box is None and options.roi is None:
        return StackPrompt({index: one.as_prompt() for index, one in given.items()})
    if options.roi is not None:
        roi = read_roi(options.roi)
        ranges = index_box(roi.corners, ijk_to_ras, dimensions, roi.name)
    else:
        i, j, k = index_ranges("--box", options.box, AXES)
        ranges = (i, j, k)
        for name, (low, high), size in zip(AXES, ranges, dimensions, strict=True):
            if low < 0 or high >= size:
                raise InputError(
                    f"--box {name}0 {name}1 = {low} {high} lies outside the volume: {name} runs from 0 to {size - 1}"
                )
    along = AXES.index(axis)
    (a0, a1), (b0, b1) = (pair for n, pair in enumerate(ranges) if n != along)
    whole = StackPrompt.from_box3d(*ranges[along], Box(a0, b0, a1, b1))
    if not given:
        return whole
    _check_points_within(options, whole.box3d)
    for one in given.values():
        # A point alone may mean anything around it; the 3D box says which.
        one.box = whole.box3d
    return StackPrompt({index: one.as_prompt() for index, one in given.items()}, whole.slice_range, whole.box3d)


def _check_points_within(options: argparse.Namespace, bounds: Box | None) -> None:
    """Refuse positive points that the 3D box rules out. Negative ones may lie anywhere: the object is not there."""
    assert bounds is not None
    for text, _index, a, b, positive in points_of(options):
        for letter, value, low, high in (("A", a, bounds.x0, bounds.x1), ("B", b, bounds.y0, bounds.y1)):
            # Indices are those of voxel centres; the box ends half a voxel further out.
            if positive and not low - 0.5 <= value <= high + 0.5:
                raise InputError(
                    f"--point {text} lies outside the 3D box: {letter} = {value:g}, where the box runs from {low:g} to "
                    f"{high:g}; move the point or the box"
                )


def limit_from_options(
    options: argparse.Namespace, dimensions: tuple[int, int, int], ijk_to_ras: np.ndarray, axis: str
) -> Callable[[SliceResult], SliceResult]:
    """Cuts results of slices along `axis` to the ROI, where it is slanted and its box of voxels would hold more.

    Args:
        options: checked by `check_prompt_options`.
        dimensions: voxels along I, J, K.
        ijk_to_ras: 4x4.

    Raises:
        InputError: the ROI file cannot be used.
    """
    if options.roi is None:
        return lambda found: found
    roi = read_roi(options.roi)
    solid = OrientedBox.from_corners(roi.corners, ijk_to_ras, dimensions, roi.name)
    if solid is None:
        return lambda found: found
    along = AXES.index(axis)
    columns, rows = (n for n in range(3) if n != along)

    def limited(found: SliceResult) -> SliceResult:
        to_ijk = np.zeros((4, 4))
        to_ijk[columns, 0] = to_ijk[rows, 1] = to_ijk[along, 2] = to_ijk[3, 3] = 1
        to_ijk[along, 3] = found.index
        return solid.limited(found, ijk_to_ras @ to_ijk)

    return limited
