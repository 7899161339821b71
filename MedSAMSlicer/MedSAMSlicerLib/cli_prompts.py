"""Prompts of the command line: texts and numbers in, a checked `StackPrompt` out."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from .engine.errors import InputError
from .engine.prompts import Box, StackPrompt
from .engine.results import SliceResult
from .engine.stack import AXES

IndexBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def check_prompt_options(options: argparse.Namespace) -> None:
    """Refuse what can be refused without the image.

    Raises:
        InputError: no prompt, several prompts, or one that is turned over or cannot be read.
    """
    rectangle = [f"--{name}" for name in ("slice", "rect") if getattr(options, name) is not None]
    given = [f"--{name}" for name in ("box", "roi") if getattr(options, name) is not None]
    given += [" with ".join(rectangle)] if rectangle else []
    if len(given) != 1:
        found = f"{', '.join(given[:-1])} and {given[-1]} were given" if given else "none was given"
        raise InputError(f"one prompt is needed, {found}: give --box, --roi, or --slice with --rect")
    if (options.slice is None) != (options.rect is None):
        raise InputError("--slice and --rect belong together: give both")
    if options.key and options.slice is None:
        raise InputError("--key adds to --slice and --rect: give these first")
    if options.box is not None:
        _ranges("--box", options.box, AXES)
    _key_rectangles(options)


def prompt_from_options(
    options: argparse.Namespace, dimensions: tuple[int, int, int], ijk_to_ras: np.ndarray, axis: str
) -> StackPrompt:
    """The prompt in slices along `axis` of a volume.

    Args:
        options: checked by `check_prompt_options`.
        dimensions: voxels along I, J, K.
        ijk_to_ras: 4x4, for ROI files.

    Raises:
        InputError: the prompt lies outside the volume, or the ROI file cannot be used.
    """
    if options.slice is not None:
        return _prompt_from_rectangles(options, dimensions, axis)
    if options.roi is not None:
        from .scene.roi import roi_to_index_box
        from .scene.roi_file import load_roi

        ranges = roi_to_index_box(load_roi(options.roi), ijk_to_ras, dimensions)
    else:
        i, j, k = _ranges("--box", options.box, AXES)
        ranges = (i, j, k)
        for name, (low, high), size in zip(AXES, ranges, dimensions, strict=True):
            if low < 0 or high >= size:
                raise InputError(
                    f"--box {name}0 {name}1 = {low} {high} lies outside the volume: {name} runs from 0 to {size - 1}"
                )
    along = AXES.index(axis)
    (a0, a1), (b0, b1) = (pair for n, pair in enumerate(ranges) if n != along)
    return StackPrompt.from_box3d(*ranges[along], Box(a0, b0, a1, b1))


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
    from .scene.roi_file import load_roi
    from .scene.roi_solid import RoiSolid

    solid = RoiSolid.of(load_roi(options.roi), ijk_to_ras, dimensions)
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


def _prompt_from_rectangles(options: argparse.Namespace, dimensions: tuple[int, int, int], axis: str) -> StackPrompt:
    along = AXES.index(axis)
    first, second = (n for n in range(3) if n != along)
    keys: dict[int, Box] = {}
    for option, index, (a0, a1, b0, b1) in _key_rectangles(options):
        if not 0 <= index < dimensions[along]:
            where = "--slice" if option == "--rect" else option
            raise InputError(
                f"{where}: slice {index} lies outside the volume: {axis} runs from 0 to {dimensions[along] - 1}"
            )
        for letter, low, high, n in (("A", a0, a1, first), ("B", b0, b1, second)):
            if low < 0 or high >= dimensions[n]:
                raise InputError(
                    f"{option}: {letter}0 {letter}1 = {low} {high} lies outside the volume: {AXES[n]} runs from 0 to "
                    f"{dimensions[n] - 1}"
                )
        if index in keys:
            raise InputError(f"{option}: slice {index} has a rectangle already: give one for each slice")
        keys[index] = Box(a0, b0, a1, b1)
    return StackPrompt(keys=keys)


def _key_rectangles(options: argparse.Namespace) -> list[tuple[str, int, tuple[int, int, int, int]]]:
    """(option it came from, slice, rectangle) of --slice with --rect and of every --key."""
    found = []
    if options.slice is not None:
        a, b = _ranges("--rect", options.rect, ("A", "B"))
        found.append(("--rect", options.slice, (*a, *b)))
    for text in options.key:
        try:
            index, rectangle = text.split(":")
            numbers = [int(part) for part in rectangle.split(",")]
            a, b = _ranges(f"--key {text}", numbers, ("A", "B"))
            found.append((f"--key {text}", int(index), (*a, *b)))
        except ValueError:
            raise InputError(
                f"--key {text!r} cannot be read: write N:A0,A1,B0,B1, for example 12:40,80,35,70"
            ) from None
    return found


def _ranges(option: str, numbers: list[int], names: tuple[str, ...]) -> list[tuple[int, int]]:
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(pairs) != len(names):
        raise ValueError(option)
    for name, (low, high) in zip(names, pairs, strict=True):
        if high < low:
            raise InputError(f"{option}: {name}0 = {low} is above {name}1 = {high}: give the lower index first")
    return pairs
