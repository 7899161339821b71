"""Voxel grids, and masks brought from one grid to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform, distance_transform_edt

from ..engine.errors import InputError
from ..engine.i18n import tr as _
from ..engine.masks import bounding_box
from ..engine.volume.affine import box_corners, transform_points

# Voxels of two grids coincide if no centre is further from its counterpart than this fraction of a voxel: headers round.
_SAME_VOXEL = 0.02
# Largest cosine of the angle between two axes that count as perpendicular.
_PERPENDICULAR = 1e-3
# The distance map is computed this many voxels around the object.
_AROUND = 2
# Centres half way between inner and outer voxels count as if they lay this many voxels further along i, j, k: they are in on
# one side of the object and out on the other, which keeps its size. The ratios are irrational, so no oblique face is level.
_TIE_IJK = np.array([1.0, 2**-0.25, 3**-0.25]) * 1e-3


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel grid in the patient.

    Attributes:
        shape: number of voxels along (k, j, i).
        ijk_to_lps: (4, 4) matrix from voxel indices (i, j, k) to LPS mm.
    """

    shape: tuple[int, int, int]
    ijk_to_lps: np.ndarray

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        spacing_ijk: Sequence[float],
        origin_lps: Sequence[float],
        direction: np.ndarray,
    ) -> Grid:
        """The grid of an image; the arguments are those attributes of `Image`."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(direction) * np.asarray(spacing_ijk)
        matrix[:3, 3] = origin_lps
        k, j, i = shape
        return cls((int(k), int(j), int(i)), matrix)

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        """Voxel size along k, j, i in mm; between slices, the perpendicular distance."""
        i, j, _k = np.linalg.norm(self.ijk_to_lps[:3, :3], axis=0)
        return (float(abs(np.linalg.det(self.ijk_to_lps[:3, :3])) / (i * j)), float(j), float(i))

    @property
    def is_tilted(self) -> bool:
        """Whether slices are shifted sideways, as a tilted gantry takes them: axes are not perpendicular then."""
        axes = self.ijk_to_lps[:3, :3] / np.linalg.norm(self.ijk_to_lps[:3, :3], axis=0)
        return not np.allclose(axes.T @ axes, np.eye(3), rtol=0, atol=_PERPENDICULAR)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(np.prod(self.spacing_kji)) / 1000


def move_mask(mask: np.ndarray, grid: Grid, target: Grid, name: str) -> tuple[np.ndarray, bool]:
    """Bring a mask to another grid.

    Where the voxels of both grids coincide, whatever the order and the direction of their axes, they are copied.
    Otherwise the signed distance to the object's surface is interpolated linearly.

    Args:
        mask: bool (k, j, i) on `grid`.
        grid, target: grids in the same patient coordinates.
        name: of the object, for messages.

    Returns:
        bool (k, j, i) on `target`, and whether it was resampled.

    Raises:
        InputError: the mask is empty, a part of the object lies outside of the target, or no voxel of the target is left.
    """
    box = bounding_box(mask)
    if box is None:
        raise InputError(_("{name} is empty: leave it out, or contour it first").format(name=name))
    to_target = np.linalg.inv(target.ijk_to_lps) @ grid.ijk_to_lps
    first_kji, last_kji = np.array([(part.start, part.stop - 1) for part in box]).T
    first, last = first_kji[::-1], last_kji[::-1]
    corners = transform_points(to_target, box_corners(first.astype(float), last.astype(float)))
    rounded = np.rint(to_target)
    moved = transform_points(rounded, box_corners(first.astype(float), last.astype(float)))
    exact = bool(
        (np.abs(np.abs(rounded[:3, :3]).sum(axis=0) - 1) < 0.5).all()
        and (np.abs(np.abs(rounded[:3, :3]).sum(axis=1) - 1) < 0.5).all()
        and np.abs(moved - corners).max() <= _SAME_VOXEL
    )
    size = np.array(target.shape[::-1])
    centres = _indices(mask[box], first) if not exact else box_corners(first.astype(float), last.astype(float))
    outside = transform_points(rounded if exact else to_target, centres)
    beyond = ((outside < -0.5 - _SAME_VOXEL) | (outside > size - 0.5 + _SAME_VOXEL)).any(axis=1)
    if beyond.any():
        raise InputError(
            _("{name} lies outside of the series, or a part of it does: give the series that it was drawn on").format(
                name=name
            )
        )
    if exact:
        return _copied(mask[box], first, rounded, target.shape), False
    resampled = _resampled(mask, box, grid, target, to_target)
    if not resampled.any():
        raise InputError(
            _(
                "{name} vanishes on the slices of the series, because it is smaller than their distance or lies between "
                "their voxels: leave it out, or contour it on the series"
            ).format(name=name)
        )
    return resampled, True


def _indices(cropped: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(N, 3) indices (i, j, k) of the true voxels of a cropped mask."""
    return np.argwhere(cropped)[:, ::-1].astype(float) + first


def _copied(cropped: np.ndarray, first: np.ndarray, to_target: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Copy voxels along axes that are exchanged or reversed as the signed permutation `to_target` says."""
    permutation = to_target[:3, :3]
    source_axes = np.abs(permutation).argmax(axis=1)  # of each target axis i, j, k
    voxels = cropped.transpose([2 - source_axes[2 - n] for n in range(3)])
    reversed_axes = tuple(2 - n for n in range(3) if permutation[n, source_axes[n]] < 0)
    voxels = np.flip(voxels, reversed_axes)
    last = first + np.array(cropped.shape[::-1]) - 1
    ends = transform_points(to_target, np.stack([first, last]).astype(float))
    start = np.rint(ends.min(axis=0)).astype(int)[::-1]
    result = np.zeros(shape, bool)
    result[tuple(slice(low, low + n) for low, n in zip(start, voxels.shape, strict=True))] = voxels
    return result


def _resampled(mask: np.ndarray, box: tuple[slice, ...], grid: Grid, target: Grid, to_target: np.ndarray) -> np.ndarray:
    first = np.array([part.start for part in box]) - _AROUND
    padded = np.pad(mask[box], _AROUND)
    spacing = grid.spacing_kji
    # Half way between the centres of an inner and an outer voxel the difference is 0; see _TIE_IJK.
    signed = distance_transform_edt(padded, spacing) - distance_transform_edt(~padded, spacing)
    ends = np.stack([first[::-1], first[::-1] + np.array(padded.shape[::-1]) - 1]).astype(float)
    corners = transform_points(to_target, box_corners(ends[0], ends[1]))[:, ::-1]
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, target.shape)
    result = np.zeros(target.shape, bool)
    if (high <= low).any():
        return result
    to_source = np.linalg.inv(to_target)
    matrix = to_source[2::-1, 2::-1]
    offset = to_source[2::-1, 3] + matrix @ low - first + _TIE_IJK[::-1]
    values = affine_transform(
        signed, matrix, offset, output_shape=tuple(high - low), order=1, mode="constant", cval=-1e6
    )
    result[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = values > 0
    return result
