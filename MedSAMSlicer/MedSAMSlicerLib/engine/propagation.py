"""From the prompted slices through the stack.

Key slices are segmented from the user's boxes. Between two key slices the box of each slice is interpolated; beyond
the outermost ones it is the bounding box of the previous mask with a margin in millimetres. With a 3D box neither
boxes nor masks leave it. Without a reach, propagation ends where the object does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .confidence import REVIEW_BELOW, overlap, slice_confidence
from .predictor import Predictor
from .prompts import Box, StackPrompt
from .results import SliceResult
from .stack import SliceSource

# How far an object's edge may move from one slice to the next. The authors take 3 pixels of 256.
MARGIN_MM = 2.5
# Without a reach, the object has ended where a mask ...
SMALLEST_PREDICTED_IOU = 0.5  # ... is so doubtful to the model itself,
SMALLEST_AREA_RATIO = 0.2  # ... has so small a share of the previous mask's area,
LARGEST_AREA_RATIO = 2.5  # ... has leaked to so many times that area,
SMALLEST_OVERLAP = 0.4  # ... or agrees so little (DSC) with the previous mask.


def propagate(source: SliceSource, prompt: StackPrompt, predictor: Predictor) -> Iterator[SliceResult]:
    """Masks of one object, slice by slice, each slice once: key slices upwards, then downwards from the first.

    Raises:
        InputError: the prompt lies outside the stack.
    """
    prompt.checked_for(source.shape)
    first, last = prompt.reach or (0, source.shape[0] - 1)
    walk = _Walk(source, prompt, predictor)
    keys = list(prompt.keys)
    first_key_result: SliceResult | None = None
    result: SliceResult | None = None
    for index, following in zip(keys, [*keys[1:], None], strict=True):
        result = walk.key(index)
        first_key_result = first_key_result or result
        yield result
        if following is not None:
            for between in range(index + 1, following):
                result = walk.guided(
                    between,
                    _between(prompt.keys[index], prompt.keys[following], (between - index) / (following - index)),
                    result,
                )
                yield result
    assert result is not None and first_key_result is not None
    yield from walk.onwards(range(result.index + 1, last + 1), result)
    yield from walk.onwards(range(first_key_result.index - 1, first - 1, -1), first_key_result)


class _Walk:
    """What stays the same from slice to slice."""

    def __init__(self, source: SliceSource, prompt: StackPrompt, predictor: Predictor) -> None:
        self.source, self.prompt, self.predictor = source, prompt, predictor
        _slices, rows, columns = source.shape
        self.bounds = prompt.bounds or Box.of_slice(rows, columns)
        _mm, row_mm, column_mm = source.spacing
        self.margin = (max(1.0, MARGIN_MM / column_mm), max(1.0, MARGIN_MM / row_mm))

    def key(self, index: int) -> SliceResult:
        return self._segment(index, self.prompt.keys[index], None, key=True)

    def guided(self, index: int, box: Box, neighbour: SliceResult) -> SliceResult:
        return self._segment(index, box, neighbour.mask)

    def onwards(self, indices: range, start: SliceResult) -> Iterator[SliceResult]:
        """Slices away from the outermost key slice, until the object ends or the reach does."""
        previous, box = start.mask, start.box
        for index in indices:
            around = Box.around(previous)
            if around is not None:
                box = around.grown(*self.margin).inside(self.bounds)
            if box is None:
                return
            result = self._segment(index, box, previous)
            if self.prompt.reach is None and _ended(result, previous):
                return
            yield result
            # After an empty mask inside the reach, the last box that led to something is tried again.
            previous = result.mask if result.mask.any() else previous

    def _segment(self, index: int, box: Box, neighbour: np.ndarray | None, key: bool = False) -> SliceResult:
        prediction = self.predictor.predict(self.source.slice_uint8(index), box)
        mask = prediction.mask
        if self.prompt.bounds is not None:
            mask = _clipped(mask, self.bounds)
        confidence = slice_confidence(prediction.predicted_iou, mask, neighbour)
        return SliceResult(
            index=index,
            mask=mask,
            box=box,
            predicted_iou=prediction.predicted_iou,
            confidence=confidence,
            flagged=confidence < REVIEW_BELOW,
            key=key,
        )


def _between(one: Box, other: Box, share: float) -> Box:
    """The box `share` of the way from `one` to `other`, edge by edge."""
    return Box(*(a + (b - a) * share for a, b in zip(one.xyxy, other.xyxy, strict=True)))


def _clipped(mask: np.ndarray, bounds: Box) -> np.ndarray:
    kept = np.zeros_like(mask)
    x0, y0, x1, y1 = (int(np.ceil(bounds.x0)), int(np.ceil(bounds.y0)), int(bounds.x1), int(bounds.y1))
    kept[y0 : y1 + 1, x0 : x1 + 1] = mask[y0 : y1 + 1, x0 : x1 + 1]
    return kept


def _ended(result: SliceResult, previous: np.ndarray) -> bool:
    if not result.mask.any() or result.predicted_iou < SMALLEST_PREDICTED_IOU:
        return True
    ratio = result.mask.sum() / max(int(previous.sum()), 1)
    return not SMALLEST_AREA_RATIO <= ratio <= LARGEST_AREA_RATIO or overlap(result.mask, previous) < SMALLEST_OVERLAP
