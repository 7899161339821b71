"""What a write has changed in a segment, and whether it is still so: Undo and Redo tell nobody what they did."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .geometry import to_array


class SegmentVoxels:
    """One segment's voxels in a geometry that stays the same.

    Args:
        segmentation_node, segment_id: the segment, which may go.
        geometry: image whose extent and matrix say which voxels; its values are not read.
    """

    def __init__(
        self,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        geometry: slicer.vtkOrientedImageData,
    ) -> None:
        self._segmentation_node, self._segment_id = segmentation_node, segment_id
        self._matrix = _matrix_of(geometry)
        self.first = np.array(geometry.GetExtent()[::2])
        """(i, j, k) of the first voxel."""
        columns, rows, slices = geometry.GetDimensions()
        self.shape: tuple[int, int, int] = (slices, rows, columns)
        """Voxels along (k, j, i)."""

    def read(self, low: np.ndarray | None = None, size: tuple[int, int, int] | None = None) -> np.ndarray | None:
        """bool (k, j, i) array: all voxels, or `size` of them from `low` (k, j, i) on, counted from the first.

        None if the segment is gone, is no labelmap any more or has another geometry.
        """
        segmentation = self._segmentation_node.GetSegmentation()
        segment = None if segmentation is None else segmentation.GetSegment(self._segment_id)
        image = None if segment is None else segment.GetRepresentation("Binary labelmap")
        if segment is None or image is None:
            return None
        low, size = (np.zeros(3, int), self.shape) if low is None or size is None else (low, size)
        found = np.zeros(size, bool)
        scalars = image.GetPointData().GetScalars()
        if scalars is None or scalars.GetNumberOfTuples() == 0:
            return found
        if not np.allclose(_matrix_of(image), self._matrix, atol=1e-6):
            return None
        voxels = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
        offset = np.array(image.GetExtent()[::2])[::-1] - self.first[::-1] - low
        begin, end = np.maximum(offset, 0), np.minimum(offset + voxels.shape, size)
        if (begin < end).all():
            to = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
            of = tuple(slice(a, b) for a, b in zip(begin - offset, end - offset, strict=True))
            found[to] = voxels[of] == segment.GetLabelValue()
        return found


class WrittenVoxels:
    """What a write has changed. Only the box around the voxels that differ between before and after it is kept.

    Args:
        segment: reads the segment.
        before, after: bool (k, j, i) arrays of all of its voxels.
    """

    def __init__(self, segment: SegmentVoxels, before: np.ndarray, after: np.ndarray) -> None:
        self._segment = segment
        changed = before ^ after
        along = [np.flatnonzero(changed.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        self._low = np.array([n[0] if n.size else 0 for n in along])
        high = np.array([n[-1] + 1 if n.size else 0 for n in along])
        box = tuple(slice(a, b) for a, b in zip(self._low, high, strict=True))
        self._changed, self._after = changed[box].copy(), after[box].copy()
        self.undone = False
        """Whether nothing was left of the write when somebody looked, and it has not come back whole since."""

    def look(self) -> None:
        """Look how the segment is now, and set `undone`.

        A write that changed nothing cannot be undone; nor is it known of a segment that cannot be read any more.
        """
        size = self._changed.shape
        now = self._segment.read(self._low, (size[0], size[1], size[2])) if self._changed.any() else None
        if now is None:
            return
        added, removed = self._changed & self._after, self._changed & ~self._after
        if any(voxels.any() and not left.any() for voxels, left in ((added, now[added]), (removed, ~now[removed]))):
            self.undone = True
        elif (now[self._changed] == self._after[self._changed]).all():
            self.undone = False


def _matrix_of(image: slicer.vtkOrientedImageData) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return to_array(matrix)
