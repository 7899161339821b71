"""Whether a 3D box said enough about the object in it, judged by what was found in it.

In a 3D box an object is expected to have sections like those of a sheared ellipsoid (`ellipsoid_prior`), whose centres
lie on a line. A long curved object lies beside them on most slices. Where it was found all the same, the centres of
its sections are not on a line. Where the model filled the expected sections instead, they are on one, and the only sign left is
its own doubt; in a long box, in which an object has room to bend, less doubt is enough.
"""

from __future__ import annotations

import numpy as np

from ..i18n import tr as _
from ..prompts import Box, StackPrompt
from ..results import SliceResult
from .settings import BoxFitSettings


class BoxFit:
    """What the results of a run in a 3D box say about the box.

    Args:
        prompt: prompt of the run.
        spacing: distance between slices, rows and columns, in millimetres.
        settings: limits.
    """

    def __init__(self, prompt: StackPrompt, spacing: tuple[float, float, float], settings: BoxFitSettings) -> None:
        self._settings = settings
        self._boxes: dict[int, Box] = {}
        self._confidences: list[float] = []
        self._judged = self._long = False
        box3d, slice_range = prompt.box3d, prompt.slice_range
        if box3d is not None and slice_range is not None:
            # Who has given prompts on several slices of the box has done what the notes ask for.
            own = sum(one.box_alone != box3d for one in prompt.slices.values())
            self._judged = own < settings.enough_key_slices
            slice_mm, row_mm, column_mm = spacing
            length = (slice_range[1] - slice_range[0] + 1) * slice_mm
            self._long = length >= settings.long_box * min(box3d.width * column_mm, box3d.height * row_mm)

    def add(self, result: SliceResult) -> None:
        """Add the result of a slice; each slice once, in any order."""
        self._confidences.append(result.confidence)
        box = Box.from_mask(result.mask)
        if box is not None:
            self._boxes[result.index] = box

    @property
    def bend(self) -> float:
        """How far the object bends: mean distance of the centres of its sections from a line along the stack.

        In mean widths or mean heights of the sections, whichever gives more. 0 if there are too few sections to tell.
        """
        if len(self._boxes) < self._settings.fewest_slices:
            return 0.0
        indices = np.array(list(self._boxes), float)
        edges = np.array([box.xyxy for box in self._boxes.values()])
        centres, sizes = (edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2] + 1
        terms = np.column_stack([indices - indices.mean(), np.ones(len(indices))])
        line = terms @ np.linalg.lstsq(terms, centres, rcond=None)[0]
        return float((np.abs(centres - line).mean(axis=0) / sizes.mean(axis=0)).max())

    @property
    def note(self) -> str:
        """What to tell the user once the run has ended; empty if the box said enough, or there is none."""
        settings = self._settings
        if not self._judged or len(self._confidences) < settings.fewest_slices:
            return ""
        if self.bend > settings.largest_bend:
            return _(
                "The object bends in its 3D box, which says little about where it lies on each slice: check it, or "
                "draw rectangles on 5 or more slices instead (key slices)."
            )
        least = settings.smallest_confidence_in_long if self._long else settings.smallest_confidence
        if np.mean(self._confidences) < least:
            return _(
                "The model is unsure where the object lies in its 3D box: check it, or draw rectangles on 5 or more "
                "slices instead (key slices)."
            )
        return ""
