"""Conversion of MRML matrices and images to NumPy, and resampling.

World coordinates are RAS in millimetres, with all parent transforms applied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.volume.affine import box_corners, transform_points
from ...engine.volume.voxel_box import CroppedMask, VoxelBox
from .acquisition import linear_in_grid


def to_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """(4, 4) float64 copy of a VTK matrix."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """VTK copy of a (4, 4) array."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row, column]))
    return matrix


def node_to_world(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """(4, 4) matrix from the RAS coordinates of the node to world RAS, through all parent transforms.

    Raises:
        InputError: a parent transform is not linear.
    """
    parent = node.GetParentTransformNode()
    matrix = vtk.vtkMatrix4x4()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise InputError(
                _("{node} is under the nonlinear transform '{transform}': harden the transform first").format(
                    node=label(node), transform=parent.GetName()
                )
            )
        parent.GetMatrixTransformToWorld(matrix)
    return to_array(matrix)


def ijk_to_node(volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """(4, 4) matrix from zero-based (i, j, k) indices of the voxel array to the RAS coordinates of the volume node."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(ijk_to_ras)
    image = volume_node.GetImageData()
    # MRML indices start at the extent of the image, array indices at 0.
    first_voxel = np.eye(4)
    first_voxel[:3, 3] = image.GetExtent()[::2] if image is not None else 0
    return to_array(ijk_to_ras) @ first_voxel


def ijk_to_world(volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """(4, 4) matrix from zero-based (i, j, k) indices of the voxel array to world RAS.

    Raises:
        InputError: a parent transform is not linear, not even within the volume, or the matrix cannot be inverted.
    """
    matrix, parent, to_world = ijk_to_node(volume_node), volume_node.GetParentTransformNode(), None
    if parent is not None and not parent.IsTransformToWorldLinear() and volume_node.GetImageData() is not None:
        to_world = linear_in_grid(parent, matrix, volume_node.GetImageData().GetDimensions())
    matrix = (node_to_world(volume_node) if to_world is None else to_world) @ matrix
    # The determinant is compared with the voxel volume, so that voxels of micrometres are not rejected as flat.
    volume = float(np.prod(voxel_sizes(matrix)))
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) <= 1e-6 * volume:
        raise InputError(
            _("the geometry of {volume_node} is not invertible: check its spacing and transform").format(
                volume_node=label(volume_node)
            )
        )
    return matrix


def ijk_to_other(volume_node: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """(4, 4) matrix from zero-based (i, j, k) indices of the voxel array to the RAS coordinates of another node.

    Raises:
        InputError: as for `ijk_to_world`; but a transform that is the parent of both nodes may be of any kind.
    """
    if volume_node.GetParentTransformNode() is other.GetParentTransformNode():
        return ijk_to_node(volume_node)
    return np.linalg.inv(node_to_world(other)) @ ijk_to_world(volume_node)


def image_to_node(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """(4, 4) matrix from (i, j, k) indices of a segmentation's image to the RAS coordinates of its node."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return to_array(matrix)


def voxel_sizes(matrix: np.ndarray) -> tuple[float, float, float]:
    """Voxel spacing along I, J and K in millimetres, from a (4, 4) index-to-world matrix."""
    i, j, k = np.linalg.norm(matrix[:3, :3], axis=0)
    return (float(i), float(j), float(k))


def voxels_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Voxels of the volume as a read-only (k, j, i) view, or (k, j, i, 3) uint8 for colour, without a copy.

    Transparency is left out.

    Raises:
        InputError: the volume is None, has no voxels, has fewer than two voxels along two axes, has several components
            that are not colours, or stores single bits.
    """
    if volume_node is None:
        raise InputError(_("no volume is selected: choose the volume to segment"))
    image = volume_node.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    # There are more or fewer than points only while somebody replaces the image.
    if scalars is None or scalars.GetNumberOfTuples() == 0 or scalars.GetNumberOfTuples() != image.GetNumberOfPoints():
        raise InputError(_("{volume_node} has no voxels: load its image first").format(volume_node=label(volume_node)))
    components, colour = scalars.GetNumberOfComponents(), is_colour(volume_node)
    if components != 1 and not colour:
        text = _(
            "{volume_node} has {components} values per voxel that are no colours: choose a volume with one value per "
            "voxel, or with red, green and blue from 0 to 255"
        )
        raise InputError(text.format(volume_node=label(volume_node), components=components))
    dimensions = image.GetDimensions()
    if sorted(dimensions)[1] < 2:
        size = " x ".join(str(n) for n in dimensions)
        raise InputError(
            _("{volume_node} is a line ({size} voxels): choose a picture or a volume").format(
                volume_node=label(volume_node), size=size
            )
        )
    if scalars.GetDataType() == vtk.VTK_BIT:
        raise InputError(
            _("{volume_node} has the voxel type bit: convert it with the module Cast Scalar Volume").format(
                volume_node=label(volume_node)
            )
        )
    voxels = vtk_to_numpy(scalars).reshape(*dimensions[::-1], *([components] if colour else []))
    voxels.flags.writeable = False
    return voxels[..., :3] if colour else voxels


def is_colour(volume_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether the voxels are red, green and blue from 0 to 255, perhaps with transparency."""
    image = volume_node.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or scalars.GetDataType() != vtk.VTK_UNSIGNED_CHAR:
        return False
    return scalars.GetNumberOfComponents() in (3, 4)


def grid_shape(volume_node: slicer.vtkMRMLScalarVolumeNode) -> tuple[int, int, int]:
    """(k, j, i) number of voxels.

    Raises:
        InputError: the volume cannot be used (see `voxels_of`).
    """
    k, j, i = voxels_of(volume_node).shape[:3]
    return (k, j, i)


def checked_mask(mask: np.ndarray, shape: tuple[int, ...], volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return a mask of the volume or of its slices. Raises InputError if its shape is not `shape`."""
    if mask.shape != shape:
        raise InputError(
            _("the result has shape {shape} but {volume_node} has {expected}: run it again").format(
                shape=mask.shape, volume_node=label(volume_node), expected=shape
            )
        )
    return mask


def checked_slice(index: int, slices: int, volume_node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """Return the index of a slice. Raises InputError if a stack of `slices` does not have it."""
    if not 0 <= index < slices:
        raise InputError(
            _("slice {index} lies outside {volume_node}: slices run from 0 to {last}").format(
                index=index, volume_node=label(volume_node), last=slices - 1
            )
        )
    return index


def resample(
    image: vtk.vtkImageData, to_image: np.ndarray, extent: Sequence[int], background: float | None = None
) -> np.ndarray:
    """Sample an image on another grid.

    Args:
        image: image with the origin 0 and the spacing 1.
        to_image: (4, 4) matrix from indices (i, j, k) of the grid to those of the image.
        extent: VTK extent of the grid.
        background: value outside the image, with linear interpolation; None: the nearest voxel, and 0 outside.

    Returns:
        (k, j, i) array in the data type of the image, with a fourth axis for several components.
    """
    transform = vtk.vtkTransform()
    transform.SetMatrix(to_matrix(to_image))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(transform)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(extent)
    if background is None:
        reslice.SetInterpolationModeToNearestNeighbor()
    else:
        reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(background or 0)
    reslice.Update()
    output = reslice.GetOutput()
    sampled = vtk_to_numpy(output.GetPointData().GetScalars())
    return sampled.reshape(*output.GetDimensions()[::-1], *sampled.shape[1:])


def resample_mask(mask: CroppedMask, to_grid: np.ndarray, grid: VoxelBox) -> CroppedMask:
    """Sample a mask on another grid: each voxel takes the value of the mask's voxel in which its centre lies.

    Args:
        to_grid: (4, 4) matrix from indices (i, j, k) of the mask to those of the grid.
        grid: voxels of the grid outside which the mask is lost.
    """
    if mask.box.empty:
        return mask
    low, high = np.array(mask.box.extent).reshape(3, 2).T
    corners = transform_points(to_grid, box_corners(low - 0.5, high + 0.5))
    around = np.stack([np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))], axis=1)
    target = VoxelBox.from_extent(around.astype(int).ravel().tolist()).intersection(grid)
    if target.empty:
        return CroppedMask(target, np.zeros(target.shape, bool))
    image = vtk.vtkImageData()
    image.SetExtent(mask.box.extent)
    image.GetPointData().SetScalars(numpy_to_vtk(mask.voxels.view(np.uint8).ravel()))
    return CroppedMask.of(resample(image, np.linalg.inv(to_grid), target.extent) > 0, target.first)


def label(node: slicer.vtkMRMLNode) -> str:
    """Kind and name of the node for messages, such as "volume 'CT'"."""
    kinds = (
        ("vtkMRMLVolumeNode", _("volume '{name}'")),
        ("vtkMRMLSegmentationNode", _("segmentation '{name}'")),
        ("vtkMRMLMarkupsROINode", _("ROI '{name}'")),
    )
    template = next((text for class_name, text in kinds if node.IsA(class_name)), _("node '{name}'"))
    return template.format(name=node.GetName() or _("without a name"))
