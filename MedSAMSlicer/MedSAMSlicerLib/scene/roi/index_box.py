"""Where an ROI lies among the voxels of a volume. World is RAS, in millimetres.

A voxel belongs to a box when its centre lies in it, faces included. All eight corners are taken to voxel indices:
two opposite ones are enough only while the ROI and the volume have the same axes.
"""

from __future__ import annotations

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ..volume.geometry import apply, box_corners, label, to_array

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
