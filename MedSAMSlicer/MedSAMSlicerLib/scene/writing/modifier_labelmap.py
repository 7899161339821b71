"""Brings a mask from a volume's voxels into the geometry of a segmentation, as the labelmap that segment editors take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...engine.affine import box_corners, transform_points
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.voxel_box import CroppedMask, VoxelBox
from ..volume.geometry import (
    ijk_to_world,
    image_to_node,
    label,
    node_to_world,
    to_matrix,
    voxels_of,
)


@dataclass(frozen=True)
class PlacedMask:
    """A mask in the voxels of a segmentation.

    Attributes:
        mask: the mask in the indices of the segmentation's reference geometry.
        voxels_outside: number of the mask's voxels in the volume whose centres lie outside the reference geometry.
            They are lost.
    """

    mask: CroppedMask
    voxels_outside: int


def place_mask(
    mask: np.ndarray,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkOrientedImageData,
) -> PlacedMask:
    """Resample a mask from a volume's voxels to a segmentation's.

    Each voxel of the reference geometry takes the value of the volume's voxel that its centre lies in, with the parent
    transforms of both nodes taken into account. Where the two geometries share their voxels, the copy is exact.

    Args:
        mask: bool (k, j, i) array in the volume's voxels.
        reference: image with the extent and the matrix of the segmentation's geometry, see `reference_geometry`; its
            voxels are not read.

    Raises:
        InputError: the mask does not have the volume's shape, a parent transform is not linear, or the mask is not
            empty and none of it falls on a voxel of the segmentation.
    """
    expected = voxels_of(volume_node).shape
    if mask.shape != expected:
        raise InputError(
            _("the result has shape {shape}, {volume_node} has {expected}: run it again").format(
                shape=mask.shape, volume_node=label(volume_node), expected=expected
            )
        )
    to_world = node_to_world(segmentation_node) @ image_to_node(reference)
    to_reference = np.linalg.inv(to_world) @ ijk_to_world(volume_node)

    source = CroppedMask.of(mask)
    if source.box.empty:
        return PlacedMask(source, 0)
    extent = np.array(reference.GetExtent()).reshape(3, 2)
    low, high = np.array(source.box.extent).reshape(3, 2).T
    corners = transform_points(to_reference, box_corners(low - 0.5, high + 0.5))
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int), extent[:, 0])
    last = np.minimum(np.ceil(corners.max(axis=0)).astype(int), extent[:, 1])
    target = VoxelBox.from_extent(np.stack([first, last], axis=1).ravel().tolist())
    placed = CroppedMask(target, np.zeros(target.shape, bool))
    if not target.empty:
        placed = CroppedMask.of(_nearest(source, np.linalg.inv(to_reference), target), target.first)
    if placed.box.empty:
        raise InputError(
            _(
                "nothing of the result falls on a voxel of {segmentation_node}: "
                "give it the geometry of {volume_node} (Segment Editor, Specify geometry)"
            ).format(segmentation_node=label(segmentation_node), volume_node=label(volume_node))
        )
    return PlacedMask(placed, _count_outside(source, to_reference, extent))


def make_labelmap(
    reference: slicer.vtkOrientedImageData, box: VoxelBox, voxels: np.ndarray | None = None
) -> slicer.vtkOrientedImageData:
    """A labelmap of unsigned char over a box of the reference geometry: 1 where `voxels` is true, else 0.

    Args:
        voxels: bool array of the box's shape; None: no voxel is true.
    """
    matrix = vtk.vtkMatrix4x4()
    reference.GetImageToWorldMatrix(matrix)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetImageToWorldMatrix(matrix)
    labelmap.SetExtent(box.extent)
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    scalars = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(box.shape)
    scalars[...] = 0 if voxels is None else voxels
    return labelmap


def reference_geometry(
    segmentation_node: slicer.vtkMRMLSegmentationNode, volume_node: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkOrientedImageData:
    """The geometry in which the segmentation is edited, as an image without voxels. Nothing in the scene is changed.

    It is the segmentation's own reference geometry, extended to hold all its segments. A segmentation without one uses
    the grid of its segments, extended to hold the volume; without segments, the grid of the volume.
    """
    segmentation = segmentation_node.GetSegmentation()
    image = slicer.vtkOrientedImageData()
    named = segmentation.GetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    )
    text = slicer.vtkSlicerSegmentEditorLogic.GetReferenceImageGeometryStringFromSegmentation(segmentation)
    if text:
        slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    extent = np.array(image.GetExtent()).reshape(3, 2)
    segments_to_world = node_to_world(segmentation_node)
    volume_to_world = ijk_to_world(volume_node)
    size = np.array(voxels_of(volume_node).shape[::-1])
    if not text or (extent[:, 0] > extent[:, 1]).any():
        image.SetImageToWorldMatrix(to_matrix(np.linalg.inv(segments_to_world) @ volume_to_world))
        image.SetExtent(0, int(size[0]) - 1, 0, int(size[1]) - 1, 0, int(size[2]) - 1)
    elif not named:
        # The text then covers only the existing segments, and no edit could reach beyond them.
        to_image = np.linalg.inv(segments_to_world @ image_to_node(image)) @ volume_to_world
        corners = transform_points(to_image, box_corners(np.zeros(3), size - 1.0))
        first = np.minimum(np.floor(corners.min(axis=0) + 0.5).astype(int), extent[:, 0])
        last = np.maximum(np.ceil(corners.max(axis=0) - 0.5).astype(int), extent[:, 1])
        image.SetExtent([int(n) for n in np.stack([first, last], axis=1).ravel()])
    return image


def _nearest(source: CroppedMask, to_volume: np.ndarray, target: VoxelBox) -> np.ndarray:
    """bool array of the target box: the mask at the position that `to_volume`, (4, 4), gives for each voxel."""
    image = vtk.vtkImageData()
    image.SetExtent(source.box.extent)
    image.GetPointData().SetScalars(numpy_to_vtk(source.voxels.view(np.uint8).ravel()))
    transform = vtk.vtkTransform()
    transform.SetMatrix(to_matrix(to_volume))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(transform)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(target.extent)
    reslice.SetInterpolationModeToNearestNeighbor()
    reslice.SetBackgroundLevel(0)
    reslice.Update()
    scalars = vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars())
    return np.asarray(scalars.reshape(target.shape) > 0)


def _count_outside(source: CroppedMask, to_reference: np.ndarray, extent: np.ndarray) -> int:
    """True voxels whose centre lies outside the extent, (3, 2) first and last index of the reference along i, j, k."""
    tolerance = 1e-4
    first_face, last_face = extent[:, 0] - 0.5 - tolerance, extent[:, 1] + 0.5 + tolerance

    def inside(points: np.ndarray) -> np.ndarray:
        return np.asarray(((points >= first_face) & (points <= last_face)).all(axis=1))

    low, high = np.array(source.box.extent).reshape(3, 2).T
    if inside(transform_points(to_reference, box_corners(low, high))).all():
        return 0
    outside = 0
    for offset, plane in enumerate(source.voxels):  # one slice at a time, to keep the array of centres small
        j, i = np.nonzero(plane)
        centres = np.stack([i + low[0], j + low[1], np.full_like(i, low[2] + offset)], axis=1).astype(float)
        outside += int(np.count_nonzero(~inside(transform_points(to_reference, centres))))
    return outside
