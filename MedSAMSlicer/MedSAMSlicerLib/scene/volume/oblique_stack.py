"""A volume node resampled into slices parallel to a view, and the way back to its voxels."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...engine.affine import box_corners, transform_points
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.voxel_box import CroppedMask
from .geometry import ijk_to_world, label, to_matrix, voxels_of


class ObliqueStack:
    """A scalar volume in slices parallel to a view, with the interface of `SliceStack`. Satisfies `ValueSource`.

    Columns run along the view's x, rows against its y, so that slices are upright as in the view; the view itself
    stands exactly on a slice. Slices are as far apart as the volume's voxels along the view's normal; pixels are
    square and as small as the finer of the voxels' extents in the plane. Values between voxels are interpolated
    linearly, slice by slice when asked for; outside the volume they are its lowest value.

    On the way back each voxel takes the value of the sample nearest to its centre, so an edge moves by at most half a
    pixel in the plane and half a slice across it.

    Args:
        volume_node: the volume; never written to.
        view: (4, 4) the view's x, y, normal and position in world RAS mm.

    Raises:
        InputError: as for `SliceStack`; or the view's axes are not at right angles.
    """

    axis = None

    def __init__(self, volume_node: slicer.vtkMRMLScalarVolumeNode, view: np.ndarray) -> None:
        voxels = voxels_of(volume_node)
        self.volume_node = volume_node
        self.ijk_to_world = ijk_to_world(volume_node)
        self.ijk_to_world.flags.writeable = False
        lengths = np.linalg.norm(view[:3, :3], axis=0)
        axes = view[:3, :3] / np.where(lengths > 0, lengths, 1) * np.array([1.0, -1.0, 1.0])
        if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
            raise InputError(_("the view's axes are not at right angles: reset the orientation of the view"))

        steps = 1 / np.linalg.norm(np.linalg.inv(self.ijk_to_world[:3, :3]) @ axes, axis=0)
        pixel, between = float(steps[:2].min()), float(steps[2])
        sizes = np.array([pixel, pixel, between])
        faces = box_corners(np.full(3, -0.5), np.array(voxels.shape[::-1]) - 0.5)
        along = (transform_points(self.ijk_to_world, faces) - view[:3, 3]) @ axes / sizes
        first = np.floor(along.min(axis=0) + 0.5)
        columns, rows, slices = (int(n) for n in np.ceil(along.max(axis=0) - 0.5) - first + 1)
        self._shape, self._spacing = (slices, rows, columns), (between, pixel, pixel)
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
        """Millimetres between slices, between rows, between columns."""
        return self._spacing

    def slice_values(self, index: int) -> np.ndarray:
        """(rows, columns) scanner values of one slice."""
        image = vtk.vtkImageData()
        image.ShallowCopy(self.volume_node.GetImageData())
        columns, rows, slices = image.GetDimensions()
        image.SetExtent(0, columns - 1, 0, rows - 1, 0, slices - 1)
        image.SetOrigin(0, 0, 0)
        image.SetSpacing(1, 1, 1)
        reslice = _reslice(image, np.linalg.inv(self.ijk_to_world) @ self.slice_to_world(index))
        reslice.SetInterpolationModeToLinear()
        reslice.SetBackgroundLevel(image.GetScalarRange()[0])
        reslice.SetOutputExtent(0, self._shape[2] - 1, 0, self._shape[1] - 1, 0, 0)
        reslice.Update()
        values = vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars())
        return values.reshape(self._shape[1:]).copy()

    def slice_to_world(self, index: int) -> np.ndarray:
        """(4, 4) matrix that takes (column, row, 0) of slice `index` to world RAS; 1 in third place is the next slice.

        Raises:
            InputError: there is no such slice.
        """
        slices = self._shape[0]
        if not 0 <= index < slices:
            raise InputError(
                _("slice {index} lies outside {volume_node}: slices run from 0 to {last}").format(
                    index=index, volume_node=label(self.volume_node), last=slices - 1
                )
            )
        shift = np.eye(4)
        shift[2, 3] = index
        return self._to_world @ shift

    def world_to_slice(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) world RAS points in mm as (N, 3) fractional (slice, row, column); points may lie outside."""
        return transform_points(np.linalg.inv(self._to_world), np.asarray(points, dtype=float).reshape(-1, 3))[:, ::-1]

    def to_volume(self, stack_mask: np.ndarray) -> np.ndarray:
        """A (slices, rows, columns) mask of this stack as bool (k, j, i) in the volume's voxels.

        Raises:
            InputError: the array is not of the stack's shape.
        """
        if stack_mask.shape != self._shape:
            raise InputError(
                _("the result has shape {shape}, {volume_node} has {expected}: run it again").format(
                    shape=stack_mask.shape, volume_node=label(self.volume_node), expected=self._shape
                )
            )
        result = np.zeros(voxels_of(self.volume_node).shape, bool)
        source = CroppedMask.of(stack_mask)
        if source.box.empty:
            return result
        low, high = np.array(source.box.extent).reshape(3, 2).T
        to_stack = np.linalg.inv(self._to_world) @ self.ijk_to_world
        corners = transform_points(np.linalg.inv(to_stack), box_corners(low - 0.5, high + 0.5))
        first = np.maximum(np.ceil(corners.min(axis=0)).astype(int), 0)
        last = np.minimum(np.floor(corners.max(axis=0)).astype(int), np.array(result.shape[::-1]) - 1)
        if (first > last).any():
            return result

        image = vtk.vtkImageData()
        image.SetExtent(source.box.extent)
        image.GetPointData().SetScalars(numpy_to_vtk(source.voxels.view(np.uint8).ravel()))
        reslice = _reslice(image, to_stack)
        reslice.SetInterpolationModeToNearestNeighbor()
        reslice.SetOutputExtent([int(n) for pair in zip(first, last, strict=True) for n in pair])
        reslice.Update()
        output = reslice.GetOutput()
        found = vtk_to_numpy(output.GetPointData().GetScalars()).reshape(output.GetDimensions()[::-1])
        result[tuple(slice(a, b + 1) for a, b in zip(first[::-1], last[::-1], strict=True))] = found > 0
        return result


def _reslice(image: vtk.vtkImageData, to_input: np.ndarray) -> vtk.vtkImageReslice:
    """Reads `image` at positions that `to_input`, (4, 4), gives for each output index."""
    transform = vtk.vtkTransform()
    transform.SetMatrix(to_matrix(to_input))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(transform)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    return reslice
