"""A model that was trained for boxes alone obeys points beside a box."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.point_corrections import corrected_logits
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from support.shapes import stack_of, textured_slice

SHAPE = (60, 84)
IMAGE = textured_slice(*SHAPE, 5)
BOX = Box(20, 15, 62, 48)
BOX_MODELS = pytest.mark.parametrize("key", ["litemedsam", "medsam"])
# A disc of radius 20 about (50, 40), with the steep edge of a model that is certain.
DISTANCE = np.hypot(*np.meshgrid(np.arange(100) - 50, np.arange(90) - 40))
DISC = np.clip(20 - DISTANCE, -8, 8).astype(np.float32)


@pytest.fixture
def predictor(key: str, small_choice: Callable[[str], ModelChoice]) -> Predictor:
    return load_predictor(small_choice(key))[0]


@BOX_MODELS
@pytest.mark.parametrize("multimask", [False, True])
def test_every_mask_agrees_with_all_points_wherever_they_lie(key: str, predictor: Predictor, multimask: bool) -> None:
    pixels = [(25, 20), (58, 20), (25, 44), (58, 44), (41.4, 30.6), (80, 55), (3, 4), (83, 0)]
    plain = predictor.predict_prompt(IMAGE, SlicePrompt(BOX), multimask)
    for turned in (False, True):
        signs = tuple(bool(n % 2) != turned for n in range(len(pixels)))
        points = Points(tuple(pixels), signs)
        found = predictor.predict_prompt(IMAGE, SlicePrompt(BOX, points), multimask)
        assert len(found.candidates) == len(plain.candidates)
        for one in found.candidates or (found,):
            assert [bool(one.mask[round(y), round(x)]) for x, y in pixels] == list(signs)
    assert predictor.timings.encoder_calls == 1


@BOX_MODELS
def test_points_that_the_mask_agrees_with_change_nothing_and_the_model_sees_none(
    key: str, predictor: Predictor
) -> None:
    plain = predictor.predict(IMAGE, BOX)
    inside, outside = (tuple(map(int, np.argwhere(mask)[0][::-1])) for mask in (plain.mask[15:49, 20:63], ~plain.mask))
    points = Points(((inside[0] + 20, inside[1] + 15), outside), (True, False))
    again = predictor.predict_prompt(IMAGE, SlicePrompt(BOX, points))
    assert np.array_equal(again.mask, plain.mask) and again.predicted_iou == plain.predicted_iou


def test_asked_together_only_those_with_points_are_corrected(small_choice: Callable[[str], ModelChoice]) -> None:
    predictor = load_predictor(small_choice("litemedsam"))[0]
    corner = Points(((22, 17), (60, 46)), (True, False))
    asked = [SlicePrompt(BOX), SlicePrompt(BOX, corner), SlicePrompt(Box(5, 5, 50, 40))]
    for together, prompt in zip(predictor.predict_prompts(IMAGE, asked), asked, strict=True):
        assert np.array_equal(together.mask, predictor.predict_prompt(IMAGE, prompt).mask)


def test_points_without_a_box_are_refused_before_the_first_slice(small_choice: Callable[[str], ModelChoice]) -> None:
    """Although another slice has a box."""
    point = SlicePrompt(points=Points(((30, 30),), (True,)))
    source = stack_of(np.zeros((4, 48, 56), bool))
    run = SegmentationService().segment(
        small_choice("litemedsam"), source, StackPrompt({1: Box(10, 10, 40, 40), 2: point}), RunInfo()
    )
    with pytest.raises(InputError, match="LiteMedSAM was not trained for points"):
        next(iter(run))


@pytest.mark.parametrize(
    ("point", "inside"), [((50, 40), False), ((66, 40), False), ((50, 62), True), ((75.3, 40.4), True)]
)
def test_a_correction_is_local_and_has_the_sign_of_its_point(point: tuple[float, float], inside: bool) -> None:
    found = corrected_logits(DISC, np.array([point]), [inside], 40)
    assert found.dtype == np.float32
    change = (found > 0) != (DISC > 0)
    assert (found > 0)[round(point[1]), round(point[0])] == inside
    assert ((found > 0)[change] == inside).all(), "nothing moves the other way"
    assert 10 < change.sum() < 600
    far = np.hypot(*np.meshgrid(np.arange(100) - point[0], np.arange(90) - point[1])) > 36
    assert np.array_equal(found[far], DISC[far])


def test_what_agrees_already_is_left_bit_for_bit() -> None:
    xy = np.array([[50, 40], [50, 80], [31, 40]])
    assert np.array_equal(corrected_logits(DISC, xy, [True, False, True], 40), DISC)


def test_points_of_different_sign_close_together_are_both_met() -> None:
    xy = np.array([[50, 40], [54, 40], [54, 44], [40, 30]])
    found = corrected_logits(DISC, xy, [False, True, False, False], 40)
    assert [bool(found[y, x] > 0) for x, y in xy] == [False, True, False, False]
