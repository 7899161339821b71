"""Boxes of voxels in a 3D grid, and masks cropped to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..masks import bounding_box

Index = tuple[int, int, int]


@dataclass(frozen=True)
class VoxelBox:
    """A box of voxels in a 3D grid.

    Attributes:
        first: (k, j, i) index of the first voxel. It is negative where the grid counts from a voxel inside the box.
        shape: number of voxels along (k, j, i); 0 along at least one axis if the box is empty.
    """

    first: Index
    shape: Index

    @classmethod
    def from_mask(cls, mask: np.ndarray, first: Index = (0, 0, 0)) -> VoxelBox:
        """The smallest box around the true voxels of a bool (k, j, i) array; empty if none is true.

        Args:
            first: index of the array's first voxel in the grid.
        """
        k, j, i = bounding_box(mask) or (slice(0, 0),) * 3
        return cls(
            (first[0] + k.start, first[1] + j.start, first[2] + i.start),
            (k.stop - k.start, j.stop - j.start, i.stop - i.start),
        )

    @classmethod
    def from_extent(cls, extent: Sequence[int]) -> VoxelBox:
        """The box of a VTK extent: first and last index along i, then j, then k."""
        i0, i1, j0, j1, k0, k1 = extent
        return cls((k0, j0, i0), (max(k1 - k0 + 1, 0), max(j1 - j0 + 1, 0), max(i1 - i0 + 1, 0)))

    @property
    def extent(self) -> tuple[int, int, int, int, int, int]:
        """As a VTK extent: first and last index along i, then j, then k."""
        (k, j, i), (slices, rows, columns) = self.first, self.shape
        return (i, i + columns - 1, j, j + rows - 1, k, k + slices - 1)

    @property
    def empty(self) -> bool:
        """Whether the box holds no voxel."""
        return 0 in self.shape

    def union(self, other: VoxelBox) -> VoxelBox:
        """The smallest box that holds both; an empty box adds nothing."""
        if self.empty or other.empty:
            return self if other.empty else other
        low = np.minimum(self.first, other.first)
        high = np.maximum(np.add(self.first, self.shape), np.add(other.first, other.shape))
        return _box(low, high - low)

    def intersection(self, other: VoxelBox) -> VoxelBox:
        """The voxels that both boxes hold; empty if there are none."""
        low = np.maximum(self.first, other.first)
        high = np.minimum(np.add(self.first, self.shape), np.add(other.first, other.shape))
        return _box(low, np.maximum(high - low, 0))

    def slices_in(self, outer: VoxelBox) -> tuple[slice, slice, slice]:
        """Where this box lies in an array of the voxels of `outer`, which holds it."""
        k, j, i = (
            slice(mine - theirs, mine - theirs + size)
            for mine, theirs, size in zip(self.first, outer.first, self.shape, strict=True)
        )
        return (k, j, i)


@dataclass(frozen=True, eq=False)
class CroppedMask:
    """A mask in a large grid, stored only where it may be true.

    Attributes:
        box: the stored part of the grid.
        voxels: bool array of the box's shape. Outside the box the mask is False.
    """

    box: VoxelBox
    voxels: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray, first: Index = (0, 0, 0)) -> CroppedMask:
        """A bool (k, j, i) array cropped to its true voxels, which are copied.

        Args:
            first: index of the array's first voxel in the grid.
        """
        box = VoxelBox.from_mask(mask, first)
        return cls(box, mask[box.slices_in(VoxelBox(first, mask.shape))].copy())

    def inside(self, box: VoxelBox) -> np.ndarray:
        """The mask's voxels in a box, as a new bool array of its shape."""
        result = np.zeros(box.shape, bool)
        common = self.box.intersection(box)
        result[common.slices_in(box)] = self.voxels[common.slices_in(self.box)]
        return result

    def without(self, other: CroppedMask) -> CroppedMask:
        """This mask's voxels that are not in another mask of the same grid."""
        return CroppedMask.of(self.voxels & ~other.inside(self.box), self.box.first)


def _box(first: np.ndarray, shape: np.ndarray) -> VoxelBox:
    (k, j, i), (slices, rows, columns) = first.tolist(), shape.tolist()
    return VoxelBox((k, j, i), (slices, rows, columns))
