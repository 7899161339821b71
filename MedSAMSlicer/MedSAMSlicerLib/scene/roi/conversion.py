"""Markups ROI boxes of any rotation to prompts and back. World is RAS, in millimetres."""

from __future__ import annotations

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompts import Box
from ...engine.volume.affine import box_corners, transform_points
from ...engine.volume.oriented_box import IndexBox, OrientedBox, roi_boxes
from ...engine.volume.volume_prompt import VolumePrompt, volume_prompt
from ..volume.geometry import label, node_to_world, to_array, to_matrix
from ..volume.slice_stack import SliceStack


def roi_corners(roi_node: slicer.vtkMRMLMarkupsROINode | None) -> np.ndarray:
    """(8, 3) corners of the ROI in world RAS mm, as Slicer draws it, parent transforms included.

    Raises:
        InputError: no ROI, or one without extent in some direction: too flat, a bounding box of too few control
            points, or under a transform that takes its volume away.
    """
    if roi_node is None:
        raise InputError(_("no ROI is selected: choose or draw one"))
    half = np.array(roi_node.GetSize()) / 2
    bounding = roi_node.GetROIType() == slicer.vtkMRMLMarkupsROINode.ROITypeBoundingBox
    if bounding and roi_node.GetNumberOfControlPoints() < 2:
        raise InputError(
            _("{roi_node} is a bounding box of too few control points: place more around the object").format(
                roi_node=label(roi_node)
            )
        )
    corners = transform_points(to_array(roi_node.GetObjectToWorldMatrix()), box_corners(-half, half))
    if not (half > 0).all():
        raise InputError(
            _("{roi_node} is empty: draw it so that it has width, height and depth").format(roi_node=label(roi_node))
        )
    if not np.isfinite(corners).all():
        raise InputError(
            _("{roi_node} has no orientation, or its transform has none: draw it again").format(
                roi_node=label(roi_node)
            )
        )
    return corners


def roi_to_boxes(
    roi_node: slicer.vtkMRMLMarkupsROINode | None, ijk_to_ras: np.ndarray, dims_ijk: tuple[int, int, int]
) -> tuple[IndexBox, OrientedBox | None]:
    """The voxels of a volume whose centres lie in the ROI, as their bounding box; see `index_box`.

    Args:
        roi_node: the ROI, with any rotation and parent transform.
        ijk_to_ras: (4, 4) from (i, j, k) of the voxel array to world RAS mm.
        dims_ijk: number of voxels along I, J, K.

    Returns:
        The bounding box and, if the ROI does not follow the axes of the voxels, the ROI as an oriented box.

    Raises:
        InputError: the ROI is empty or inside out, or no part of it lies in the volume.
    """
    if roi_node is not None and roi_node.GetInsideOut():
        raise InputError(
            _("{roi_node} is inside out, so it means all but the box: switch 'Inside out' off").format(
                roi_node=label(roi_node)
            )
        )
    return roi_boxes(roi_corners(roi_node), ijk_to_ras, dims_ijk, label(roi_node))


def roi_to_prompt(roi_node: slicer.vtkMRMLMarkupsROINode | None, stack: SliceStack) -> VolumePrompt:
    """The ROI as a 3D box in the slices of `stack`, clipped to the volume; rotated, it limits the masks too.

    Raises:
        InputError: as for `roi_to_boxes`.
    """
    boxes = roi_to_boxes(roi_node, stack.ijk_to_world, stack.dimensions)
    return volume_prompt(stack.dimensions, stack.axis, boxes)


def prompt_to_roi(roi_node: slicer.vtkMRMLMarkupsROINode, stack: SliceStack, first: int, last: int, box: Box) -> None:
    """Place the ROI around the outer faces of the voxels of `box` on slices `first` to `last`, all included.

    The ROI takes the volume's axes, so the faces match exactly; around the slanted voxels of a sheared volume it is
    the smallest box along the rows that holds them all.

    Raises:
        InputError: the slices are reversed, or the ROI lies under a transform that cannot carry such a box.
    """
    if last < first:
        raise InputError(
            _("slices {first} to {last} are reversed: give the lower slice first").format(first=first, last=last)
        )
    across, along_rows, along_columns = stack.ijk_axes
    low, high = np.empty(3), np.empty(3)
    for axis, start, stop in (
        (across, first, last),
        (along_rows, box.y0, box.y1),
        (along_columns, box.x0, box.x1),
    ):
        low[axis], high[axis] = start - 0.5, stop + 0.5
    wanted = transform_points(stack.ijk_to_world, box_corners(low, high))

    axes = _right_handed(stack.ijk_to_world[:3, :3])
    along = wanted @ axes
    low_mm, high_mm = along.min(axis=0), along.max(axis=0)
    center = axes @ (low_mm + high_mm) / 2

    world_to_node = np.linalg.inv(node_to_world(roi_node))
    node_axes = world_to_node[:3, :3] @ axes
    scale = np.linalg.norm(node_axes, axis=0)
    node_axes = node_axes / scale
    if not np.allclose(node_axes.T @ node_axes, np.eye(3), atol=1e-6):
        raise InputError(
            _("{roi_node} lies under a transform that slants it: remove the ROI's transform").format(
                roi_node=label(roi_node)
            )
        )
    object_to_node = np.eye(4)
    object_to_node[:3, :3] = node_axes
    object_to_node[:3, 3] = transform_points(world_to_node, center[None])[0]

    events = roi_node.StartModify()
    try:
        roi_node.SetROIType(slicer.vtkMRMLMarkupsROINode.ROITypeBox)
        roi_node.SetInsideOut(False)
        roi_node.SetAndObserveObjectToNodeMatrix(to_matrix(object_to_node))
        roi_node.SetSize(*((high_mm - low_mm) * scale))
    finally:
        roi_node.EndModify(events)


def _right_handed(directions: np.ndarray) -> np.ndarray:
    """Orthonormal right-handed (3, 3) axes along the columns of `directions`; a box does not care which way they point."""
    axes, triangle = np.linalg.qr(directions)
    axes = axes * np.where(np.diag(triangle) < 0, -1.0, 1.0)
    if np.linalg.det(axes) < 0:
        axes[:, 2] = -axes[:, 2]
    return axes
