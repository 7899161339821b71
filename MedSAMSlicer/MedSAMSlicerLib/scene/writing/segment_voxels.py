"""Reads the voxels of a segment, box by box."""

from __future__ import annotations

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.voxel_box import VoxelBox
from ..volume.geometry import image_to_node

_EMPTY = VoxelBox((0, 0, 0), (0, 0, 0))


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
