"""Prompts in the voxel indices of a whole volume, converted to prompts on its slices along one index axis.

Voxel indices (i, j, k) count from 0 at the centre of the first voxel; ranges include both ends. Along K a slice has
columns i and rows j, along J columns i and rows k, along I columns j and rows k; see `stack`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .errors import InputError
from .i18n import tr as _
from .oriented_box import OrientedBox
from .prompt_arguments import BoxArgument, KeySliceArgument, prompt_from_box, prompt_from_key_slices, shown
from .prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from .results import SliceResult
from .stack import array_axis, slice_to_ijk


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
        """The result of a slice with its mask cut to the oriented box, if there is one.

        Args:
            ijk_to_world: (4, 4) from voxel indices to the world in which the box lies, RAS mm.
        """
        if self.oriented_box is None:
            return result
        return self.oriented_box.limited(result, ijk_to_world @ slice_to_ijk(self.axis, result.index))


@dataclass
class _OnSlice:
    """The parts of a prompt on one slice, before all of them are known."""

    box: Box | None = None
    points: list[tuple[tuple[float, float], bool]] = field(default_factory=list)
    mask: MaskPrompt | None = None

    @classmethod
    def of(cls, prompt: SlicePrompt) -> _OnSlice:
        points = prompt.points
        signed = [] if points is None else list(zip(points.coordinates, points.positive, strict=True))
        return cls(prompt.box, signed, prompt.mask)

    def prompt(self) -> SlicePrompt:
        coordinates, positive = tuple(at for at, _sign in self.points), tuple(sign for _at, sign in self.points)
        return SlicePrompt(self.box, Points(coordinates, positive) if self.points else None, self.mask)


def stack_prompt(
    dimensions: tuple[int, int, int],
    axis: str,
    *,
    box: BoxArgument | None = None,
    key_slices: Mapping[int, KeySliceArgument] | None = None,
    points: Sequence[Sequence[float]] | np.ndarray | None = None,
    point_labels: Sequence[bool] | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    slice_range: Sequence[int] | None = None,
) -> StackPrompt:
    """Combine prompts in voxel indices into a prompt on the slices along one axis.

    Args:
        dimensions: number of voxels along I, J, K.
        axis: "I", "J" or "K".
        box: 3D box that no mask leaves, as for `prompt_from_box`. Key slices without a rectangle get its rectangle: a
            point alone is ambiguous.
        key_slices: index along `axis` -> prompt on that slice in slice pixels, as for `prompt_from_key_slices`.
        points: (N, 3) points (i, j, k). A point belongs to the nearest slice.
        point_labels: (N,) True for a point in the object, False for one outside; None: all lie in the object.
        mask: bool (k, j, i) rough mask: on every slice where it is not empty, it becomes the mask prompt.
        slice_range: first and last slice that may show the object, included, if there is no box; None: the extent is
            found.

    Raises:
        InputError: no prompt is given, a part has another form or lies outside the volume, a positive point lies outside
            the box, a slice gets two masks, or `slice_range` is given with a box.
    """
    across = 2 - array_axis(axis)
    columns, rows = (n for n in range(3) if n != across)
    shape = (dimensions[across], dimensions[rows], dimensions[columns])
    slices: dict[int, _OnSlice] = {}
    if key_slices:
        given = prompt_from_key_slices(key_slices).slices
        slices = {index: _OnSlice.of(prompt) for index, prompt in given.items()}
    for point, positive in _labelled(points, point_labels):
        index = math.floor(point[across] + 0.5) if math.isfinite(point[across]) else -1
        if not 0 <= index < shape[0]:
            raise InputError(
                _("point {point} lies outside the volume: {axis} runs from 0 to {last}").format(
                    point=point, axis=axis, last=shape[0] - 1
                )
            )
        slices.setdefault(index, _OnSlice()).points.append(((point[columns], point[rows]), positive))
    if mask is not None:
        _add_masks(slices, mask, dimensions, axis)
    if box is None:
        if not slices:
            raise InputError(_("the prompt is empty: give a box, points or a mask"))
        prompts = {index: one.prompt() for index, one in slices.items()}
        return prompt_from_key_slices(prompts, slice_range).checked_for(shape)

    if slice_range is not None:
        raise InputError(_("a slice range goes with key slices: an ROI and a box have their own"))
    whole = prompt_from_box(box, axis, dimensions)
    if not slices:
        return whole
    assert whole.box3d is not None
    _check_points(slices, whole.box3d)
    for one in slices.values():
        one.box = one.box or whole.box3d
    prompts = {index: one.prompt() for index, one in slices.items()}
    return StackPrompt(prompts, whole.slice_range, whole.box3d).checked_for(shape)


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
        raise InputError(
            _("points {given} cannot be read: give (i, j, k) for each").format(given=shown(points))
        ) from None
    if at.ndim != 2 or at.shape[1] != 3:
        raise InputError(_("points {given} cannot be read: give (i, j, k) for each").format(given=shown(points)))
    if signs.shape != (len(at),):
        raise InputError(
            _("{points} points came with {signs} signs: give each point one sign").format(
                points=len(at), signs=signs.size
            )
        )
    return [((i, j, k), positive) for (i, j, k), positive in zip(at.tolist(), signs.tolist(), strict=True)]


def _add_masks(slices: dict[int, _OnSlice], mask: np.ndarray, dimensions: tuple[int, int, int], axis: str) -> None:
    if mask.dtype != bool or mask.shape != dimensions[::-1]:
        raise InputError(
            _("a mask of {kind} {shape} is no prompt: give bool (k, j, i) of shape {expected}").format(
                kind=mask.dtype, shape=mask.shape, expected=dimensions[::-1]
            )
        )
    slices_first = np.moveaxis(mask, array_axis(axis), 0)
    held = np.flatnonzero(slices_first.any(axis=(1, 2)))
    if not held.size:
        raise InputError(_("the mask is empty: give a mask that holds the object"))
    for index in held.tolist():
        one = slices.setdefault(index, _OnSlice())
        if one.mask is not None:
            raise InputError(_("slice {index} has two masks: give one").format(index=index))
        one.mask = MaskPrompt(mask=np.ascontiguousarray(slices_first[index]))


def _check_points(slices: Mapping[int, _OnSlice], face: Box) -> None:
    """Check that positive points lie in the 3D box. Negative ones may lie anywhere."""
    for index, one in slices.items():
        for (x, y), positive in one.points:
            # Indices are those of pixel centres; the box ends half a pixel further out.
            inside = face.x0 - 0.5 <= x <= face.x1 + 0.5 and face.y0 - 0.5 <= y <= face.y1 + 0.5
            if positive and not inside:
                raise InputError(
                    _("point {point} on slice {index} lies outside the 3D box: move the point or the box").format(
                        point=(x, y), index=index
                    )
                )
