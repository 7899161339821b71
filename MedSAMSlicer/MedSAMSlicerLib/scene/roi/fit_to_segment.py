"""An ROI around a segment, so that it can be contoured again inside of it."""

from __future__ import annotations

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompts import Box
from ...engine.volume.affine import box_corners, transform_points
from ...engine.volume.voxel_box import VoxelBox
from ..volume.geometry import ijk_to_other, image_to_node, label
from ..volume.slice_stack import SliceStack, default_axis_of
from .conversion import prompt_to_roi

MARGIN = 2
"""Voxels between the segment and the ROI."""


def roi_around_segment(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    roi_node: slicer.vtkMRMLMarkupsROINode | None,
) -> slicer.vtkMRMLMarkupsROINode:
    """Places an ROI around a segment, along the axes of the volume, with a margin of `MARGIN` voxels.

    Args:
        volume_node, segmentation_node, segment_id: of one scene.
        roi_node: the ROI to place; None: a new one.

    Returns:
        The ROI.

    Raises:
        InputError: the segment is empty or lies outside of the volume, or the ROI cannot be placed.
    """
    stack = SliceStack(volume_node, default_axis_of(volume_node))
    to_world = stack.ijk_to_world @ np.linalg.inv(ijk_to_other(volume_node, segmentation_node))
    corners = transform_points(to_world, _corners_of_segment(segmentation_node, segment_id))
    positions = stack.world_to_slice(corners)
    low = np.floor(positions.min(axis=0) + 0.5).astype(int) - MARGIN
    high = np.ceil(positions.max(axis=0) - 0.5).astype(int) + MARGIN
    limit = np.array(stack.shape) - 1
    if (high < 0).any() or (low > limit).any():
        raise InputError(
            _("the segment lies outside of {volume_node}: choose the volume that it belongs to").format(
                volume_node=label(volume_node)
            )
        )
    (first, y0, x0), (last, y1, x1) = np.clip(low, 0, limit), np.clip(high, 0, limit)
    if roi_node is None:
        name = segmentation_node.GetSegmentation().GetSegment(segment_id).GetName()
        roi_node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLMarkupsROINode", f"{name} ROI")
        roi_node.CreateDefaultDisplayNodes()
    prompt_to_roi(roi_node, stack, int(first), int(last), Box(int(x0), int(y0), int(x1), int(y1)))
    return roi_node


def _corners_of_segment(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> np.ndarray:
    """(8, 3) corners, in the segmentation's RAS mm, of the box around the centres of the segment's voxels, along its labelmap's axes."""
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    labelmap = segment.GetRepresentation("Binary labelmap")
    scalars = None if labelmap is None else labelmap.GetPointData().GetScalars()
    inside = None
    if scalars is not None and scalars.GetNumberOfTuples():
        voxels = vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1])
        inside = voxels == segment.GetLabelValue()
    if inside is None or not inside.any():
        raise InputError(
            _("segment '{segment}' is empty: contour it first, or draw an ROI by hand").format(
                segment=segment.GetName()
            )
        )
    i, j, k = labelmap.GetExtent()[::2]
    low, high = np.array(VoxelBox.from_mask(inside, (k, j, i)).extent, dtype=float).reshape(3, 2).T
    return transform_points(image_to_node(labelmap), box_corners(low, high))
