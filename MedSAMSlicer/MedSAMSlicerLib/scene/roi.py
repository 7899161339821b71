"""Markups ROI boxes of any rotation to prompts and back. World is RAS, in millimetres.

A voxel belongs to a box when its centre lies in it, faces included. All eight corners are taken to voxel indices:
two opposite ones are enough only while the ROI and the volume have the same axes.
"""

from __future__ import annotations

import numpy as np
import slicer

from ..engine.errors import InputError
from ..engine.prompts import Box, StackPrompt
from ..engine.words import tr as _
from .geometry import apply, box_corners, label, node_to_world, to_array, to_matrix
from .roi_file import load_roi
from .slice_stack import SliceStack

__all__ = ["IndexBox", "load_roi", "prompt_to_roi", "roi_corners", "roi_to_index_box", "roi_to_prompt"]

IndexBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

# In voxels. Slicer keeps an ROI's centre in single precision; a face meant to lie on a voxel's centre must not miss it.
_TOLERANCE = 1e-3


def roi_corners(roi_node: slicer.vtkMRMLMarkupsROINode) -> np.ndarray:
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
    corners = apply(to_array(roi_node.GetObjectToWorldMatrix()), box_corners(-half, half))
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


def roi_to_index_box(
    roi_node: slicer.vtkMRMLMarkupsROINode, ijk_to_ras: np.ndarray, dims_ijk: tuple[int, int, int]
) -> IndexBox:
    """Smallest box of voxels that holds every voxel whose centre lies between the ROI's eight corners.

    An ROI so thin that it passes between the voxel centres gives the voxels that it lies in.

    Args:
        roi_node: the ROI, with whatever rotation and parent transform.
        ijk_to_ras: (4, 4) from (i, j, k) of the voxel array to world RAS mm.
        dims_ijk: number of voxels along I, J, K.

    Returns:
        First and last index, included, along I, J, K; within the volume.

    Raises:
        InputError: the ROI is empty or inside out, or no part of it lies in the volume.
    """
    if roi_node is not None and roi_node.GetInsideOut():
        raise InputError(
            _("{roi_node} is inside out, so it means all but the box: switch 'Inside out' off").format(
                roi_node=label(roi_node)
            )
        )
    corners = apply(np.linalg.inv(ijk_to_ras), roi_corners(roi_node))
    low_face, high_face = np.full(3, -0.5), np.array(dims_ijk) - 0.5
    if _apart(corners, box_corners(low_face, high_face)):
        raise InputError(
            _("{roi_node} lies outside the volume: move it over the object").format(roi_node=label(roi_node))
        )
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle = (np.maximum(low, low_face) + np.minimum(high, high_face)) / 2
    first, last = np.ceil(low - _TOLERANCE), np.floor(high + _TOLERANCE)
    limit = np.array(dims_ijk) - 1
    first, last = np.maximum(first, 0), np.minimum(last, limit)
    between = first > last
    nearest = np.clip(np.floor(middle + 0.5), 0, limit)
    first, last = np.where(between, nearest, first), np.where(between, nearest, last)
    i, j, k = ((int(a), int(b)) for a, b in zip(first, last, strict=True))
    return (i, j, k)


def roi_to_prompt(roi_node: slicer.vtkMRMLMarkupsROINode, stack: SliceStack) -> StackPrompt:
    """The ROI as a 3D box in the slices of `stack`, clipped to the volume.

    Raises:
        InputError: the ROI is empty or inside out, or no part of it lies in the volume.
    """
    ranges = roi_to_index_box(roi_node, stack.ijk_to_world, stack.dimensions)
    (first, last), (y0, y1), (x0, x1) = (ranges[n] for n in stack.ijk_axes)
    return StackPrompt.from_box3d(first, last, Box(x0, y0, x1, y1))


def prompt_to_roi(roi_node: slicer.vtkMRMLMarkupsROINode, stack: SliceStack, first: int, last: int, box: Box) -> None:
    """Place the ROI around the outer faces of the voxels of `box` on slices `first` to `last`, all included.

    The ROI takes the volume's axes, so the faces match exactly; around the slanted voxels of a sheared volume it is
    the smallest box along the rows that holds them all.

    Raises:
        InputError: the slices are turned over, or the ROI lies under a transform that cannot carry such a box.
    """
    if last < first:
        raise InputError(
            _("slices {first} to {last} are turned over: give the lower slice first").format(first=first, last=last)
        )
    across, along_rows, along_columns = stack.ijk_axes
    low, high = np.empty(3), np.empty(3)
    for axis, start, stop in (
        (across, first, last),
        (along_rows, box.y0, box.y1),
        (along_columns, box.x0, box.x1),
    ):
        low[axis], high[axis] = start - 0.5, stop + 0.5
    wanted = apply(stack.ijk_to_world, box_corners(low, high))

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
    object_to_node[:3, 3] = apply(world_to_node, center[None])[0]

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


def _apart(corners: np.ndarray, volume_corners: np.ndarray) -> bool:
    """Whether two slanted boxes, each (8, 3) corners as `box_corners` orders them, have no inside in common.

    Convex bodies are apart when a plane separates them; for boxes, planes along a face of one or an edge of each do.
    """

    def edges(box: np.ndarray) -> np.ndarray:
        return box[[4, 2, 1]] - box[0]

    def crossed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.cross(a[:, None], b[None]).reshape(-1, 3)

    ours, theirs = edges(corners), edges(volume_corners)
    normals = np.concatenate([crossed(ours, ours), crossed(theirs, theirs), crossed(ours, theirs)])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 1e-12] / lengths[lengths > 1e-12, None]
    a, b = corners @ normals.T, volume_corners @ normals.T
    overlap = np.minimum(a.max(axis=0), b.max(axis=0)) - np.maximum(a.min(axis=0), b.min(axis=0))
    return bool((overlap <= _TOLERANCE).any())
