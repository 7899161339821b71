"""The mask of a segment on one slice of a stack."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.volume.affine import transform_points
from ..volume.geometry import ijk_to_other, to_array
from ..volume.view_plane import Stack


def segment_on_slice(
    segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, stack: Stack, index: int
) -> np.ndarray:
    """Samples a segment on a slice, by nearest neighbour.

    The slice may have any orientation relative to the voxels of the segment; transforms of both nodes are applied.

    Args:
        segmentation_node, segment_id: the segment.
        stack, index: the slice.

    Returns:
        bool (rows, columns); all False if the segment is empty or has no labelmap.

    Raises:
        InputError: the segmentation is under a transform that is not linear, or there is no such slice.
    """
    rows, columns = stack.shape[1:]
    found = np.zeros((rows, columns), bool)
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    image = None if segment is None else segment.GetRepresentation("Binary labelmap")
    if segment is None or image is None:
        return found
    scalars = image.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        return found
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_node = ijk_to_other(stack.volume_node, segmentation_node) @ np.linalg.inv(stack.ijk_to_world)
    to_voxels = np.linalg.inv(to_array(matrix)) @ to_node @ stack.slice_to_world(index)
    pixels = np.zeros((rows * columns, 3))
    pixels[:, 1], pixels[:, 0] = (n.ravel() for n in np.indices((rows, columns)))
    # The small offset keeps rounding errors from deciding pixel by pixel where centres lie on a face between voxels.
    ijk = np.floor(transform_points(to_voxels, pixels) + 0.5 + 1e-6).astype(int) - image.GetExtent()[::2]
    voxels = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
    inside = ((ijk >= 0) & (ijk < voxels.shape[::-1])).all(axis=1)
    i, j, k = ijk[inside].T
    found.ravel()[inside] = voxels[k, j, i] == segment.GetLabelValue()
    return found
