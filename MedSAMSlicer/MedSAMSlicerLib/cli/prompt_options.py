"""Prompts on the command line: options that give them, and their conversion to a `VolumePrompt`."""

from __future__ import annotations

import argparse
import re

import numpy as np

from ..engine.errors import InputError
from ..engine.masks import occupied_slices
from ..engine.prompts import Box
from ..engine.stack import AXES, array_axis, default_axis
from ..engine.volume.oriented_box import IndexBox, OrientedBox, roi_boxes
from ..engine.volume.volume_prompt import VolumePrompt, volume_prompt
from ..io.image import Image
from ..io.roi_file import read_roi
from ..io.segmentations import read_label

_POINT = re.compile(r"(?:(?P<slice>\d+):)?(?P<a>-?\d+(?:\.\d+)?),(?P<b>-?\d+(?:\.\d+)?),(?P<sign>[+-])", re.ASCII)


def add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that give a prompt."""
    prompt = parser.add_argument_group("prompt, one of")
    prompt.add_argument(
        "--box", nargs=6, type=int, metavar=("I0", "I1", "J0", "J1", "K0", "K1"), help="3D box in voxel indices"
    )
    prompt.add_argument("--roi", metavar="FILE.mrk.json", help="a Slicer Markups ROI, any rotation")
    prompt.add_argument(
        "--slice", type=int, metavar="N", help="slice of --rect, --point and --mask; the extent of the object is found"
    )
    prompt.add_argument(
        "--rect",
        nargs=4,
        type=int,
        metavar=("A0", "A1", "B0", "B1"),
        help="rectangle on that slice: A and B are the two other axes in the order I, J, K",
    )
    prompt.add_argument(
        "--key", action="append", default=[], metavar="N:A0,A1,B0,B1", help="a rectangle on a further slice; repeatable"
    )
    prompt.add_argument(
        "--point",
        action="append",
        default=[],
        metavar="[N:]A,B,+",
        help="a point in (+) or outside (-) the object, on --slice or on slice N; repeatable; on slices without a rectangle "
        "for models that take points",
    )
    prompt.add_argument(
        "--mask",
        metavar="FILE",
        help="labelmap on the image's grid: its part on --slice is a rough mask; for models that take masks",
    )
    prompt.add_argument(
        "--key-mask",
        metavar="FILE",
        help="labelmap on the image's grid: its part on every slice that holds something is final, and guides the slices "
        "around it; alone or with another prompt; for every model",
    )
    prompt.add_argument(
        "--key-mask-slices",
        metavar="N,N,...",
        help="only these slices of --key-mask; one that is empty there says that the object is not on it",
    )


def check_prompt_options(options: argparse.Namespace) -> None:
    """Check everything that can be checked without the image.

    Raises:
        InputError: there is no prompt or more than one, or a prompt is reversed or malformed.
    """
    on_slice = [name for name in ("rect", "mask") if getattr(options, name) is not None]
    unplaced = [text for text in options.point if ":" not in text]
    given = [f"--{name}" for name in ("box", "roi") if getattr(options, name) is not None]
    in_3d_box = len(given) == 1
    # In a 3D box, a slice may have points and a mask, but no second rectangle.
    if options.slice is not None and not (in_3d_box and options.rect is None and (on_slice or unplaced)):
        given.append(f"--slice with --{on_slice[0]}" if on_slice else "--slice")
    elif options.slice is None and on_slice and not (in_3d_box and options.rect is None):
        given.append(f"--{on_slice[0]}")
    elif options.point and not given:
        given.append("--point")
    _listed_slices(options)
    if not given and options.slice is None and not options.key and options.key_mask is not None:
        return
    if len(given) != 1:
        found = f"{', '.join(given[:-1])} and {given[-1]} were given" if given else "none was given"
        raise InputError(f"one prompt is needed, {found}: give --box, --roi, --key-mask, or --slice with --rect")
    if options.slice is None and on_slice:
        raise InputError(f"--slice and --{on_slice[0]} belong together: give both")
    if options.slice is not None and not on_slice and not unplaced:
        raise InputError("--slice and --rect belong together: give both, or --point or --mask with --slice")
    if options.key and options.slice is None and (in_3d_box or not options.point):
        raise InputError("--key adds to --slice and --rect, or to --point: give these first")
    if options.box is not None:
        _index_ranges("--box", options.box, AXES)
    _rectangles(options)
    points = _points(options)
    if points and not any(positive for *_, positive in points) and prompt_kinds(options) == {"points"}:
        raise InputError("all points are negative: add a positive point, a box or a mask")


def prompt_kinds(options: argparse.Namespace) -> set[str]:
    """Kinds of prompt that the options give to a model, among "box", "points" and "mask"."""
    boxes = options.box is not None or options.roi is not None or options.rect is not None or options.key
    return {
        name for name, given in (("box", boxes), ("points", options.point), ("mask", options.mask is not None)) if given
    }


def prompt_from_options(options: argparse.Namespace, image: Image) -> VolumePrompt:
    """The prompt that the options give for an image.

    Args:
        options: checked by `check_prompt_options`.

    Raises:
        InputError: the prompt lies outside the image, a slice has two rectangles, a positive point lies outside the 3D
            box, or the ROI file or mask cannot be used.
    """
    dimensions = image.dimensions
    axis = options.axis or default_axis(image.spacing_ijk, image.ijk_to_ras, image.dimensions)
    across = AXES.index(axis)
    columns, rows = (n for n in range(3) if n != across)
    mask = None if options.mask is None else _mask_on_slice(options, image, axis)
    key_masks = None if options.key_mask is None else _key_masks(options, image, axis)
    roi, box = _boxes(options, image)
    key_slices: dict[int, Box] = {}
    for option, index, (a0, a1, b0, b1) in _rectangles(options):
        _check_range(f"{'--slice' if option == '--rect' else option}: slice {index}", index, index, across, dimensions)
        _check_range(f"{option}: A0 A1 = {a0} {a1}", a0, a1, columns, dimensions)
        _check_range(f"{option}: B0 B1 = {b0} {b1}", b0, b1, rows, dimensions)
        if index in key_slices:
            raise InputError(f"{option}: slice {index} has a rectangle already: give one for each slice")
        key_slices[index] = Box(a0, b0, a1, b1)
    points, labels = [], []
    for text, index, a, b, positive in _points(options):
        _check_range(f"--point {text}: slice {index}", index, index, across, dimensions)
        for letter, value, n in (("A", a, columns), ("B", b, rows)):
            _check_range(f"--point {text}: {letter} = {value:g}", value, value, n, dimensions, margin=0.5)
            if box is not None and positive and not box[n][0] - 0.5 <= value <= box[n][1] + 0.5:
                raise InputError(
                    f"--point {text} lies outside the 3D box: {letter} = {value:g}, where the box runs from "
                    f"{box[n][0]} to {box[n][1]}; move the point or the box"
                )
        point = [0.0, 0.0, 0.0]
        point[across], point[columns], point[rows] = index, a, b
        points.append(point)
        labels.append(positive)
    return volume_prompt(
        dimensions,
        axis,
        roi,
        box=None if roi is not None else box,
        key_slices=key_slices,
        points=points or None,
        point_labels=labels or None,
        mask=mask,
        key_masks=key_masks,
    )


def _boxes(
    options: argparse.Namespace, image: Image
) -> tuple[tuple[IndexBox, OrientedBox | None] | None, IndexBox | None]:
    """The ROI of --roi, and the ranges of its voxels or of --box; None for what is not given."""
    if options.roi is not None:
        roi = read_roi(options.roi)
        boxes = roi_boxes(roi.corners, image.ijk_to_ras, image.dimensions, roi.name)
        return boxes, boxes[0]
    if options.box is None:
        return None, None
    box = _index_ranges("--box", options.box, AXES)
    for n, (low, high) in enumerate(box):
        _check_range(f"--box {AXES[n]}0 {AXES[n]}1 = {low} {high}", low, high, n, image.dimensions)
    return None, (box[0], box[1], box[2])


def _mask_on_slice(options: argparse.Namespace, image: Image, axis: str) -> np.ndarray:
    """bool (k, j, i): the part of --mask that lies on --slice."""
    whole = read_label(options.mask, None, like=image)
    k, j, i = whole.shape
    _check_range(f"--slice: slice {options.slice}", options.slice, options.slice, AXES.index(axis), (i, j, k))
    slices = np.moveaxis(whole, array_axis(axis), 0)
    if not slices[options.slice].any():
        held = occupied_slices(slices)
        raise InputError(
            f"--mask: {options.mask} is empty on slice {options.slice} (it holds something on {held[0]} to {held[-1]}): "
            "give --slice one of these"
        )
    part = np.zeros_like(whole)
    np.moveaxis(part, array_axis(axis), 0)[options.slice] = slices[options.slice]
    return part


def _key_masks(options: argparse.Namespace, image: Image, axis: str) -> dict[int, np.ndarray]:
    """Slice index -> (rows, columns) part of --key-mask on the slices that are listed, or that hold something."""
    whole = read_label(options.key_mask, None, like=image)
    slices = np.moveaxis(whole, array_axis(axis), 0)
    listed = _listed_slices(options)
    for index in listed or []:
        _check_range(f"--key-mask-slices: slice {index}", index, index, AXES.index(axis), image.dimensions)
    return {index: slices[index] for index in (occupied_slices(slices).tolist() if listed is None else listed)}


def _listed_slices(options: argparse.Namespace) -> list[int] | None:
    """The slices of --key-mask-slices; None without it."""
    text = options.key_mask_slices
    if text is None:
        return None
    if options.key_mask is None:
        raise InputError("--key-mask-slices and --key-mask belong together: give both")
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--key-mask-slices {text!r} cannot be read: write slices with commas, for example 12,15,20")
    return [int(part) for part in parts]


def _check_range(
    what: str, low: float, high: float, axis: int, dimensions: tuple[int, int, int], margin: float = 0.0
) -> None:
    last = dimensions[axis] - 1
    if low < -margin or high > last + margin:
        raise InputError(f"{what} lies outside the volume: {AXES[axis]} runs from 0 to {last}")


def _rectangles(options: argparse.Namespace) -> list[tuple[str, int, tuple[int, int, int, int]]]:
    """(option, slice, rectangle) of --slice with --rect and of every --key."""
    found = []
    if options.rect is not None:
        a, b = _index_ranges("--rect", options.rect, ("A", "B"))
        found.append(("--rect", options.slice, (*a, *b)))
    for text in options.key:
        try:
            index, rectangle = text.split(":")
            numbers = [int(part) for part in rectangle.split(",")]
            a, b = _index_ranges(f"--key {text}", numbers, ("A", "B"))
            found.append((f"--key {text}", int(index), (*a, *b)))
        except ValueError:
            raise InputError(
                f"--key {text!r} cannot be read: write N:A0,A1,B0,B1, for example 12:40,80,35,70"
            ) from None
    return found


def _points(options: argparse.Namespace) -> list[tuple[str, int, float, float, bool]]:
    """(text, slice, A, B, whether it lies in the object) of every --point."""
    found = []
    for text in options.point:
        match = _POINT.fullmatch(text)
        if match is None:
            raise InputError(f"--point {text!r} cannot be read: write A,B,+ or A,B,- or N:A,B,+, for example 40,35,+")
        if match["slice"] is None and options.slice is None:
            raise InputError(f"--point {text} does not say on which slice: give --slice, or write N:{text}")
        index = options.slice if match["slice"] is None else int(match["slice"])
        found.append((text, index, float(match["a"]), float(match["b"]), match["sign"] == "+"))
    return found


def _index_ranges(option: str, numbers: list[int], names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Pairs of lower and upper index. Raises InputError if a pair is reversed, ValueError if numbers are missing."""
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(pairs) != len(names):
        raise ValueError(option)
    for name, (low, high) in zip(names, pairs, strict=True):
        if high < low:
            raise InputError(f"{option}: {name}0 = {low} is above {name}1 = {high}: give the lower index first")
    return pairs
