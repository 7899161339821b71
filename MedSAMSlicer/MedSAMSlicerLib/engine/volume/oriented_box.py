"""Boxes of any rotation among the voxels of a volume. World is RAS, in millimetres.

A voxel belongs to a box when its centre lies in it, faces included. All eight corners are transformed to voxel
indices: two opposite ones are enough only while the box and the volume have the same axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..i18n import tr as _
from ..prompts import SlicePrompt
from ..results import SliceResult
from .affine import box_corners, transform_points

IndexBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""First and last index, included, along I, J, K."""

# In voxels. Slicer keeps an ROI's centre in single precision; a face meant to lie on a voxel's centre must not miss it.
_TOLERANCE = 1e-3


def index_box(corners: np.ndarray, ijk_to_world: np.ndarray, dims_ijk: tuple[int, int, int], name: str) -> IndexBox:
    """Smallest box of voxels that contains every voxel whose centre lies between the eight corners.

    A box so thin that it passes between the voxel centres gives the voxels that it lies in.

    Args:
        corners: (8, 3) world RAS mm, as `box_corners` orders them.
        ijk_to_world: (4, 4) from (i, j, k) of the voxel array to world RAS mm.
        dims_ijk: number of voxels along I, J, K.
        name: what an error message calls the box.

    Returns:
        First and last index, included, along I, J, K; within the volume.

    Raises:
        InputError: no part of the box lies in the volume.
    """
    in_voxels = transform_points(np.linalg.inv(ijk_to_world), corners)
    low_face, high_face = np.full(3, -0.5), np.array(dims_ijk) - 0.5
    if _disjoint(in_voxels, box_corners(low_face, high_face)):
        raise InputError(_("{roi_node} lies outside the volume: move it over the object").format(roi_node=name))
    low, high = in_voxels.min(axis=0), in_voxels.max(axis=0)
    middle = (np.maximum(low, low_face) + np.minimum(high, high_face)) / 2
    first, last = np.ceil(low - _TOLERANCE), np.floor(high + _TOLERANCE)
    limit = np.array(dims_ijk) - 1
    first, last = np.maximum(first, 0), np.minimum(last, limit)
    between = first > last
    nearest = np.clip(np.floor(middle + 0.5), 0, limit)
    first, last = np.where(between, nearest, first), np.where(between, nearest, last)
    i, j, k = ((int(a), int(b)) for a, b in zip(first, last, strict=True))
    return (i, j, k)


def _disjoint(corners: np.ndarray, volume_corners: np.ndarray) -> bool:
    """Whether two parallelepipeds, each (8, 3) corners as `box_corners` orders them, share no interior point.

    Separating axis theorem: two convex polyhedra are disjoint if a plane parallel to a face of one of them, or to an
    edge of each, separates them.
    """

    def edges(box: np.ndarray) -> np.ndarray:
        return box[[4, 2, 1]] - box[0]

    def crossed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.cross(a[:, None], b[None]).reshape(-1, 3)

    ours, theirs = edges(corners), edges(volume_corners)
    normals = np.concatenate([crossed(ours, ours), crossed(theirs, theirs), crossed(ours, theirs)])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 1e-12] / lengths[lengths > 1e-12, None]
    a, b = corners @ normals.T, volume_corners @ normals.T
    overlap = np.minimum(a.max(axis=0), b.max(axis=0)) - np.maximum(a.min(axis=0), b.min(axis=0))
    return bool((overlap <= _TOLERANCE).any())


