"""A volume node as a stack of slices along one of its index axes, and the way back to world and volume."""

from __future__ import annotations

import numpy as np
import slicer

from ...engine.affine import transform_points
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.stack import ArrayStack, array_axis, default_axis, from_slices_first, slice_to_ijk
from .geometry import ijk_to_world, label, voxel_sizes, voxels_of


class SliceStack(ArrayStack):
    """A scalar volume or labelmap of the scene as a `ValueSource`.

    Slices are read-only views of the node's voxels in scanner values. Geometry is that of the moment of creation;
    direction cosines, permuted axes, spacing, and any chain of linear parent transforms are kept exactly.
    Slice coordinates are (column, row) from 0 at the centre of the first pixel; world is RAS in millimetres.

    Args:
        volume_node: the volume; never written to.
        axis: index axis that the slices are counted along: "I", "J" or "K".

    Raises:
        InputError: unknown axis; no voxels, a flat image or several values in a voxel; a nonlinear parent transform.
    """

    def __init__(self, volume_node: slicer.vtkMRMLScalarVolumeNode, axis: str) -> None:
        voxels = voxels_of(volume_node)
        self.ijk_to_world = ijk_to_world(volume_node)
        self.ijk_to_world.flags.writeable = False
        super().__init__(voxels, voxel_sizes(self.ijk_to_world), axis)
        self.volume_node = volume_node

    @property
    def ijk_axes(self) -> tuple[int, int, int]:
        """Which of i, j, k (0, 1, 2) counts slices, rows and columns."""
        across = 2 - array_axis(self.axis)
        columns, rows = (n for n in range(3) if n != across)
        return (across, rows, columns)

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """Number of voxels along I, J, K."""
        counts = dict(zip(self.ijk_axes, self.shape, strict=True))
        return (counts[0], counts[1], counts[2])

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest voxel value."""
        low, high = self.volume_node.GetImageData().GetScalarRange()
        return (low, high)

    def slice_to_world(self, index: int) -> np.ndarray:
        """(4, 4) matrix that takes (column, row, 0) of slice `index` to world RAS; 1 in third place is the next slice.

        Raises:
            InputError: there is no such slice.
        """
        slices = self.shape[0]
        if not 0 <= index < slices:
            raise InputError(
                _("slice {index} lies outside {volume_node}: slices run from 0 to {last}").format(
                    index=index, volume_node=label(self.volume_node), last=slices - 1
                )
            )
        return self.ijk_to_world @ slice_to_ijk(self.axis, index)

    def world_to_slice(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) world RAS points in mm as (N, 3) fractional (slice, row, column); points may lie outside."""
        ijk = transform_points(np.linalg.inv(self.ijk_to_world), np.asarray(points, dtype=float).reshape(-1, 3))
        return ijk[:, list(self.ijk_axes)]

    def to_volume(self, stack_mask: np.ndarray) -> np.ndarray:
        """A (slices, rows, columns) array of this stack as a (k, j, i) view; nothing is copied.

        Raises:
            InputError: the array is not of the stack's shape.
        """
        if stack_mask.shape != self.shape:
            raise InputError(
                _("the result has shape {shape}, {volume_node} has {expected}: run it again").format(
                    shape=stack_mask.shape, volume_node=label(self.volume_node), expected=self.shape
                )
            )
        return from_slices_first(stack_mask, self.axis)


def default_axis_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """The axis to propagate along: coarsest spacing in world mm; among equals, nearest to superior-inferior.

    Raises:
        InputError: as for `SliceStack`.
    """
    voxels_of(volume_node)
    matrix = ijk_to_world(volume_node)
    return default_axis(voxel_sizes(matrix), matrix)
