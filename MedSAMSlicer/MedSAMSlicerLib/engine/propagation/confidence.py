"""Confidence of slice masks, and slice results that carry it.

Confidence is a logistic function of the mean of two signs that inference yields anyway: the predicted IoU, and the
stability of the mask. It approximates the probability that the mask reaches a Dice coefficient of 0.7.
"""

from __future__ import annotations

import math

import numpy as np

from ..prompts import Box, SlicePrompt
from ..results import SliceResult
from .settings import ConfidenceSettings
from .slice_predictor import SliceMask, SlicePredictor


def slice_confidence(mask: SliceMask, settings: ConfidenceSettings, smoothed: bool = False) -> float:
    """Confidence of a mask, 0..1; 0 if the mask is empty. It increases with predicted IoU and with stability.

    Args:
        mask: mask with its predicted IoU and stability.
        settings: parameters of the logistic curve.
        smoothed: whether the logits were smoothed along the stack. Smoothing lowers stability, so such masks have a
            curve of their own.
    """
    if not mask.mask.any():
        return 0.0
    sign = (float(np.clip(mask.predicted_iou, 0, 1)) + mask.stability) / 2
    middle = settings.middle_smoothed if smoothed else settings.middle
    return 1 / (1 + math.exp(-settings.steepness * (sign - middle)))


def needs_review(confidence: float, settings: ConfidenceSettings) -> bool:
    """Whether a person should check a slice of this confidence."""
    return confidence < settings.review_below


def key_result(index: int, mask: SliceMask, prompt: SlicePrompt, settings: ConfidenceSettings) -> SliceResult:
    """Result of a key slice. Its box is the prompted one, or the mask's if no box was prompted."""
    confidence = slice_confidence(mask, settings)
    return SliceResult(
        index=index,
        mask=mask.mask,
        box=prompt.box or Box.from_mask(mask.mask),
        predicted_iou=mask.predicted_iou,
        confidence=confidence,
        needs_review=needs_review(confidence, settings),
        key=True,
        low_res_logits=mask.logits,
    )


def key_mask_result(index: int, mask: np.ndarray) -> SliceResult:
    """Result of a slice with a key mask: the mask itself, bool (rows, columns), which nobody has to review."""
    return SliceResult(
        index=index,
        mask=mask,
        box=Box.from_mask(mask),
        predicted_iou=1.0,
        confidence=1.0,
        needs_review=False,
        key=True,
    )


def smoothed_result(
    predictor: SlicePredictor, index: int, mask: SliceMask, settings: ConfidenceSettings
) -> SliceResult:
    """Result of a propagated slice whose logits were smoothed along the stack."""
    return propagated_result(predictor, index, mask, slice_confidence(mask, settings, smoothed=True), settings)


def propagated_result(
    predictor: SlicePredictor, index: int, mask: SliceMask, confidence: float, settings: ConfidenceSettings
) -> SliceResult:
    """Result of a slice that the user did not prompt."""
    return SliceResult(
        index=index,
        mask=mask.mask,
        box=mask.box if predictor.box3d is None else mask.box.intersection(predictor.box3d),
        predicted_iou=mask.predicted_iou,
        confidence=confidence,
        needs_review=needs_review(confidence, settings),
        low_res_logits=predictor.correction_logits(mask),
    )
