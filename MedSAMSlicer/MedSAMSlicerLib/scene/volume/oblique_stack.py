"""A volume node resampled into slices parallel to a slice view, and conversion of masks back to its voxels."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.volume.affine import box_corners, transform_points
from ...engine.volume.voxel_box import CroppedMask, VoxelBox
from .geometry import checked_mask, checked_slice, grid_shape, ijk_to_world, resample, resample_mask


class ObliqueStack:
    """A volume resampled into slices parallel to a view, with the interface of `SliceStack`; a `ValueSource`.

    Columns run along the x axis of the view, rows against its y axis, so that slices have the orientation of the view.
    The plane of the view coincides with a slice. The distance between slices is the extent of a voxel along the normal of
    the view. Pixels are square; their size is the smaller extent of a voxel along the axes of the view. Slices are
    resampled on access, with linear interpolation; samples outside the volume have its lowest value.

    `to_volume` assigns the nearest sample to each voxel, so an edge moves by at most half a pixel in the plane and half
    a slice across it.

    Attributes:
        image: holds the voxels, also when the volume node shows another frame of a sequence.

    Args:
        volume_node: the volume; it is not modified.
        view: (4, 4) matrix whose columns are the x axis, y axis, normal and position of the view in world RAS, in mm.

    Raises:
        InputError: the volume cannot be used (see `SliceStack`), or the axes of the view are not orthogonal.
    """

    axis = None

    def __init__(self, volume_node: slicer.vtkMRMLScalarVolumeNode, view: np.ndarray) -> None:
        self.volume_node = volume_node
        self.ijk_to_world = ijk_to_world(volume_node)
        self.ijk_to_world.flags.writeable = False
        self.image, self._image = volume_node.GetImageData(), vtk.vtkImageData()
        self._image.ShallowCopy(self.image)
        slices, rows, columns = shape = grid_shape(volume_node)
        self._image.SetExtent(0, columns - 1, 0, rows - 1, 0, slices - 1)
        self._image.SetOrigin(0, 0, 0)
        self._image.SetSpacing(1, 1, 1)
        lengths = np.linalg.norm(view[:3, :3], axis=0)
        axes = view[:3, :3] / np.where(lengths > 0, lengths, 1) * np.array([1.0, -1.0, 1.0])
        if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
            raise InputError(_("the axes of the view are not orthogonal: reset the orientation of the view"))

        steps = 1 / np.linalg.norm(np.linalg.inv(self.ijk_to_world[:3, :3]) @ axes, axis=0)
        pixel, slice_distance = float(steps[:2].min()), float(steps[2])
        sizes = np.array([pixel, pixel, slice_distance])
        faces = box_corners(np.full(3, -0.5), np.array(shape[::-1]) - 0.5)
        along = (transform_points(self.ijk_to_world, faces) - view[:3, 3]) @ axes / sizes
        first = np.floor(along.min(axis=0) + 0.5)
        columns, rows, slices = (int(n) for n in np.ceil(along.max(axis=0) - 0.5) - first + 1)
        self._shape, self._spacing = (slices, rows, columns), (slice_distance, pixel, pixel)
        matrix = np.eye(4)
        matrix[:3, :3] = axes * sizes
        matrix[:3, 3] = view[:3, 3] + axes @ (first * sizes)
        self._to_world = matrix

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return self._shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between slices, rows and columns in millimetres."""
        return self._spacing

    def slice_values(self, index: int) -> np.ndarray:
        """Scanner values of slice `index`, (rows, columns), or (rows, columns, 3) uint8 colour."""
        to_image = np.linalg.inv(self.ijk_to_world) @ self.slice_to_world(index)
        extent = (0, self._shape[2] - 1, 0, self._shape[1] - 1, 0, 0)
        background = self._image.GetPointData().GetScalars().GetFiniteRange(0)[0]
        sampled = resample(self._image, to_image, extent, background=background)[0]
        return (sampled if sampled.ndim == 2 else sampled[..., :3]).copy()

    def slice_to_world(self, index: int) -> np.ndarray:
        """(4, 4) matrix from (column, row, 0) on slice `index` to world RAS; the third coordinate counts slices from there.

        Raises:
            InputError: the stack has no such slice.
        """
        shift = np.eye(4)
        shift[2, 3] = checked_slice(index, self._shape[0], self.volume_node)
        return self._to_world @ shift

    def world_to_slice(self, points: np.ndarray) -> np.ndarray:
        """Convert (N, 3) world RAS points in mm to (N, 3) fractional (slice, row, column), also outside the volume."""
        return transform_points(np.linalg.inv(self._to_world), np.asarray(points, dtype=float).reshape(-1, 3))[:, ::-1]

    def to_volume(self, stack_mask: np.ndarray) -> np.ndarray:
        """Resample a (slices, rows, columns) mask of this stack to a bool (k, j, i) array of the volume.

        Raises:
            InputError: the shape of the array is not that of the stack.
        """
        source = CroppedMask.of(checked_mask(stack_mask, self._shape, self.volume_node))
        volume = VoxelBox((0, 0, 0), grid_shape(self.volume_node))
        return resample_mask(source, np.linalg.inv(self.ijk_to_world) @ self._to_world, volume).inside(volume)
