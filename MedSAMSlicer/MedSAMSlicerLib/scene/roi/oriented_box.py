"""The box that an ROI is, where the box of voxels around it holds more: nothing outside of the ROI is to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompts import SlicePrompt
from ...engine.results import SliceResult
from .index_box import IndexBox, roi_corners, roi_to_index_box

# In voxels, as for the box of voxels around an ROI.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class OrientedBox:
    """A slanted box in world RAS. A voxel is in it when its centre is, faces included.

    Attributes:
        numbers: the upper three rows, row by row, of the matrix that takes world RAS mm to coordinates that lie
            between -1 and 1 in the box.
    """

    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.numbers) != 12 or not np.isfinite(self.numbers).all():
            raise InputError(_("an ROI in the scene cannot be read: use the ROI again"))

    @classmethod
    def of(
        cls, roi_node: slicer.vtkMRMLMarkupsROINode, ijk_to_world: np.ndarray, dims_ijk: tuple[int, int, int]
    ) -> OrientedBox | None:
        """None where the ROI's axes are those of the voxels: then the box of voxels around it is the same.

        An ROI so thin that it passes between the voxels' centres is taken to be as thick as a voxel.

        Args:
            ijk_to_world: (4, 4) from (i, j, k) of the voxel array to world RAS mm.
            dims_ijk: number of voxels along I, J, K.

        Raises:
            InputError: the ROI is empty, or no part of it lies in the volume.
        """
        corners = roi_corners(roi_node)
        edges = (corners[[4, 2, 1]] - corners[0]).T
        in_voxels = np.abs(np.linalg.inv(ijk_to_world[:3, :3]) @ edges)
        if (np.sort(in_voxels, axis=0)[:2].sum(axis=0) <= _TOLERANCE).all():
            return None
        to_box = np.linalg.inv(edges) * 2
        # How far a step from voxel to voxel goes, in halves of the box; the largest is the thickness of a voxel.
        steps = np.abs(to_box @ ijk_to_world[:3, :3]).max(axis=1)

        def of_halves(halves: np.ndarray) -> OrientedBox:
            scaled = to_box / (halves + _TOLERANCE * steps)[:, None]
            return cls(tuple(float(number) for number in np.c_[scaled, -scaled @ corners.mean(axis=0)].ravel()))

        solid, thin = of_halves(np.ones(3)), bool((steps > 2).any())
        if thin and not solid._holds_any(ijk_to_world, roi_to_index_box(roi_node, ijk_to_world, dims_ijk)):
            return of_halves(np.maximum(1.0, steps / 2))
        return solid

    @classmethod
    def from_content(cls, content: Sequence[float] | None) -> OrientedBox | None:
        """From `numbers` as they were kept in a scene. Raises InputError if they are none."""
        try:
            return None if content is None else cls(tuple(float(number) for number in content))
        except (TypeError, ValueError):
            raise InputError(_("an ROI in the scene cannot be read: use the ROI again")) from None

    def on_slice(self, slice_to_world: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """bool (rows, columns): which pixels of a slice lie in the box.

        Args:
            slice_to_world: (4, 4) that takes (column, row, 0) to world RAS mm.
        """
        matrix = np.eye(4)
        matrix[:3] = np.reshape(self.numbers, (3, 4))
        to_box = matrix @ slice_to_world
        inside = np.ones((rows, columns), bool)
        for of_column, of_row, _between, shift in to_box[:3]:
            # Sums of a row and a column: a fraction of the time that points of their own would take.
            along = (np.arange(rows) * of_row + shift)[:, None] + np.arange(columns) * of_column
            inside &= np.abs(along) <= 1
        return inside

    def limited(self, found: SliceResult, slice_to_world: np.ndarray) -> SliceResult:
        """The result of a slice without what lies outside of the box."""
        return replace(found, mask=found.mask & self.on_slice(slice_to_world, *found.mask.shape))

    def touched_by(self, prompt: SlicePrompt, slice_to_world: np.ndarray, rows: int, columns: int) -> bool:
        """Whether what is given on a slice may be about something in the box.

        It is not, if its rectangle or its mask has no pixel in the box, or a positive point lies outside.
        """
        inside = self.on_slice(slice_to_world, rows, columns)
        box, mask = prompt.box, None if prompt.mask is None else prompt.mask.mask
        if box is not None and not inside[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1].any():
            return False
        if mask is not None and not (mask & inside).any():
            return False
        if prompt.points is None:
            return True
        at = np.array(prompt.points.coordinates)[list(prompt.points.positive)]
        x, y = np.floor(at + 0.5).astype(int).reshape(-1, 2).T
        return bool(inside[y.clip(0, rows - 1), x.clip(0, columns - 1)].all())

    def _holds_any(self, ijk_to_world: np.ndarray, ranges: IndexBox) -> bool:
        """Whether a voxel of these ranges along I, J, K lies in the box."""
        (i0, i1), (j0, j1), (k0, k1) = ranges
        for k in range(k0, k1 + 1):
            first = np.eye(4)
            first[:3, 3] = (i0, j0, k)
            if self.on_slice(ijk_to_world @ first, j1 - j0 + 1, i1 - i0 + 1).any():
                return True
        return False
