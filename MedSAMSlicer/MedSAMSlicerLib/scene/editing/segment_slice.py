"""What a segment holds on one slice of a stack."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.affine import transform_points
from ..volume.geometry import node_to_world, to_array
from ..volume.view_plane import Stack


def segment_on_slice(
    segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, stack: Stack, index: int
) -> np.ndarray:
    """bool (rows, columns): each pixel of the slice is what the segment's voxel is that its centre lies in.

    Transforms of both are gone through, so the slice may lie in any way to the segment's voxels. All False for a segment
    that is empty, or has no labelmap.

    Raises:
        InputError: the segmentation lies under a transform that is not linear, or there is no such slice.
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
    to_voxels = np.linalg.inv(node_to_world(segmentation_node) @ to_array(matrix)) @ stack.slice_to_world(index)
    pixels = np.zeros((rows * columns, 3))
    pixels[:, 1], pixels[:, 0] = (n.ravel() for n in np.indices((rows, columns)))
    # Where a centre lies on the face between two voxels, rounding errors must not decide pixel by pixel.
    ijk = np.floor(transform_points(to_voxels, pixels) + 0.5 + 1e-6).astype(int) - image.GetExtent()[::2]
    voxels = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
    inside = ((ijk >= 0) & (ijk < voxels.shape[::-1])).all(axis=1)
    i, j, k = ijk[inside].T
    found.ravel()[inside] = voxels[k, j, i] == segment.GetLabelValue()
    return found