@dataclass(frozen=True)
class OrientedBox:
    """A box whose axes are not those of the volume: no mask leaves it.

    Attributes:
        numbers: the upper three rows, row by row, of the matrix from world RAS mm to coordinates that lie between -1
            and 1 in the box.
    """

    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.numbers) != 12 or not np.isfinite(self.numbers).all():
            raise InputError(_("an ROI in the scene cannot be read: use the ROI again"))

    @classmethod
    def from_corners(
        cls, corners: np.ndarray, ijk_to_world: np.ndarray, dims_ijk: tuple[int, int, int], name: str
    ) -> OrientedBox | None:
        """The box between eight corners, or None if its axes are those of the voxels: `index_box` is the same then.

        A box so thin that it passes between the voxel centres is made as thick as a voxel.

        Args:
            corners, ijk_to_world, dims_ijk, name: as for `index_box`.

        Raises:
            InputError: no part of the box lies in the volume.
        """
        edges = (corners[[4, 2, 1]] - corners[0]).T
        in_voxels = np.abs(np.linalg.inv(ijk_to_world[:3, :3]) @ edges)
        if (np.sort(in_voxels, axis=0)[:2].sum(axis=0) <= _TOLERANCE).all():
            return None
        to_box = np.linalg.inv(edges) * 2
        # Length of one voxel step in half widths of the box; the largest is the thickness of a voxel.
        steps = np.abs(to_box @ ijk_to_world[:3, :3]).max(axis=1)

        def scaled_by(halves: np.ndarray) -> OrientedBox:
            scaled = to_box / (halves + _TOLERANCE * steps)[:, None]
            return cls(tuple(float(number) for number in np.c_[scaled, -scaled @ corners.mean(axis=0)].ravel()))

        box, thin = scaled_by(np.ones(3)), bool((steps > 2).any())
        if thin and not box._contains_any(ijk_to_world, index_box(corners, ijk_to_world, dims_ijk, name)):
            return scaled_by(np.maximum(1.0, steps / 2))
        return box

    @classmethod
    def from_content(cls, content: Sequence[float] | None) -> OrientedBox | None:
        """From `numbers` as a scene stores them; None stays None. Raises InputError if they are no box."""
        try:
            return None if content is None else cls(tuple(float(number) for number in content))
        except (TypeError, ValueError):
            raise InputError(_("an ROI in the scene cannot be read: use the ROI again")) from None

    def on_slice(self, slice_to_world: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """bool (rows, columns): which pixels of a slice lie in the box.

        Args:
            slice_to_world: (4, 4) matrix from (column, row, 0) to world RAS mm.
        """
        matrix = np.eye(4)
        matrix[:3] = np.reshape(self.numbers, (3, 4))
        to_box = matrix @ slice_to_world
        inside = np.ones((rows, columns), bool)
        for of_column, of_row, _between, shift in to_box[:3]:
            # The outer sum of a row and a column is several times faster than transforming every pixel.
            along = (np.arange(rows) * of_row + shift)[:, None] + np.arange(columns) * of_column
            inside &= np.abs(along) <= 1
        return inside

    def limited(self, found: SliceResult, slice_to_world: np.ndarray) -> SliceResult:
        """The result of a slice with its mask cut to the box; `slice_to_world` as for `on_slice`."""
        return replace(found, mask=found.mask & self.on_slice(slice_to_world, *found.mask.shape))

    def touched_by(self, prompt: SlicePrompt, slice_to_world: np.ndarray, rows: int, columns: int) -> bool:
        """Whether a prompt on a slice may refer to an object in the box.

        It does not if its rectangle or its mask has no pixel in the box, or a positive point lies outside.
        """
        inside = self.on_slice(slice_to_world, rows, columns)
        box, mask = prompt.box, None if prompt.mask is None else prompt.mask.mask
        if box is not None and not inside[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1].any():
            return False
        if mask is not None and not (mask & inside).any():
            return False
        if prompt.points is None:
            return True
        at = np.array(prompt.points.coordinates)[list(prompt.points.positive)]
        x, y = np.floor(at + 0.5).astype(int).reshape(-1, 2).T
        return bool(inside[y.clip(0, rows - 1), x.clip(0, columns - 1)].all())

    def _contains_any(self, ijk_to_world: np.ndarray, ranges: IndexBox) -> bool:
        """Whether a voxel of these ranges along I, J, K lies in the box."""
        (i0, i1), (j0, j1), (k0, k1) = ranges
        for k in range(k0, k1 + 1):
            first = np.eye(4)
            first[:3, 3] = (i0, j0, k)
            if self.on_slice(ijk_to_world @ first, j1 - j0 + 1, i1 - i0 + 1).any():
                return True
        return False


def roi_boxes(
    corners: np.ndarray, ijk_to_world: np.ndarray, dims_ijk: tuple[int, int, int], name: str
) -> tuple[IndexBox, OrientedBox | None]:
    """A box of any rotation as a box of voxels and, if its axes are not those of the voxels, as an oriented box.

    Args:
        corners, ijk_to_world, dims_ijk, name: as for `index_box`.

    Raises:
        InputError: no part of the box lies in the volume.
    """
    arguments = (corners, ijk_to_world, dims_ijk, name)
    return index_box(*arguments), OrientedBox.from_corners(*arguments)
