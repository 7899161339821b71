"""Calibration of the confidence of slices on cases that were not learned from.

The logistic curve of `engine.propagation.confidence` is fitted anew, so that the confidence is about the probability that a
mask reaches a Dice coefficient of 0.7: maximum likelihood, with a prior that keeps the curve where it was as long as few
slices speak against it. Then the limit for review is chosen, so that most poor slices are found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine.propagation.confidence import needs_review
from ..engine.propagation.settings import ConfidenceSettings
from ..evaluation.evaluate_case import CaseScore, SliceScore
from ..evaluation.plots import POOR_SLICE_DSC
from .settings import CalibrationSettings


@dataclass(frozen=True)
class Calibration:
    """Result of a calibration.

    Attributes:
        settings: settings of the confidence.
        slices, poor: number of slices, and of those with a DSC below 0.7.
        fitted: whether there were enough slices; otherwise `settings` are those from before.
    """

    settings: ConfidenceSettings
    slices: int
    poor: int
    fitted: bool


@dataclass(frozen=True)
class _Signs:
    """Slices with a mask: mean of predicted IoU and stability, and what came of it. All arrays (n,)."""

    sign: np.ndarray
    smoothed: np.ndarray
    good: np.ndarray


def calibrate(
    smoothed: Sequence[CaseScore],
    single: Sequence[CaseScore],
    before: ConfidenceSettings,
    settings: CalibrationSettings,
) -> Calibration:
    """Calibrate the confidence.

    Args:
        smoothed: scores with 3D boxes, whose logits are smoothed along the stack.
        single: scores with a rectangle on one slice, whose logits are not.
        before: settings that the scores were computed with.
        settings: settings of the calibration.
    """
    chosen = [(one, True) for score in smoothed for one in _told(score)]
    chosen += [(one, False) for score in single for one in _told(score)]
    poor = sum(one.dsc < POOR_SLICE_DSC for one, _smoothed in chosen)
    if min(poor, len(chosen) - poor) < settings.fewest:
        return Calibration(before, len(chosen), poor, False)
    fitted = _fitted(_signs(chosen, before), before, settings)
    confidences = [
        _recomputed(one.confidence, smooth, before, fitted) for one, smooth in chosen if one.dsc < POOR_SLICE_DSC
    ]
    limit = _review_limit(np.sort(confidences), settings)
    return Calibration(replace(fitted, review_below=limit), len(chosen), poor, True)


def recalibrated(
    scores: Sequence[CaseScore], smoothed: bool, before: ConfidenceSettings, after: ConfidenceSettings
) -> list[CaseScore]:
    """Scores with the confidence that other settings give.

    Args:
        scores: scores computed with the settings `before`.
        smoothed: whether their logits were smoothed along the stack.
    """

    def changed(one: SliceScore) -> SliceScore:
        confidence = _recomputed(one.confidence, smoothed, before, after)
        return replace(one, confidence=confidence, needs_review=needs_review(confidence, after))

    return [replace(score, slices=[changed(one) for one in score.slices]) for score in scores]


def _told(score: CaseScore) -> list[SliceScore]:
    """Slices that are not empty in both truth and segmentation."""
    return [one for one in score.slices if one.in_truth or one.dsc < 1]


def _signs(chosen: Sequence[tuple[SliceScore, bool]], before: ConfidenceSettings) -> _Signs:
    with_mask = [(one, smoothed) for one, smoothed in chosen if one.confidence > 0]
    return _Signs(
        sign=np.array([_sign(one.confidence, smoothed, before) for one, smoothed in with_mask]),
        smoothed=np.array([smoothed for _one, smoothed in with_mask], bool),
        good=np.array([one.dsc >= POOR_SLICE_DSC for one, _smoothed in with_mask], bool),
    )


def _middle(smoothed: bool, settings: ConfidenceSettings) -> float:
    return settings.middle_smoothed if smoothed else settings.middle


def _sign(confidence: float, smoothed: bool, settings: ConfidenceSettings) -> float:
    """Mean of predicted IoU and stability that a confidence came from."""
    bounded = min(max(confidence, 1e-12), 1 - 1e-12)
    return _middle(smoothed, settings) + math.log(bounded / (1 - bounded)) / settings.steepness


def _recomputed(confidence: float, smoothed: bool, before: ConfidenceSettings, after: ConfidenceSettings) -> float:
    if confidence <= 0:
        return 0.0
    sign = _sign(confidence, smoothed, before)
    return 1 / (1 + math.exp(-after.steepness * (sign - _middle(smoothed, after))))


def _fitted(signs: _Signs, before: ConfidenceSettings, settings: CalibrationSettings) -> ConfidenceSettings:
    """Maximum a posteriori of middle, middle for smoothed logits and logarithm of the steepness."""
    from scipy.optimize import minimize

    start = np.array([before.middle, before.middle_smoothed, math.log(before.steepness)])
    spread = np.array([settings.middle_spread, settings.middle_spread, settings.steepness_spread])
    wanted = np.where(signs.good, 1.0, -1.0)

    def cost(moves: np.ndarray) -> float:
        middle, middle_smoothed, steepness = start + spread * moves
        middles = np.where(signs.smoothed, middle_smoothed, middle)
        margin = wanted * math.exp(steepness) * (signs.sign - middles)
        return float(np.logaddexp(0, -margin).sum() + (moves**2).sum() / 2)

    # In units of the prior, in which all three move about as far.
    middle, middle_smoothed, steepness = start + spread * minimize(cost, np.zeros(3)).x
    return replace(
        before,
        middle=round(float(middle), 4),
        middle_smoothed=round(float(middle_smoothed), 4),
        steepness=round(math.exp(steepness), 2),
    )


def _review_limit(poor: np.ndarray, settings: CalibrationSettings) -> float:
    """Least limit below which the wanted share of the confidences of poor slices lies; `poor` is ascending."""
    last = poor[min(len(poor) - 1, math.ceil(settings.found * len(poor)) - 1)]
    # A little above it, and a number that reads well.
    limit = math.floor(float(last) * 100 + 1) / 100
    low, high = settings.review_range
    return min(max(limit, low), high)
