"""Masks of jittered boxes agree where the image decides on the contour, and differ where the box does."""

from __future__ import annotations

import numpy as np

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.prompt_jitter import jitter_agreement
from support.threshold_model import threshold_predictor


def image() -> np.ndarray:
    grey = np.full((60, 70), 50, np.uint8)
    grey[20:40, 25:45] = 200
    return grey


def test_an_object_well_inside_the_box_is_undisputed() -> None:
    predictor = threshold_predictor()
    found = jitter_agreement(predictor, image(), Box(18, 13, 52, 47), 8)
    assert found.agreement == 1 and not found.disputed.any()
    assert np.array_equal(found.majority, image() > 128)
    assert (predictor.timings.encoder_calls, predictor.timings.decoder_calls) == (1, 8)


def test_an_edge_that_depends_on_the_box_is_disputed() -> None:
    found = jitter_agreement(threshold_predictor(), image(), Box(25, 20, 34, 39), 8)
    assert found.agreement < 1
    columns = np.flatnonzero(found.disputed.any(axis=0))
    assert columns.size and np.abs(columns - 34).min() <= 2, "the right edge cuts through the object"


def test_the_same_seed_gives_the_same_boxes() -> None:
    one, same, other = (
        jitter_agreement(threshold_predictor(), image(), Box(25, 20, 34, 39), 5, seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one.disputed, same.disputed) and one.agreement == same.agreement
    assert not np.array_equal(one.disputed, other.disputed)


def test_empty_masks_have_no_agreement() -> None:
    found = jitter_agreement(threshold_predictor(), np.full((60, 70), 50, np.uint8), Box(5, 5, 30, 30), 4)
    assert found.agreement == 0 and not found.majority.any()
