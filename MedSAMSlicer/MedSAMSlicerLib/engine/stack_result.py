"""The result of a run, kept in little memory: masks cropped to what is true in them, logits in half precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .errors import InputError
from .i18n import tr as _
from .prompts import Box
from .results import SliceResult


@dataclass(frozen=True)
class _Kept:
    result: SliceResult
    """With the cropped mask, and float16 logits."""
    row: int
    column: int


class StackResult:
    """Masks of a stack and what is known about each slice; logits are kept to a thousandth of their size.

    Args:
        shape: (slices, rows, columns) of the stack.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._kept: dict[int, _Kept] = {}

    def add(self, result: SliceResult) -> None:
        """Keep one slice; a slice that was there is replaced.

        Raises:
            InputError: the slice or its mask does not fit the stack.
        """
        slices, rows, columns = self.shape
        if not 0 <= result.index < slices or result.mask.shape != (rows, columns):
            raise InputError(
                _("slice {index} with {pixels} pixels does not fit a stack of {shape}").format(
                    index=result.index, pixels=result.mask.shape, shape=self.shape
                )
            )
        box = Box.around(result.mask)
        row, column = (0, 0) if box is None else (int(box.y0), int(box.x0))
        # A copy, not a view, lest the whole slice be kept.
        cropped = np.zeros((0, 0), bool) if box is None else _inside(result.mask, box).astype(bool)
        logits = None if result.low_res_logits is None else in_half_precision(result.low_res_logits)
        self._kept[result.index] = _Kept(replace(result, mask=cropped, low_res_logits=logits), row, column)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, index: int) -> bool:
        return index in self._kept

    def __iter__(self) -> Iterator[SliceResult]:
        """The slices that were answered, lowest index first, each with its whole (rows, columns) mask."""
        return (self[index] for index in sorted(self._kept))

    def __getitem__(self, index: int) -> SliceResult:
        """One slice with its whole (rows, columns) mask. Raises KeyError if it was not answered."""
        kept = self._kept[index]
        mask = np.zeros(self.shape[1:], bool)
        _paste(mask, kept)
        logits = kept.result.low_res_logits
        return replace(kept.result, mask=mask, low_res_logits=None if logits is None else logits.astype(np.float32))

    @property
    def pixels(self) -> int:
        """How many voxels are true in all."""
        return sum(int(np.count_nonzero(kept.result.mask)) for kept in self._kept.values())

    def to_stack(self) -> np.ndarray:
        """bool (slices, rows, columns); slices that were not answered are False."""
        stack = np.zeros(self.shape, bool)
        for index, kept in self._kept.items():
            _paste(stack[index], kept)
        return stack


def in_half_precision(logits: np.ndarray) -> np.ndarray:
    """float16 of the same shape; what is too large for it becomes the largest that fits."""
    largest = float(np.finfo(np.float16).max)
    return np.clip(logits, -largest, largest).astype(np.float16)


def _inside(mask: np.ndarray, box: Box) -> np.ndarray:
    return mask[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1]


def _paste(mask: np.ndarray, kept: _Kept) -> None:
    height, width = kept.result.mask.shape
    mask[kept.row : kept.row + height, kept.column : kept.column + width] = kept.result.mask
