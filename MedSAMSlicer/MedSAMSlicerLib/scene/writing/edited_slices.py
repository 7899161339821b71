"""Slices that the user has edited in the segment since a result was written to it, and the object's masks on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from ...engine.volume.affine import transform_points
from ...engine.volume.voxel_box import CroppedMask, VoxelBox
from ..volume.geometry import ijk_to_other
from ..volume.view_plane import Stack
from .segmentation_grid import SegmentVoxels


@dataclass(frozen=True, eq=False)
class WrittenObject:
    """What a segment held when a result had just been written to it.

    Attributes:
        segment: reads the segment as it is now.
        own: voxels of the result that the segment held; on slices that were left as the user had edited them, those that it
            would have held otherwise, so that they still count as edited.
        others: its other voxels, which do not belong to the object.
    """

    segment: SegmentVoxels
    own: CroppedMask
    others: CroppedMask

    @classmethod
    def now(
        cls, segment: SegmentVoxels, written: CroppedMask, result: CroppedMask | None = None
    ) -> WrittenObject | None:
        """What the segment holds now. None if it is gone or not stored on its grid.

        Args:
            written: what was written, in the voxels of the segment.
            result: the result, likewise; None if that is what was written.
        """
        box = segment.bounding_box()
        if box is not None and result is not None:
            box = box.union(result.box)
        voxels = None if box is None else segment.read(box)
        if box is None or voxels is None:
            return None
        inside = written.inside(box)
        own = voxels & inside
        if result is not None:
            found = result.inside(box)
            own = np.where(found != inside, found, own)
        return cls(segment, CroppedMask.of(own, box.first), CroppedMask.of(voxels & ~inside, box.first))

    def edited_voxels(self) -> int:
        """How many voxels of the object were edited since."""
        compared = self._compare()
        return 0 if compared is None else int(np.count_nonzero(compared[2]))

    def _compare(self) -> tuple[VoxelBox, np.ndarray, np.ndarray] | None:
        """A box, the object in it as the segment holds it now, and where that was edited; None if it cannot be read."""
        content = self.segment.bounding_box()
        if content is None:
            return None
        box = content.union(self.own.box).union(self.others.box)
        now = self.segment.read(box)
        if now is None:
            return None
        held = now & ~self.others.inside(box)
        return box, held, held != self.own.inside(box)

    def masks_on(
        self, stack: Stack, segmentation_node: slicer.vtkMRMLSegmentationNode, indices: list[int] | None = None
    ) -> dict[int, np.ndarray]:
        """Slice index -> bool (rows, columns) mask of the object, as the segment holds it now.

        All that was added to the segment since counts as the object.

        Args:
            stack: slices of the result.
            segmentation_node: the segment's.
            indices: slices; None for those that were edited.
        """
        compared = self._compare()
        if compared is None:
            return {}
        box, held, edited = compared
        slice_to_voxels = (
            np.linalg.inv(self.segment.ijk_to_node)
            @ ijk_to_other(stack.volume_node, segmentation_node)
            @ np.linalg.inv(stack.ijk_to_world)
            @ stack.slice_to_world(0)
        )
        chosen = _slices_of(edited, box.first, slice_to_voxels, stack.shape[0]) if indices is None else indices
        found = {}
        for index in chosen:
            at, inside = _voxels_on(slice_to_voxels, index, stack.shape, box.first, box.shape)
            if indices is not None or edited[tuple(at)].any():
                mask = np.zeros(inside.shape, bool)
                mask[inside] = held[tuple(at)]
                found[index] = mask.reshape(stack.shape[1:])
        return found


def _slices_of(voxels: np.ndarray, first: tuple[int, int, int], slice_to_voxels: np.ndarray, slices: int) -> list[int]:
    """Slices that the voxels of a bool (k, j, i) array may lie on, ascending."""
    to_slice = np.linalg.inv(slice_to_voxels)[2]
    k, j, i = (axis + start for axis, start in zip(np.nonzero(voxels), first, strict=True))
    centres = to_slice[0] * i + to_slice[1] * j + to_slice[2] * k + to_slice[3]
    # Slices whose planes pass through the voxel; a little less, so that neighbours that only touch it do not count.
    reach = np.abs(to_slice[:3]).sum() / 2 - 1e-3
    reached = {
        index
        for centre in np.unique(centres.round(3)).tolist()
        for index in range(int(np.ceil(centre - reach)), int(np.floor(centre + reach)) + 1)
    }
    return sorted(index for index in reached if 0 <= index < slices)


def _voxels_on(
    slice_to_voxels: np.ndarray,
    index: int,
    shape: tuple[int, int, int],
    first: tuple[int, int, int],
    size: tuple[int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """The voxels that the pixels of a slice lie in: (3, n) indices k, j, i in a box, and which of the pixels lie in it."""
    _slices, rows, columns = shape
    pixels = np.full((rows * columns, 3), float(index))
    pixels[:, 1], pixels[:, 0] = (n.ravel() for n in np.indices((rows, columns)))
    # The small offset keeps rounding errors from deciding pixel by pixel where centres lie on a face between voxels.
    at = np.floor(transform_points(slice_to_voxels, pixels) + 0.5 + 1e-6).astype(int)[:, ::-1] - first
    inside = np.all((at >= 0) & (at < size), axis=1)
    return at[inside].T, inside
