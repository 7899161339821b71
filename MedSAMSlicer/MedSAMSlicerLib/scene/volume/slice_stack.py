"""A volume node as a stack of slices along an index axis, with conversion to world coordinates and to the volume."""

from __future__ import annotations

import numpy as np
import slicer

from ...engine.stack import ArrayStack, array_axis, default_axis, from_slices_first, slice_to_ijk
from ...engine.volume.affine import transform_points
from .geometry import checked_mask, checked_slice, grid_shape, ijk_to_world, voxel_sizes, voxels_of


class SliceStack(ArrayStack):
    """A volume or labelmap in the scene, grey or colour, as a `ValueSource`.

    Slices are read-only views of the voxels, in scanner values. The geometry is read on creation and is exact for any
    direction cosines, spacing and chain of linear parent transforms. Slice coordinates are (column, row), with 0 at the
    centre of the first pixel. World coordinates are RAS in millimetres.

    Attributes:
        image: holds the voxels, also when the volume node shows another frame of a sequence.

    Args:
        volume_node: the volume; it is not modified.
        axis: index axis across the slices: "I", "J" or "K".

    Raises:
        InputError: the axis is unknown; the volume cannot be used (see `voxels_of`); a parent transform is not linear.
    """

    def __init__(self, volume_node: slicer.vtkMRMLScalarVolumeNode, axis: str) -> None:
        voxels = voxels_of(volume_node)
        self.ijk_to_world = ijk_to_world(volume_node)
        self.ijk_to_world.flags.writeable = False
        super().__init__(voxels, voxel_sizes(self.ijk_to_world), axis)
        self.volume_node, self.image = volume_node, volume_node.GetImageData()

    @property
    def ijk_axes(self) -> tuple[int, int, int]:
        """Index axes (0: I, 1: J, 2: K) across slices, rows and columns."""
        across = 2 - array_axis(self.axis)
        columns, rows = (n for n in range(3) if n != across)
        return (across, rows, columns)

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """Number of voxels along I, J and K."""
        counts = dict(zip(self.ijk_axes, self.shape, strict=True))
        return (counts[0], counts[1], counts[2])

    def slice_to_world(self, index: int) -> np.ndarray:
        """(4, 4) matrix from (column, row, 0) on slice `index` to world RAS; the third coordinate counts slices from there.

        Raises:
            InputError: the stack has no such slice.
        """
        return self.ijk_to_world @ slice_to_ijk(self.axis, checked_slice(index, self.shape[0], self.volume_node))

    def world_to_slice(self, points: np.ndarray) -> np.ndarray:
        """Convert (N, 3) world RAS points in mm to (N, 3) fractional (slice, row, column), also outside the volume."""
        ijk = transform_points(np.linalg.inv(self.ijk_to_world), np.asarray(points, dtype=float).reshape(-1, 3))
        return ijk[:, list(self.ijk_axes)]

    def to_volume(self, stack_mask: np.ndarray) -> np.ndarray:
        """View a (slices, rows, columns) array of this stack as a (k, j, i) array, without a copy.

        Raises:
            InputError: the shape of the array is not that of the stack.
        """
        return from_slices_first(checked_mask(stack_mask, self.shape, self.volume_node), self.axis)


def default_axis_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Default axis across slices: the axis with the largest spacing in world mm; if tied, the closest to superior-inferior.

    That of a single slice is the axis across it.

    Raises:
        InputError: the volume cannot be used (see `SliceStack`).
    """
    shape = grid_shape(volume_node)
    if 1 in shape:
        return "KJI"[shape.index(1)]
    matrix = ijk_to_world(volume_node)
    return default_axis(voxel_sizes(matrix), matrix)
