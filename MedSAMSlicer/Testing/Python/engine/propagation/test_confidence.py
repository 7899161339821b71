"""Confidence follows the two signs that it is made of, and says which slices a person should look at."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.confidence import (
    MIDDLE,
    MIDDLE_SMOOTHED,
    REVIEW_BELOW,
    needs_review,
    slice_confidence,
)
from MedSAMSlicerLib.engine.propagation.slice_predictor import SliceMask

STEPS = np.linspace(0, 1, 21)


def answer(predicted_iou: float, stability: float, found: bool = True) -> SliceMask:
    return SliceMask(Box(0, 0, 3, 3), np.full((4, 4), found), predicted_iou, stability, np.zeros((4, 4), np.float32))


@pytest.mark.parametrize("middle", [MIDDLE, MIDDLE_SMOOTHED])
def test_confidence_rises_with_either_sign_and_stays_between_0_and_1(middle: float) -> None:
    table = np.array([[slice_confidence(answer(iou, stability), middle) for stability in STEPS] for iou in STEPS])
    assert (np.diff(table, axis=0) > 0).all() and (np.diff(table, axis=1) > 0).all()
    assert 0 <= table.min() < 0.01 and 0.95 < table.max() <= 1
    assert slice_confidence(answer(middle, middle), middle) == pytest.approx(0.5)


def test_a_smoothed_slice_needs_less_for_the_same_confidence() -> None:
    assert slice_confidence(answer(0.8, 0.8), MIDDLE_SMOOTHED) > slice_confidence(answer(0.8, 0.8))


def test_a_model_that_predicts_beyond_0_and_1_changes_nothing() -> None:
    """Predicted IoU is a number without bounds."""
    assert slice_confidence(answer(1.3, 0.7)) == slice_confidence(answer(1.0, 0.7)) <= 1
    assert slice_confidence(answer(-0.4, 0.7)) == slice_confidence(answer(0.0, 0.7)) >= 0


def test_an_empty_mask_has_no_confidence_whatever_the_model_says() -> None:
    assert slice_confidence(answer(1.0, 1.0, found=False)) == 0


def test_slices_below_the_limit_are_flagged() -> None:
    assert needs_review(0.0) and needs_review(float(np.nextafter(REVIEW_BELOW, 0)))
    assert not needs_review(REVIEW_BELOW) and not needs_review(1.0)
    assert needs_review(slice_confidence(answer(0.6, 0.7))) and not needs_review(slice_confidence(answer(0.95, 0.95)))
