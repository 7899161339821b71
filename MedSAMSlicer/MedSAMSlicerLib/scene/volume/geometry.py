"""From MRML's matrices and images to numpy. World is RAS, in millimetres, parent transforms included."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.errors import InputError
from ...engine.i18n import tr as _


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
    """(4, 4) matrix from the node's own RAS to world RAS through all its parent transforms.

    Raises:
        InputError: one of the parent transforms is not linear.
    """
    parent = node.GetParentTransformNode()
    matrix = vtk.vtkMatrix4x4()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise InputError(
                _("{node} lies under the nonlinear transform '{transform}': harden the transform first").format(
                    node=label(node), transform=parent.GetName()
                )
            )
        parent.GetMatrixTransformToWorld(matrix)
    return to_array(matrix)


def ijk_to_world(volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """(4, 4) matrix from (i, j, k) in the volume's voxel array, counted from 0, to world RAS.

    Raises:
        InputError: a parent transform is not linear, or the matrix cannot be inverted.
    """
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(ijk_to_ras)
    image = volume_node.GetImageData()
    # MRML counts voxels from the start of the image's extent, numpy from 0.
    first_voxel = np.eye(4)
    first_voxel[:3, 3] = image.GetExtent()[::2] if image is not None else 0
    matrix = node_to_world(volume_node) @ to_array(ijk_to_ras) @ first_voxel
    # Relative to the voxel's size, so that voxels of micrometres are not taken for flat ones.
    box = float(np.prod(voxel_sizes(matrix)))
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) <= 1e-6 * box:
        raise InputError(
            _("{volume_node} has a geometry that cannot be inverted: check its spacing and transform").format(
                volume_node=label(volume_node)
            )
        )
    return matrix


def image_to_node(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """(4, 4) matrix from (i, j, k) indices of a segmentation's image to the RAS coordinates of its node."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return to_array(matrix)


def voxel_sizes(matrix: np.ndarray) -> tuple[float, float, float]:
    """Millimetres from voxel to voxel along I, J, K of a (4, 4) index-to-world matrix."""
    i, j, k = np.linalg.norm(matrix[:3, :3], axis=0)
    return (float(i), float(j), float(k))


def voxels_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """The volume's own voxels as a read-only (k, j, i) view; nothing is copied.

    Raises:
        InputError: there is no volume, it has no voxels, is flat, or holds more than one value per voxel.
    """
    if volume_node is None:
        raise InputError(_("no volume is selected: choose the volume to segment"))
    image = volume_node.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        raise InputError(_("{volume_node} has no voxels: load its image first").format(volume_node=label(volume_node)))
    components = scalars.GetNumberOfComponents()
    if components != 1:
        raise InputError(
            _("{volume_node} has {components} values in each voxel: choose a volume of single values").format(
                volume_node=label(volume_node), components=components
            )
        )
    dimensions = image.GetDimensions()
    if min(dimensions) < 2:
        size = " x ".join(str(n) for n in dimensions)
        raise InputError(
            _("{volume_node} is flat ({size} voxels): choose a volume with at least two slices").format(
                volume_node=label(volume_node), size=size
            )
        )
    if scalars.GetDataType() == vtk.VTK_BIT:
        raise InputError(
            _("{volume_node} stores single bits: convert it to whole numbers (Cast Scalar Volume)").format(
                volume_node=label(volume_node)
            )
        )
    voxels = vtk_to_numpy(scalars).reshape(dimensions[::-1])
    voxels.flags.writeable = False
    return voxels


def label(node: slicer.vtkMRMLNode) -> str:
    """What a message calls the node."""
    kinds = (
        ("vtkMRMLVolumeNode", _("volume '{name}'")),
        ("vtkMRMLSegmentationNode", _("segmentation '{name}'")),
        ("vtkMRMLMarkupsROINode", _("ROI '{name}'")),
    )
    text = next((words for class_name, words in kinds if node.IsA(class_name)), _("node '{name}'"))
    return text.format(name=node.GetName() or _("without a name"))
