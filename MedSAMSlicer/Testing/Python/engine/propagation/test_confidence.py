"""Confidence of slices, and which of them need review."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.confidence import needs_review, slice_confidence
from MedSAMSlicerLib.engine.propagation.settings import ConfidenceSettings
from MedSAMSlicerLib.engine.propagation.slice_predictor import SliceMask

SETTINGS = ConfidenceSettings()
STEPS = np.linspace(0, 1, 21)


def mask_with(predicted_iou: float, stability: float, found: bool = True) -> SliceMask:
    return SliceMask(Box(0, 0, 3, 3), np.full((4, 4), found), predicted_iou, stability, np.zeros((4, 4), np.float32))


@pytest.mark.parametrize(("smoothed", "middle"), [(False, SETTINGS.middle), (True, SETTINGS.middle_smoothed)])
def test_confidence_increases_with_either_sign_and_stays_between_0_and_1(smoothed: bool, middle: float) -> None:
    def confidence(iou: float, stability: float) -> float:
        return slice_confidence(mask_with(iou, stability), SETTINGS, smoothed)

    table = np.array([[confidence(iou, stability) for stability in STEPS] for iou in STEPS])
    assert (np.diff(table, axis=0) > 0).all() and (np.diff(table, axis=1) > 0).all()
    assert 0 <= table.min() < 0.01 and 0.95 < table.max() <= 1
    assert confidence(middle, middle) == pytest.approx(0.5)


def test_smoothed_logits_have_a_curve_of_their_own() -> None:
    assert slice_confidence(mask_with(0.8, 0.8), SETTINGS, smoothed=True) > slice_confidence(
        mask_with(0.8, 0.8), SETTINGS
    )


def test_predicted_iou_is_clipped() -> None:
    assert slice_confidence(mask_with(1.3, 0.7), SETTINGS) == slice_confidence(mask_with(1.0, 0.7), SETTINGS) <= 1
    assert slice_confidence(mask_with(-0.4, 0.7), SETTINGS) == slice_confidence(mask_with(0.0, 0.7), SETTINGS) >= 0


def test_an_empty_mask_has_no_confidence() -> None:
    assert slice_confidence(mask_with(1.0, 1.0, found=False), SETTINGS) == 0


def test_slices_below_the_limit_need_review() -> None:
    assert needs_review(0.0, SETTINGS) and needs_review(float(np.nextafter(SETTINGS.review_below, 0)), SETTINGS)
    assert not needs_review(SETTINGS.review_below, SETTINGS) and not needs_review(1.0, SETTINGS)
    assert needs_review(slice_confidence(mask_with(0.6, 0.7), SETTINGS), SETTINGS)
    assert not needs_review(slice_confidence(mask_with(0.95, 0.95), SETTINGS), SETTINGS)
