"""What a write has changed in a segment, and whether it is still so: Undo and Redo tell nobody what they did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..volume.geometry import to_array


@dataclass(frozen=True)
class Part:
    """A box of voxels.

    Attributes:
        low: (k, j, i) of its first voxel.
        size: voxels along (k, j, i).
    """

    low: tuple[int, int, int]
    size: tuple[int, int, int]

    @classmethod
    def around(cls, mask: np.ndarray) -> Part:
        """Around all that is true in a bool (k, j, i) array; of no voxels if nothing is."""
        low, size = [], []
        for _axis in range(3):
            true = np.flatnonzero(mask.any(axis=(1, 2)))
            first, last = (int(true[0]), int(true[-1]) + 1) if true.size else (0, 0)
            low.append(first)
            size.append(last - first)
            # What lies outside along one axis need not be searched along the next.
            mask = mask[first:last].transpose(1, 2, 0)
        return cls((low[0], low[1], low[2]), (size[0], size[1], size[2]))

    def of(self, voxels: np.ndarray) -> np.ndarray:
        """The part of a (k, j, i) array of all voxels, as a view."""
        return voxels[tuple(slice(low, low + size) for low, size in zip(self.low, self.size, strict=True))]

    def within(self, other: Part) -> Part:
        """This part, counted from the first voxel of another one that holds it."""
        k, j, i = (mine - theirs for mine, theirs in zip(self.low, other.low, strict=True))
        return Part((k, j, i), self.size)

    def together(self, other: Part) -> Part:
        """The smallest part that holds both; one of no voxels is held by all."""
        if 0 in self.size or 0 in other.size:
            return self if 0 in other.size else other
        low = np.minimum(self.low, other.low)
        high = np.maximum(np.add(self.low, self.size), np.add(other.low, other.size))
        (k, j, i), (slices, rows, columns) = low.tolist(), (high - low).tolist()
        return Part((k, j, i), (slices, rows, columns))


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
        self._first = np.array(geometry.GetExtent()[::2])

    def read(self, part: Part) -> np.ndarray | None:
        """bool (k, j, i) array of a part, which is counted from the first voxel.

        None if the segment is gone, is no labelmap any more or has another geometry.
        """
        segmentation = self._segmentation_node.GetSegmentation()
        segment = None if segmentation is None else segmentation.GetSegment(self._segment_id)
        image = None if segment is None else segment.GetRepresentation("Binary labelmap")
        if segment is None or image is None:
            return None
        found = np.zeros(part.size, bool)
        scalars = image.GetPointData().GetScalars()
        if scalars is None or scalars.GetNumberOfTuples() == 0:
            return found
        if not np.allclose(_matrix_of(image), self._matrix, atol=1e-6):
            return None
        voxels = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
        offset = np.array(image.GetExtent()[::2])[::-1] - self._first[::-1] - part.low
        begin, end = np.maximum(offset, 0), np.minimum(offset + voxels.shape, part.size)
        if (begin < end).all():
            to = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
            of = tuple(slice(a, b) for a, b in zip(begin - offset, end - offset, strict=True))
            found[to] = voxels[of] == segment.GetLabelValue()
        return found


class WrittenVoxels:
    """What a write has changed.

    Args:
        segment: reads the segment.
        part: where something may have changed.
        before, after: bool (k, j, i) arrays of that part.
    """

    def __init__(self, segment: SegmentVoxels, part: Part, before: np.ndarray, after: np.ndarray) -> None:
        self._segment, self._part = segment, part
        self._changed, self._after = before ^ after, after
        self.undone = False
        """Whether nothing was left of the write when somebody looked, and it has not come back whole since."""

    def look(self) -> None:
        """Look how the segment is now, and set `undone`.

        A write that changed nothing cannot be undone; nor is it known of a segment that cannot be read any more.
        """
        now = self._segment.read(self._part) if self._changed.any() else None
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
