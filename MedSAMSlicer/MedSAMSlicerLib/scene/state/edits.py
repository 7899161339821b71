"""Slices that the user has edited in the segment since a result was written to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Edits:
    """The edited slices as they were at one time.

    Attributes:
        since: number of the write that they are compared with; None if the segment holds no earlier form of the result.
        masks: slice index -> bool (rows, columns) mask of the object in the segment, on every slice that differs from what
            was written.
    """

    since: int | None = None
    masks: Mapping[int, np.ndarray] = field(default_factory=dict)

    def newer_than(self, earlier: Edits) -> dict[int, np.ndarray]:
        """Those that are not among earlier ones, or look different by now. After another write all of them are newer."""
        before = earlier.masks if earlier.since == self.since else {}
        return {
            index: mask
            for index, mask in self.masks.items()
            if index not in before or not np.array_equal(mask, before[index])
        }

    def undone_since(self, earlier: Edits) -> list[int]:
        """Slices that were among earlier edits, and hold again what was written."""
        return [index for index in earlier.masks if earlier.since == self.since and index not in self.masks]
