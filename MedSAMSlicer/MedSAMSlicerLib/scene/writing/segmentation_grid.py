"""The grid in which a segmentation is edited: its geometry, masks and labelmaps on it, and the voxels of a segment."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.volume.affine import box_corners, transform_points
from ...engine.volume.voxel_box import CroppedMask, VoxelBox
from ..volume.geometry import (
    checked_mask,
    grid_shape,
    ijk_to_other,
    image_to_node,
    label,
    resample_mask,
    to_matrix,
)

_EMPTY = VoxelBox((0, 0, 0), (0, 0, 0))


def place_mask(
    mask: np.ndarray,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkOrientedImageData,
) -> tuple[CroppedMask, int]:
    """Resample a mask from a volume's voxels to a segmentation's.

    Each voxel of the reference geometry takes the value of the volume's voxel that its centre lies in, with the parent
    transforms of both nodes taken into account. Where the two geometries share their voxels, the copy is exact.

    Args:
        mask: bool (k, j, i) array in the volume's voxels.
        reference: image with the extent and the matrix of the segmentation's geometry, see `reference_geometry`; its
            voxels are not read.

    Returns:
        The mask in the indices of the reference geometry, and the number of the mask's voxels in the volume whose centres
        lie outside of it: they are lost.

    Raises:
        InputError: the mask does not have the volume's shape, a parent transform is not linear, or the mask is not
            empty and none of it falls on a voxel of the segmentation.
    """
    to_reference = np.linalg.inv(image_to_node(reference)) @ ijk_to_other(volume_node, segmentation_node)

    source = CroppedMask.of(checked_mask(mask, grid_shape(volume_node), volume_node))
    if source.box.empty:
        return source, 0
    placed = resample_mask(source, to_reference, VoxelBox.from_extent(reference.GetExtent()))
    if placed.box.empty:
        raise InputError(
            _(
                "nothing of the result falls on a voxel of {segmentation_node}: "
                "give it the geometry of {volume_node} (Segment Editor, Specify geometry)"
            ).format(segmentation_node=label(segmentation_node), volume_node=label(volume_node))
        )
    extent = np.array(reference.GetExtent()).reshape(3, 2)
    return placed, _count_outside(source, to_reference, extent)


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
    volume_to_segments = ijk_to_other(volume_node, segmentation_node)
    size = np.array(grid_shape(volume_node)[::-1])
    if not text or (extent[:, 0] > extent[:, 1]).any():
        image.SetImageToWorldMatrix(to_matrix(volume_to_segments))
        image.SetExtent(0, int(size[0]) - 1, 0, int(size[1]) - 1, 0, int(size[2]) - 1)
    elif not named:
        # The text then covers only the existing segments, and no edit could reach beyond them.
        to_image = np.linalg.inv(image_to_node(image)) @ volume_to_segments
        corners = transform_points(to_image, box_corners(np.zeros(3), size - 1.0))
        first = np.minimum(np.floor(corners.min(axis=0) + 0.5).astype(int), extent[:, 0])
        last = np.maximum(np.ceil(corners.max(axis=0) - 0.5).astype(int), extent[:, 1])
        image.SetExtent([int(n) for n in np.stack([first, last], axis=1).ravel()])
    return image


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


class SegmentVoxels:
    """The voxels of one segment on a fixed grid. Nothing larger than the box in question is copied.

    Args:
        segmentation_node, segment_id: the segment. It may be deleted later.
        grid: image whose matrix defines the grid; its extent and voxels are not read.
    """

    def __init__(
        self, segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, grid: slicer.vtkOrientedImageData
    ) -> None:
        self._segmentation_node, self._segment_id = segmentation_node, segment_id
        self._matrix = image_to_node(grid)

    @property
    def ijk_to_node(self) -> np.ndarray:
        """(4, 4) matrix from indices of the grid to the segmentation's coordinates, before its transforms."""
        return self._matrix

    def has_grid_of(self, other: SegmentVoxels) -> bool:
        """Whether an index means the same voxel in both."""
        return np.allclose(self._matrix, other._matrix, atol=1e-6)

    @property
    def on_grid(self) -> bool:
        """Whether the segment exists and is stored on the grid. An empty segment is on every grid."""
        return self._stored() is not None

    def read(self, box: VoxelBox) -> np.ndarray | None:
        """The voxels in a box as a bool (k, j, i) array; None if the segment is gone or is not stored on the grid."""
        stored = self._stored()
        if stored is None:
            return None
        stored_box, labels, label = stored
        common = stored_box.intersection(box)
        result = np.zeros(box.shape, bool)
        result[common.slices_in(box)] = labels[common.slices_in(stored_box)] == label
        return result

    def holds(self, voxels: np.ndarray) -> np.ndarray | None:
        """Whether the segment holds each of (N, 3) voxels (k, j, i); None if it is gone or is not stored on the grid."""
        stored = self._stored()
        if stored is None:
            return None
        (box, labels, label), result = stored, np.zeros(len(voxels), bool)
        at = voxels - box.first
        inside = ((at >= 0) & (at < box.shape)).all(axis=1)
        result[inside] = labels[tuple(at[inside].T)] == label
        return result

    def bounding_box(self) -> VoxelBox | None:
        """The smallest box around the segment; None if the segment is gone or is not stored on the grid."""
        stored = self._stored()
        if stored is None:
            return None
        (box, labels, label), bounding = stored, _EMPTY
        k, j, i = box.first
        # One slice at a time: segments may share an image of the volume's size.
        for offset, plane in enumerate(labels):
            bounding = bounding.union(VoxelBox.from_mask((plane == label)[None], (k + offset, j, i)))
        return bounding

    def _stored(self) -> tuple[VoxelBox, np.ndarray, int] | None:
        """The segment's image, which other segments may share: its box, its labels, and the segment's label."""
        segmentation = self._segmentation_node.GetSegmentation()
        segment = None if segmentation is None else segmentation.GetSegment(self._segment_id)
        image = None if segment is None else segment.GetRepresentation("Binary labelmap")
        if segment is None or image is None:
            return None
        scalars = image.GetPointData().GetScalars()
        if scalars is None or scalars.GetNumberOfTuples() == 0:
            return _EMPTY, np.zeros(_EMPTY.shape, np.uint8), segment.GetLabelValue()
        if not np.allclose(image_to_node(image), self._matrix, atol=1e-6):
            return None
        box = VoxelBox.from_extent(image.GetExtent())
        return box, vtk_to_numpy(scalars).reshape(box.shape), segment.GetLabelValue()
