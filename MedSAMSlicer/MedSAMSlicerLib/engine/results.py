"""Results of inference: the prediction for one prompt, one slice of a segmentation, and the segmentation of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from .errors import InputError
from .i18n import tr as _
from .prompts import Box


@dataclass(frozen=True)
class Prediction:
    """Mask that a model predicts for one prompt on one slice.

    Attributes:
        mask: bool (rows, columns) in slice pixels.
        predicted_iou: the model's estimate of the intersection over union of its mask; about 0..1, not clipped.
        low_res_logits: float32 (h, w) at the decoder's resolution, before the sigmoid. Empty, (0, 0), for predictions that
            come from the inference process, of a model that takes no masks as prompts.
        candidates: all masks that the decoder returned for the prompt, in its order, if it was asked for several. This
            prediction is the candidate with the highest predicted IoU. Empty if only one mask was requested, and for
            predictions that come from the inference process.
    """

    mask: np.ndarray
    predicted_iou: float
    low_res_logits: np.ndarray
    candidates: tuple[Prediction, ...] = ()


@dataclass(frozen=True)
class SliceResult:
    """Segmentation of one slice of a stack.

    Attributes:
        index: slice index in the stack.
        mask: bool (rows, columns); all False if the slice does not show the object.
        box: box that was prompted, in slice pixels; None if the slice was not prompted.
        predicted_iou: the model's estimate of the intersection over union of its mask; about 0..1, not clipped.
        confidence: 0 (unreliable) to 1 (reliable).
        needs_review: True if the confidence is so low that a person should check the slice.
        key: True for a key slice: the user gave the prompt.
        interpolated: True if the model did not see the slice and the mask is interpolated from the slices on both
            sides; see `propagation.slice_skipping`.
        provisional: True for a first answer, which the final result of the same slice replaces before the run ends.
        low_res_logits: float32 (h, w) logits that the mask was made from, smoothed along the stack if the mask was.
            Present on key slices and, for models that accept mask prompts, on every slice with a non-empty mask:
            a correction of the slice starts from them (`MaskPrompt`).
    """

    index: int
    mask: np.ndarray
    box: Box | None
    predicted_iou: float
    confidence: float
    needs_review: bool
    key: bool = False
    interpolated: bool = False
    provisional: bool = False
    low_res_logits: np.ndarray | None = None


@dataclass(frozen=True)
class _CompactSlice:
    """A slice result whose mask is cropped to its bounding box and whose logits are float16.

    Attributes:
        row, column: position of the cropped mask in the slice.
    """

    result: SliceResult
    row: int
    column: int


class StackResult:
    """Slice results of one object in a stack, stored compactly.

    Masks are cropped to their bounding box. Logits are stored in half precision, which keeps three significant digits.

    Args:
        shape: (slices, rows, columns) of the stack.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._slices: dict[int, _CompactSlice] = {}

    def add(self, result: SliceResult) -> None:
        """Add a slice result. Replaces the previous result of the same slice.

        Raises:
            InputError: the slice index or the shape of the mask does not match the stack.
        """
        slices, rows, columns = self.shape
        if not 0 <= result.index < slices or result.mask.shape != (rows, columns):
            raise InputError(
                _("slice {index} with {pixels} pixels does not fit a stack of {shape}").format(
                    index=result.index, pixels=result.mask.shape, shape=self.shape
                )
            )
        box = Box.from_mask(result.mask)
        row, column = (0, 0) if box is None else (int(box.y0), int(box.x0))
        # A copy: a view would keep the whole slice in memory.
        cropped = np.zeros((0, 0), bool) if box is None else result.mask[box.pixels].astype(bool)
        logits = None if result.low_res_logits is None else in_half_precision(result.low_res_logits)
        self._slices[result.index] = _CompactSlice(replace(result, mask=cropped, low_res_logits=logits), row, column)

    def take_over(self, other: StackResult, indices: Iterable[int]) -> None:
        """Add slice results of another result of the same stack, without unpacking them.

        Raises:
            InputError: the shapes of the stacks differ.
        """
        if other.shape != self.shape:
            raise InputError(
                _("a result of a stack of {other} does not fit a stack of {shape}").format(
                    other=other.shape, shape=self.shape
                )
            )
        self._slices.update((index, other._slices[index]) for index in indices)

    def crop(self, index: int) -> tuple[int, int, np.ndarray]:
        """First row, first column and mask of the box around a slice's mask, (0, 0) if that is empty. Raises KeyError."""
        compact = self._slices[index]
        return compact.row, compact.column, compact.result.mask

    def __len__(self) -> int:
        return len(self._slices)

    def __contains__(self, index: int) -> bool:
        return index in self._slices

    def __iter__(self) -> Iterator[SliceResult]:
        """Slice results in order of their index, with full (rows, columns) masks."""
        return (self[index] for index in self.indices)

    def cropped(self) -> Iterator[SliceResult]:
        """Slice results in order of their index, with masks cropped to the object, which takes hardly any time."""
        return (self._slices[index].result for index in sorted(self._slices))

    def __getitem__(self, index: int) -> SliceResult:
        """Result of one slice, with its full (rows, columns) mask. Raises KeyError if the slice has no result."""
        compact = self._slices[index]
        mask = np.zeros(self.shape[1:], bool)
        _paste(mask, compact)
        logits = compact.result.low_res_logits
        return replace(compact.result, mask=mask, low_res_logits=None if logits is None else logits.astype(np.float32))

    @property
    def indices(self) -> list[int]:
        """Indices of the slices that have a result, in increasing order."""
        return sorted(self._slices)

    @property
    def pixels(self) -> int:
        """Number of True voxels in the stack."""
        return sum(int(np.count_nonzero(compact.result.mask)) for compact in self._slices.values())

    @property
    def slices_to_review(self) -> list[int]:
        """Indices of the slices that need review, in increasing order.

        Key slices are left out: the user prompted them and has seen their masks. So are first answers.
        """
        results = (compact.result for compact in self._slices.values())
        return sorted(
            result.index for result in results if result.needs_review and not (result.key or result.provisional)
        )

    def next_slice_to_review(self, after: int) -> int | None:
        """The first of `slices_to_review` with an index above `after`, else the lowest one; None if there are none."""
        indices = self.slices_to_review
        return next((index for index in indices if index > after), indices[0] if indices else None)

    def to_stack(self) -> np.ndarray:
        """bool (slices, rows, columns) mask of the stack; False on slices without a result."""
        stack = np.zeros(self.shape, bool)
        for index, compact in self._slices.items():
            _paste(stack[index], compact)
        return stack


def in_half_precision(logits: np.ndarray) -> np.ndarray:
    """Logits as float16 of the same shape, clipped to the finite range of float16."""
    largest = float(np.finfo(np.float16).max)
    return np.clip(logits, -largest, largest).astype(np.float16)


def _paste(mask: np.ndarray, compact: _CompactSlice) -> None:
    height, width = compact.result.mask.shape
    mask[compact.row : compact.row + height, compact.column : compact.column + width] = compact.result.mask
