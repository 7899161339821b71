"""Interpolation of slices: every second slice of a 3D box is not predicted if its neighbours are close enough, and more in long boxes.

Encoding takes most of the time, and a dozen sections tell nearly all of the shape of an object. Masks of skipped slices come from the
smoothed logits of their neighbours (`smoothing`), and with a classifier of pixels from their own grey levels
(`PixelClassifier.refined_by_levels`). Slices are skipped only in 3D boxes: between key slices and beyond
them, boxes follow the masks from slice to slice, and a bent object was lost that way (docs/development/propagation.md).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..results import SliceResult
from .confidence import propagated_result, slice_confidence
from .settings import PropagationSettings, SkippingSettings
from .slice_predictor import SliceMask, SlicePredictor


def slice_step(count: int, spacing_mm: float, settings: SkippingSettings) -> int:
    """Step between predicted slices: 1 to predict all of `count` slices, 2 to predict every second one, and so on."""

    def suits(step: int, farthest_mm: float, fewest: int) -> bool:
        # A hundredth of tolerance for spacings that are stored with few digits, or computed from positions.
        return spacing_mm <= farthest_mm + 0.01 and count >= step * fewest

    # One limit for all steps above 2: otherwise boxes whose slices are all predicted would lose two of three with one slice more.
    for step in range(settings.largest_step, 2, -1):
        if suits(step, settings.long_gap_mm / settings.largest_step, settings.fewest_of_long):
            return step
    return 2 if suits(2, settings.largest_gap_mm / 2, settings.fewest_predicted) else 1


def predicted_slices(
    first: int, last: int, spacing_mm: float, settings: SkippingSettings, prompted: Iterable[int] = ()
) -> list[int]:
    """Slices of a 3D box to predict, in increasing order.

    Slices are counted from the middle in both directions, so that a flipped volume gives the same slices. Both ends are
    always predicted.

    Args:
        first, last: first and last slice of the box, inclusive.
        spacing_mm: distance between slices in millimetres.
        settings: when slices are skipped.
        prompted: slices that must be predicted, because the user prompted them.
    """
    step = slice_step(last - first + 1, spacing_mm, settings)
    low, high = (first + last) // 2, (first + last + 1) // 2
    return sorted({*range(low, first - 1, -step), *range(high, last + 1, step), first, last, *prompted})


class SkippedSlices:
    """Results of the skipped slices, from the predictions of their neighbours.

    Args:
        predictor: predictor of the stack.
        predicted: slices that are predicted, in increasing order; every skipped slice lies between two of them.
        settings: settings of the propagation.
    """

    def __init__(self, predictor: SlicePredictor, predicted: Sequence[int], settings: PropagationSettings) -> None:
        self._predictor, self._predicted = predictor, predicted
        self._settings = settings
        self._known: dict[int, tuple[float, bool]] = {}

    def observe(self, index: int, mask: SliceMask) -> None:
        """Record the prediction of a slice."""
        self._known[index] = (mask.predicted_iou, bool(mask.mask.any()))

    def result(self, index: int, logits: np.ndarray, fit: float) -> SliceResult:
        """Result of a skipped slice whose two neighbours have been observed.

        Its predicted IoU is interpolated between the neighbours. Its mask is empty if both neighbours' masks are.

        Args:
            index: slice index.
            logits: smoothed float32 (h, w) logits of the slice.
            fit: how far the slice's grey levels fit to the object, 0..1; its confidence is multiplied by it.
        """
        after = bisect_left(self._predicted, index)
        low, high = self._predicted[after - 1], self._predicted[after]
        (iou_low, found_low), (iou_high, found_high) = self._known[low], self._known[high]
        share = (index - low) / (high - low)
        if not (found_low or found_high):
            logits = np.full_like(logits, -self._settings.smoothing.largest_logit)
        mask = self._predictor.from_logits(logits, iou_low + (iou_high - iou_low) * share)
        confidence = fit * slice_confidence(mask, self._settings.confidence, smoothed=True)
        result = propagated_result(self._predictor, index, mask, confidence, self._settings.confidence)
        return replace(result, box=None, interpolated=True)
