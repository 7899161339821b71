"""What the command line says of single slices: rectangles, points and a mask, gathered slice by slice."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field

import numpy as np

from ..engine.errors import InputError
from ..engine.prompts import Box, MaskPrompt, Points, SlicePrompt
from ..engine.stack import AXES

_POINT = re.compile(r"(?:(?P<slice>\d+):)?(?P<a>-?\d+(?:\.\d+)?),(?P<b>-?\d+(?:\.\d+)?),(?P<sign>[+-])", re.ASCII)


@dataclass
class GivenOnSlice:
    """What was given on one slice so far."""

    box: Box | None = None
    points: list[tuple[float, float, bool]] = field(default_factory=list)
    mask: np.ndarray | None = None

    def as_prompt(self) -> SlicePrompt:
        """All of it together. Raises InputError if it says nothing of where the object is."""
        points = None
        if self.points:
            points = Points(tuple((x, y) for x, y, _ in self.points), tuple(sign for _, _, sign in self.points))
        return SlicePrompt(self.box, points, None if self.mask is None else MaskPrompt(mask=self.mask))


def kinds_of(options: argparse.Namespace) -> set[str]:
    """Those of "box", "points" and "mask" that the options hold."""
    boxes = options.box is not None or options.roi is not None or options.rect is not None or options.key
    return {
        name for name, given in (("box", boxes), ("points", options.point), ("mask", options.mask is not None)) if given
    }


def slices_from_options(
    options: argparse.Namespace, dimensions: tuple[int, int, int], axis: str, mask: np.ndarray | None
) -> dict[int, GivenOnSlice]:
    """Slice index -> what was given there.

    Args:
        options: checked by `check_prompt_options`.
        dimensions: voxels along I, J, K.
        mask: bool (slices, rows, columns) along `axis`, what --mask holds.

    Raises:
        InputError: something lies outside the volume, a slice has two rectangles, or the mask is empty on its slice.
    """
    along = AXES.index(axis)
    across = [n for n in range(3) if n != along]
    given: dict[int, GivenOnSlice] = {}

    def on(index: int, where: str) -> GivenOnSlice:
        if not 0 <= index < dimensions[along]:
            raise InputError(
                f"{where}: slice {index} lies outside the volume: {axis} runs from 0 to {dimensions[along] - 1}"
            )
        return given.setdefault(index, GivenOnSlice())

    for option, index, (a0, a1, b0, b1) in key_rectangles(options):
        here = on(index, "--slice" if option == "--rect" else option)
        for letter, low, high, n in (("A", a0, a1, across[0]), ("B", b0, b1, across[1])):
            if low < 0 or high >= dimensions[n]:
                raise InputError(
                    f"{option}: {letter}0 {letter}1 = {low} {high} lies outside the volume: {AXES[n]} runs from 0 to "
                    f"{dimensions[n] - 1}"
                )
        if here.box is not None:
            raise InputError(f"{option}: slice {index} has a rectangle already: give one for each slice")
        here.box = Box(a0, b0, a1, b1)
    for text, index, a, b, positive in points_of(options):
        here = on(index, f"--point {text}")
        for letter, value, n in (("A", a, across[0]), ("B", b, across[1])):
            if not -0.5 <= value <= dimensions[n] - 0.5:
                raise InputError(
                    f"--point {text}: {letter} = {value:g} lies outside the volume: {AXES[n]} runs from 0 to "
                    f"{dimensions[n] - 1}"
                )
        here.points.append((a, b, positive))
    if mask is not None:
        here = on(options.slice, "--slice")
        if not mask[options.slice].any():
            held = np.flatnonzero(mask.any(axis=(1, 2)))
            raise InputError(
                f"--mask: {options.mask} is empty on slice {options.slice} (it holds something on {held[0]} to "
                f"{held[-1]}): give --slice one of these"
            )
        here.mask = np.ascontiguousarray(mask[options.slice])
    return given


def key_rectangles(options: argparse.Namespace) -> list[tuple[str, int, tuple[int, int, int, int]]]:
    """(option it came from, slice, rectangle) of --slice with --rect and of every --key. Raises InputError."""
    found = []
    if options.rect is not None:
        a, b = index_ranges("--rect", options.rect, ("A", "B"))
        found.append(("--rect", options.slice, (*a, *b)))
    for text in options.key:
        try:
            index, rectangle = text.split(":")
            numbers = [int(part) for part in rectangle.split(",")]
            a, b = index_ranges(f"--key {text}", numbers, ("A", "B"))
            found.append((f"--key {text}", int(index), (*a, *b)))
        except ValueError:
            raise InputError(
                f"--key {text!r} cannot be read: write N:A0,A1,B0,B1, for example 12:40,80,35,70"
            ) from None
    return found


def points_of(options: argparse.Namespace) -> list[tuple[str, int, float, float, bool]]:
    """(text, slice, A, B, whether it lies in the object) of every --point. Raises InputError."""
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


def index_ranges(option: str, numbers: list[int], names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Pairs of lower and upper index. Raises InputError if one is turned over, ValueError if there are too few."""
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(pairs) != len(names):
        raise ValueError(option)
    for name, (low, high) in zip(names, pairs, strict=True):
        if high < low:
            raise InputError(f"{option}: {name}0 = {low} is above {name}1 = {high}: give the lower index first")
    return pairs
