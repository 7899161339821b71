"""Prompts as scripts give them, in voxel indices, tuples and mappings, converted to prompts on slices along one index axis.

Voxel indices (i, j, k) count from 0 at the centre of the first voxel; ranges include both ends. Along K a slice has
columns i and rows j, along J columns i and rows k, along I columns j and rows k; see `stack`. On a slice, x counts
columns and y counts rows, likewise from 0 at the centre of the first pixel; see `prompts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, shown
from ..i18n import tr as _
from ..masks import bounding_box, occupied_slices
from ..prompts import Box, KeyMask, MaskPrompt, Points, SlicePrompt, StackPrompt
from ..results import SliceResult
from ..stack import AXES, array_axis, slice_to_ijk
from .oriented_box import IndexBox, OrientedBox

BoxArgument = Sequence[Sequence[int]]
"""((i0, i1), (j0, j1), (k0, k1)): first and last voxel along I, J and K, included."""
KeySliceArgument = Box | SlicePrompt | Sequence[float] | Mapping[str, Any]
"""(x0, y0, x1, y1), edges included; a mapping with "box", "points" and "mask"; or a `Box` or `SlicePrompt`."""
KeyMasksArgument = np.ndarray | Mapping[int, np.ndarray]
"""Labelmap (k, j, i), nonzero in the object, or slice index -> (rows, columns) mask."""

_KINDS = ("box", "points", "mask")
# Between two phases of breathing, tumours move by some millimetres.
FOLLOWED_MM = 5.0


@dataclass(frozen=True)
class VolumePrompt:
    """Prompt for one object in a volume.

    Attributes:
        axis: "I", "J" or "K": the index axis along which slices are counted.
        stack: prompt on the slices along `axis`, in slice pixels.
        oriented_box: box that no mask leaves, if its axes differ from the volume's; None: the stack prompt says all.
    """

    axis: str
    stack: StackPrompt
    oriented_box: OrientedBox | None = None

    def limited(self, result: SliceResult, ijk_to_world: np.ndarray) -> SliceResult:
        """The result of a slice with its mask cut to the oriented box, if there is one. Key masks are not cut.

        Args:
            ijk_to_world: (4, 4) from voxel indices to the world in which the box lies, RAS mm.
        """
        given = self.stack.slices.get(result.index)
        if self.oriented_box is None or (given is not None and given.key_mask is not None):
            return result
        return self.oriented_box.limited(result, ijk_to_world @ slice_to_ijk(self.axis, result.index))


def volume_prompt(
    dimensions: tuple[int, int, int],
    axis: str,
    roi: tuple[IndexBox, OrientedBox | None] | None = None,
    *,
    box: BoxArgument | None = None,
    key_slices: Mapping[int, KeySliceArgument] | None = None,
    points: Sequence[Sequence[float]] | np.ndarray | None = None,
    point_labels: Sequence[bool] | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    key_masks: KeyMasksArgument | None = None,
    slice_range: Sequence[int] | None = None,
) -> VolumePrompt:
    """Combine prompts for one object.

    Args:
        dimensions: number of voxels along I, J, K.
        axis: "I", "J" or "K".
        roi: ROI of any rotation in place of `box`, as `roi_boxes` gives it.
        box: 3D box that no mask leaves. Key slices without a rectangle get its rectangle: a point alone is ambiguous.
        key_slices: index along `axis` -> prompt on that slice in slice pixels, in one of the forms of
            `KeySliceArgument`; "points" are (x, y, positive), and "mask" is nonzero in the object.
        points: (N, 3) points (i, j, k). A point belongs to the nearest slice.
        point_labels: (N,) True for a point in the object, False for one outside; None: all lie in the object.
        mask: bool (k, j, i) rough mask: on every slice where it is not empty, it becomes the mask prompt.
        key_masks: final masks of slices: those of a (k, j, i) labelmap that hold something, or by index along `axis`,
            of which some may be empty.
        slice_range: first and last slice that may show the object, included, if there is no box; None: the extent is
            found.

    Raises:
        InputError: no prompt is given, a part has another form or lies outside the volume, a positive point lies outside
            the box, a slice gets two masks, or a key mask and something else, or `slice_range` or `roi` is given with a box.
    """
    across = 2 - array_axis(axis)
    columns, rows = (n for n in range(3) if n != across)
    shape = (dimensions[across], dimensions[rows], dimensions[columns])
    limits, oriented_box = roi or (box, None)
    if roi is not None and box is not None:
        raise InputError(_("a box and an ROI were given: give one of them"))
    if limits is not None and slice_range is not None:
        raise InputError(_("a slice range goes with key slices: an ROI and a box have their own"))
    whole = None if limits is None else _prompt_in_box(limits, axis, dimensions)

    # Slice index -> arguments of its SlicePrompt.
    slices = _key_slices({} if key_slices is None else key_slices)
    for point, positive in _labelled(points, point_labels):
        index = math.floor(point[across] + 0.5) if math.isfinite(point[across]) else -1
        if not 0 <= index < shape[0]:
            raise InputError(
                _("point {point} lies outside the volume: {axis} runs from 0 to {last}").format(
                    point=point, axis=axis, last=shape[0] - 1
                )
            )
        _add_point(slices.setdefault(index, {}), point[columns], point[rows], positive)
    if mask is not None:
        _add_masks(slices, mask, dimensions, axis)
    if key_masks is not None:
        _add_key_masks(slices, key_masks, dimensions, axis)

    if whole is None:
        if not slices:
            raise InputError(_("the prompt is empty: give a box, points or a mask"))
        stack = StackPrompt({index: SlicePrompt(**parts) for index, parts in slices.items()}, _range(slice_range))
    elif not slices:
        stack = whole
    else:
        for parts in slices.values():
            if "key_mask" not in parts:
                parts["box"] = parts.get("box") or whole.box3d
        stack = StackPrompt({n: SlicePrompt(**parts) for n, parts in slices.items()}, whole.slice_range, whole.box3d)
        _check_points(stack)
    return VolumePrompt(axis, stack.checked_for(shape), oriented_box)


def _prompt_in_box(box: BoxArgument, axis: str, dimensions: tuple[int, int, int]) -> StackPrompt:
    """A 3D box for slices along `axis`, checked."""
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


def _key_slices(key_slices: Mapping[int, KeySliceArgument]) -> dict[int, dict[str, Any]]:
    try:
        return {_whole(index): _on_slice(value) for index, value in dict(key_slices).items()}
    except (TypeError, ValueError):
        raise InputError(
            _("key slices {given} cannot be read: give a mapping such as {{20: (x0, y0, x1, y1)}}").format(
                given=shown(key_slices)
            )
        ) from None


def _on_slice(value: KeySliceArgument) -> dict[str, Any]:
    """Arguments of a `SlicePrompt`."""
    if isinstance(value, SlicePrompt):
        return {name: given for name in (*_KINDS, "key_mask") if (given := getattr(value, name)) is not None}
    if not isinstance(value, Mapping):
        value = {"box": value}
    unknown = [name for name in value if name not in _KINDS]
    if unknown:
        raise InputError(
            _("a key slice has no {name!r}: give {names}").format(name=unknown[0], names=", ".join(_KINDS))
        )
    read: dict[str, Callable[[Any], Any]] = {"box": _box, "points": _points, "mask": _mask}
    return {name: read[name](given) for name, given in value.items() if given is not None}


def _range(slice_range: Sequence[int] | None) -> tuple[int, int] | None:
    if slice_range is None:
        return None
    try:
        first, last = (_whole(index) for index in slice_range)
    except (TypeError, ValueError):
        raise InputError(
            _("slice range {given} cannot be read: give the first and the last slice").format(given=shown(slice_range))
        ) from None
    return first, last


def _labelled(
    points: Sequence[Sequence[float]] | np.ndarray | None, labels: Sequence[bool] | np.ndarray | None
) -> list[tuple[tuple[float, float, float], bool]]:
    if points is None:
        if labels is not None:
            raise InputError(_("labels of points came without points: give both"))
        return []
    try:
        at = np.asarray(points, float)
        signs = np.ones(len(at), bool) if labels is None else np.asarray(labels, bool)
    except (TypeError, ValueError):
        at = signs = np.zeros(0)
    if at.ndim != 2 or at.shape[1] != 3:
        raise InputError(_("points {given} cannot be read: give (i, j, k) for each").format(given=shown(points)))
    if signs.shape != (len(at),):
        raise InputError(
            _("{labels} labels for {points} points: give one label for each point").format(
                points=len(at), labels=signs.size
            )
        )
    return [((i, j, k), positive) for (i, j, k), positive in zip(at.tolist(), signs.tolist(), strict=True)]


def _add_point(parts: dict[str, Any], x: float, y: float, positive: bool) -> None:
    before: Points | None = parts.get("points")
    parts["points"] = Points(((x, y),), (positive,)) if before is None else before.with_point(x, y, positive)


def box_around(mask: np.ndarray, spacing_ijk: tuple[float, float, float]) -> IndexBox:
    """3D box around an object with room for what has moved or grown: `FOLLOWED_MM`, at least one voxel, on each side.

    Args:
        mask: bool (k, j, i), not empty.
        spacing_ijk: voxel size along I, J, K in mm.

    Returns:
        Voxel ranges along I, J, K, both ends included, clipped to the mask's array.
    """
    found = bounding_box(mask)
    assert found is not None
    ranges = []
    for size, part, mm in zip(mask.shape[::-1], found[::-1], spacing_ijk, strict=True):
        margin = max(1, round(FOLLOWED_MM / mm))
        ranges.append((max(0, part.start - margin), min(size, part.stop + margin) - 1))
    i, j, k = ranges
    return i, j, k


def _add_masks(
    slices: dict[int, dict[str, Any]], mask: np.ndarray, dimensions: tuple[int, int, int], axis: str
) -> None:
    for index, on_slice in _occupied(mask, dimensions, axis).items():
        parts = slices.setdefault(index, {})
        if parts.get("mask") is not None:
            raise InputError(_("slice {index} has two masks: give one").format(index=index))
        parts["mask"] = MaskPrompt(mask=on_slice)


def _add_key_masks(
    slices: dict[int, dict[str, Any]], masks: KeyMasksArgument, dimensions: tuple[int, int, int], axis: str
) -> None:
    try:
        given = (
            {_whole(index): np.asarray(mask) != 0 for index, mask in masks.items()}
            if isinstance(masks, Mapping)
            else _occupied(masks if not isinstance(masks, np.ndarray) else masks != 0, dimensions, axis)
        )
    except (TypeError, ValueError):
        raise InputError(
            _("key masks {given} cannot be read: give a labelmap, or a mapping of slice indices to masks").format(
                given=shown(masks)
            )
        ) from None
    for index, on_slice in given.items():
        if index in slices:
            raise InputError(
                _("slice {index} has a key mask, which is final: give no other prompt on it").format(index=index)
            )
        slices[index] = {"key_mask": KeyMask(np.ascontiguousarray(on_slice))}


def _occupied(mask: np.ndarray, dimensions: tuple[int, int, int], axis: str) -> dict[int, np.ndarray]:
    """Slice index -> (rows, columns) part of a bool (k, j, i) mask, of the slices along `axis` that hold something."""
    if not isinstance(mask, np.ndarray):
        raise InputError(
            _("a mask of type {kind} is not an array: give bool (k, j, i)").format(kind=type(mask).__name__)
        )
    if mask.dtype != bool or mask.shape != dimensions[::-1]:
        raise InputError(
            _("a mask of {kind} {shape} is no prompt: give bool (k, j, i) of shape {expected}").format(
                kind=mask.dtype, shape=mask.shape, expected=dimensions[::-1]
            )
        )
    slices_first = np.moveaxis(mask, array_axis(axis), 0)
    held = occupied_slices(slices_first)
    if not held.size:
        raise InputError(_("the mask is empty: give a mask that holds the object"))
    return {index: np.ascontiguousarray(slices_first[index]) for index in held.tolist()}


def _check_points(prompt: StackPrompt) -> None:
    """Check that positive points lie in the 3D box. Negative ones may lie anywhere."""
    assert prompt.box3d is not None
    # Indices are those of pixel centres; the box ends half a pixel further out.
    face = prompt.box3d.padded(0.5, 0.5)
    for index, given in prompt.slices.items():
        for (x, y), positive in (
            zip(given.points.coordinates, given.points.positive, strict=True) if given.points else ()
        ):
            if positive and Box(x, y, x, y).intersection(face) is None:
                raise InputError(
                    _("point {point} on slice {index} lies outside the 3D box: move the point or the box").format(
                        point=(x, y), index=index
                    )
                )


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


def _whole(value: Any) -> int:
    """A whole number of any type. Raises TypeError or ValueError if it is none."""
    if isinstance(value, str) or int(value) != value:
        raise ValueError(value)
    return int(value)
