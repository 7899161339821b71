"""Prompts as the Python API takes them: plain tuples and mappings, converted to a `StackPrompt`.

Coordinates are those of `engine.prompts`: slice pixels, x along the columns and y along the rows, from 0 at the centre
of the first pixel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import InputError, one_line
from .i18n import tr as _
from .prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from .stack import AXES, array_axis

BoxArgument = Sequence[Sequence[int]]
"""((i0, i1), (j0, j1), (k0, k1)): first and last voxel along I, J and K, included."""
KeySliceArgument = Box | SlicePrompt | Sequence[float] | Mapping[str, Any]
"""(x0, y0, x1, y1), edges included; a mapping with "box", "points" and "mask"; or a `Box` or `SlicePrompt`."""

_KINDS = ("box", "points", "mask")


def shown(value: object) -> str:
    """An argument in the text of an error: on one line, also if it is an array, and not too long."""
    return one_line(repr(value), 80)


def prompt_from_box(box: BoxArgument, axis: str, dimensions: tuple[int, int, int]) -> StackPrompt:
    """A 3D box for slices along `axis`.

    Args:
        box: ((i0, i1), (j0, j1), (k0, k1)), first and last voxel along I, J and K, included.
        axis: "I", "J" or "K".
        dimensions: number of voxels along I, J and K.

    Raises:
        InputError: `box` has another form, is reversed or lies outside the volume, or the axis is unknown.
    """
    array_axis(axis)
    try:
        ranges = [(_whole(low), _whole(high)) for low, high in box]
    except (TypeError, ValueError):
        ranges = []
    if len(ranges) != 3:
        raise InputError(_("box {box} is no 3D box: give ((i0, i1), (j0, j1), (k0, k1))").format(box=shown(box)))
    for name, (low, high), size in zip(AXES, ranges, dimensions, strict=True):
        if high < low:
            raise InputError(
                _("box: {name}0 = {low} is above {name}1 = {high}: give the lower index first").format(
                    name=name, low=low, high=high
                )
            )
        if low < 0 or high >= size:
            raise InputError(
                _("box: {name} = {low} to {high} lies outside the volume: {name} runs from 0 to {last}").format(
                    name=name, low=low, high=high, last=size - 1
                )
            )
    along = AXES.index(axis)
    (x0, x1), (y0, y1) = (pair for n, pair in enumerate(ranges) if n != along)
    return StackPrompt.from_box3d(*ranges[along], Box(x0, y0, x1, y1))


def prompt_from_key_slices(
    key_slices: Mapping[int, KeySliceArgument], slice_range: Sequence[int] | None = None
) -> StackPrompt:
    """Prompts on single slices.

    Args:
        key_slices: slice index -> box, points and mask on that slice, in one of the forms of `KeySliceArgument`.
        slice_range: first and last slice that may hold the object, included; None: as far as the object extends.

    Raises:
        InputError: there is no key slice, a prompt has another form, or a key slice lies outside `slice_range`.
    """
    try:
        given = {_whole(index): slice_prompt_from(value) for index, value in dict(key_slices).items()}
    except (TypeError, ValueError):
        raise InputError(
            _("key slices {given} cannot be read: give a mapping such as {{20: (x0, y0, x1, y1)}}").format(
                given=shown(key_slices)
            )
        ) from None
    first_and_last = None
    if slice_range is not None:
        try:
            first, last = (_whole(index) for index in slice_range)
        except (TypeError, ValueError):
            raise InputError(
                _("slice range {given} cannot be read: give the first and the last slice").format(
                    given=shown(slice_range)
                )
            ) from None
        first_and_last = (first, last)
    return StackPrompt(given, first_and_last)


def slice_prompt_from(value: KeySliceArgument) -> SlicePrompt:
    """The prompt on one slice.

    Args:
        value: (x0, y0, x1, y1); or a mapping with one or more of "box": (x0, y0, x1, y1), "points": (x, y, positive)
            for each point, and "mask": (rows, columns) array, nonzero in the object; or a `Box` or a `SlicePrompt`.

    Raises:
        InputError: the value has another form, or says nowhere where the object is.
    """
    if isinstance(value, SlicePrompt):
        return value
    if not isinstance(value, Mapping):
        return SlicePrompt(box=_box(value))
    unknown = [name for name in value if name not in _KINDS]
    if unknown:
        raise InputError(
            _("a key slice has no {name!r}: give {names}").format(name=unknown[0], names=", ".join(_KINDS))
        )
    box, points, mask = (value.get(name) for name in _KINDS)
    return SlicePrompt(
        None if box is None else _box(box),
        None if points is None else _points(points),
        None if mask is None else _mask(mask),
    )


def _whole(value: Any) -> int:
    """A whole number of any type. Raises TypeError or ValueError if it is none."""
    if isinstance(value, str) or int(value) != value:
        raise ValueError(value)
    return int(value)


def _box(value: Box | Sequence[float]) -> Box:
    if isinstance(value, Box):
        return value
    try:
        x0, y0, x1, y1 = (float(edge) for edge in value)
    except (TypeError, ValueError):
        raise InputError(_("{given} is no box on a slice: give (x0, y0, x1, y1)").format(given=shown(value))) from None
    return Box(x0, y0, x1, y1)


def _points(value: Points | Iterable[Sequence[float]]) -> Points:
    if isinstance(value, Points):
        return value
    try:
        given = [(float(x), float(y), bool(positive)) for x, y, positive in value]
    except (TypeError, ValueError):
        raise InputError(
            _("points {given} cannot be read: give (x, y, True) in the object or (x, y, False) outside").format(
                given=shown(value)
            )
        ) from None
    return Points(tuple((x, y) for x, y, _positive in given), tuple(positive for _x, _y, positive in given))


def _mask(value: MaskPrompt | np.ndarray) -> MaskPrompt:
    return value if isinstance(value, MaskPrompt) else MaskPrompt(mask=np.asarray(value) != 0)
