"""A result in a volume's voxels as the labelmap that Segment Editor takes, in the segmentation's own geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...engine.affine import box_corners, transform_points
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ..volume.geometry import ijk_to_world, label, node_to_world, to_array, to_matrix, voxels_of


@dataclass(frozen=True)
class Modifier:
    """What is to be added to a segment, put in its place, or taken from it.

    Attributes:
        labelmap: vtkOrientedImageData, unsigned char, 1 where the object is, over the whole reference geometry.
        voxels: voxels of the reference geometry that are 1.
        voxels_outside: voxels of the result whose centre lies outside the reference geometry: they cannot be kept.
    """

    labelmap: slicer.vtkOrientedImageData
    voxels: int
    voxels_outside: int


def make_modifier(
    mask: np.ndarray,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkOrientedImageData,
) -> Modifier:
    """`mask` brought into the segmentation's geometry; nothing in the scene is changed.

    Each voxel of the reference geometry takes the value of the volume's voxel that its centre lies in, parent
    transforms of both nodes included, so where the two geometries share their voxels the copy is exact.

    Args:
        mask: bool (k, j, i) array in the volume's voxels.
        reference: image whose extent and matrix say the segmentation's geometry; its voxels are not read. In the
            Segment Editor, `scriptedEffect.defaultModifierLabelmap()`; else see `reference_geometry`.

    Raises:
        InputError: the mask is not of the volume's shape, a parent transform is not linear, or the mask is not empty
            but nothing of it falls on a voxel of the segmentation.
    """
    expected = voxels_of(volume_node).shape
    if mask.shape != expected:
        raise InputError(
            _("the result has shape {shape}, {volume_node} has {expected}: run it again").format(
                shape=mask.shape, volume_node=label(volume_node), expected=expected
            )
        )
    reference_ijk_to_ras = vtk.vtkMatrix4x4()
    reference.GetImageToWorldMatrix(reference_ijk_to_ras)
    to_world = node_to_world(segmentation_node) @ to_array(reference_ijk_to_ras)
    to_reference = np.linalg.inv(to_world) @ ijk_to_world(volume_node)

    labelmap, voxels = _blank_like(reference)
    bounds = _bounds(mask)
    if bounds is None:
        return Modifier(labelmap, 0, 0)
    extent = np.array(reference.GetExtent()).reshape(3, 2)
    low, high = bounds
    corners = transform_points(to_reference, box_corners(low - 0.5, high + 0.5))
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int), extent[:, 0])
    last = np.minimum(np.ceil(corners.max(axis=0)).astype(int), extent[:, 1])
    if (first <= last).all():
        part = tuple(
            slice(a, b + 1) for a, b in zip((first - extent[:, 0])[::-1], (last - extent[:, 0])[::-1], strict=True)
        )
        voxels[part] = _nearest(mask, low, high, np.linalg.inv(to_reference), first, last)
    kept = int(np.count_nonzero(voxels))
    if kept == 0:
        raise InputError(
            _(
                "nothing of the result falls on a voxel of {segmentation_node}: "
                "give it the geometry of {volume_node} (Segment Editor, Specify geometry)"
            ).format(segmentation_node=label(segmentation_node), volume_node=label(volume_node))
        )
    return Modifier(labelmap, kept, _count_outside(mask, low, high, to_reference, extent))


def reference_geometry(
    segmentation_node: slicer.vtkMRMLSegmentationNode, volume_node: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkOrientedImageData:
    """The geometry that edits of the segmentation happen in, without voxels; nothing in the scene is changed.

    It is the geometry that the segmentation names, grown to hold all its segments. One that names none has the voxels
    of its segments, as far as the volume reaches; one that has no segments either, the voxels of the volume.
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
        # Without a name the text says the bounds of the segments alone, and nothing could grow beyond them.
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        to_image = np.linalg.inv(segments_to_world @ to_array(matrix)) @ volume_to_world
        corners = transform_points(to_image, box_corners(np.zeros(3), size - 1.0))
        first = np.minimum(np.floor(corners.min(axis=0) + 0.5).astype(int), extent[:, 0])
        last = np.maximum(np.ceil(corners.max(axis=0) - 0.5).astype(int), extent[:, 1])
        image.SetExtent([int(n) for n in np.stack([first, last], axis=1).ravel()])
    return image


def _blank_like(reference: slicer.vtkOrientedImageData) -> tuple[slicer.vtkOrientedImageData, np.ndarray]:
    """A labelmap of zeros in the reference geometry, and its voxels as a (k, j, i) view to write to."""
    matrix = vtk.vtkMatrix4x4()
    reference.GetImageToWorldMatrix(matrix)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetImageToWorldMatrix(matrix)
    labelmap.SetExtent(reference.GetExtent())
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    voxels[...] = 0
    return labelmap, voxels


def _bounds(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last (i, j, k) that holds a true voxel; None for an empty mask."""
    along = [np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
    if along[0].size == 0:
        return None
    return np.array([n[0] for n in along]), np.array([n[-1] for n in along])


def _cut(mask: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return mask[low[2] : high[2] + 1, low[1] : high[1] + 1, low[0] : high[0] + 1]


def _nearest(
    mask: np.ndarray, low: np.ndarray, high: np.ndarray, to_volume: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """(k, j, i) uint8: the part `low` to `high` of the mask, seen from reference voxels `first` to `last`."""
    part = np.ascontiguousarray(_cut(mask, low, high), dtype=np.uint8)
    image = vtk.vtkImageData()
    image.SetExtent([int(n) for n in np.stack([low, high], axis=1).ravel()])
    image.GetPointData().SetScalars(numpy_to_vtk(part.ravel()))
    transform = vtk.vtkTransform()
    transform.SetMatrix(to_matrix(to_volume))
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(transform)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent([int(n) for n in np.stack([first, last], axis=1).ravel()])
    reslice.SetInterpolationModeToNearestNeighbor()
    reslice.SetBackgroundLevel(0)
    reslice.Update()
    output = reslice.GetOutput()
    return vtk_to_numpy(output.GetPointData().GetScalars()).reshape(output.GetDimensions()[::-1]).copy()


def _count_outside(
    mask: np.ndarray, low: np.ndarray, high: np.ndarray, to_reference: np.ndarray, extent: np.ndarray
) -> int:
    """True voxels whose centre lies outside the extent, (3, 2) first and last voxel of the reference."""

    tolerance = 1e-4
    first_face, last_face = extent[:, 0] - 0.5 - tolerance, extent[:, 1] + 0.5 + tolerance

    def inside(points: np.ndarray) -> np.ndarray:
        return np.asarray(((points >= first_face) & (points <= last_face)).all(axis=1))

    if inside(transform_points(to_reference, box_corners(low, high))).all():
        return 0
    outside = 0
    for k in range(low[2], high[2] + 1):  # slice by slice: all centres at once would be many times the volume
        j, i = np.nonzero(mask[k])
        centres = np.stack([i, j, np.full_like(i, k)], axis=1).astype(float)
        outside += int(np.count_nonzero(~inside(transform_points(to_reference, centres))))
    return outside
