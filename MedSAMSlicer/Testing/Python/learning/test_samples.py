"""Slices to learn from stay in step with their contours and boxes, however they are changed."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.masks import occupied_slices
from MedSAMSlicerLib.engine.models.litemedsam import LiteMedSAM
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings
from MedSAMSlicerLib.learning.augmentation import TaughtSlice, changed_at_random
from MedSAMSlicerLib.learning.distillation import SureAnswers, drawn_answer_box
from MedSAMSlicerLib.learning.prompts import ObjectInStack, drawn_boxes, jittered, possible_boxes
from MedSAMSlicerLib.learning.samples import Sample
from MedSAMSlicerLib.learning.settings import DistillationSettings, PromptSettings, SampleSettings
from support.shapes import ellipsoid

TRUTH = ellipsoid((7, 90, 120), (3.0, 40.0, 70.0), (2.6, 21.0, 13.0))
TRUTH[4] = np.roll(TRUTH[4], 9, axis=1)


def shown() -> ObjectInStack:
    return ObjectInStack.of(TRUTH, occupied_slices(TRUTH).tolist())


def plain(index: int, seed: int = 0) -> TaughtSlice:
    image = np.where(TRUTH[index], 180, 60).astype(np.uint8)
    boxes = possible_boxes(shown(), index, PropagationSettings(), SampleSettings(), np.random.default_rng(seed))
    return TaughtSlice(image, TRUTH[index], boxes)


def test_the_boxes_are_those_that_the_propagation_prompts() -> None:
    boxes = plain(4).boxes
    by_kind = {one.kind: one for one in boxes}
    assert boxes[0].box == Box.from_mask(TRUTH[4])
    assert by_kind["box3d"].box == Box.from_mask(TRUTH.any(axis=0))
    near = [one for one in boxes if one.kind == "near"]
    assert [one.box for one in near] == [Box.from_mask(TRUTH[n]) for n in (3, 5)]
    assert {one.margin_factor for one in boxes if one.kind == "near_loose"} == {2.5}
    assert by_kind["generous"].box.width >= by_kind["expected"].box.width
    assert {"tight", "generous", "expected", "near", "near_loose", "box3d"} == by_kind.keys()
    assert len(plain(1).boxes) == len(boxes) - 2  # beside an end


@pytest.mark.parametrize("seed", range(12))
def test_contour_and_boxes_move_together(seed: int) -> None:
    """Whatever part of the image is shown in whatever orientation."""
    before, settings = plain(4), SampleSettings()
    after = changed_at_random(before, shown().box3d, "CT", settings, np.random.default_rng(seed))
    assert after.truth.sum() == before.truth.sum()
    assert Box.from_mask(after.truth) == after.boxes[0].box
    (box3d,) = [one.box for one in after.boxes if one.kind == "box3d"]
    whole = Box.of_slice(*after.size)
    assert box3d.intersection(whole) == box3d
    # The object is still where the contour is: inside of it the image varies by its noise alone.
    assert after.image[after.truth].std() < 8 and after.image.std() > 9


def test_no_image_of_pet_is_inverted() -> None:
    inverted = {"PET": 0, "CT": 0}
    for modality in inverted:
        for seed in range(30):
            found = changed_at_random(
                plain(4), shown().box3d, modality, SampleSettings(inverted=0.5), np.random.default_rng(seed)
            )
            inverted[modality] += bool(found.image[found.truth].mean() < found.image[~found.truth].mean())
    assert inverted["PET"] == 0 < inverted["CT"]


def test_drawn_boxes_lie_in_the_input_and_around_the_object() -> None:
    family, random = LiteMedSAM(), np.random.default_rng(0)
    taught = plain(3)
    own = family.network_box(taught.boxes[0].box, *taught.size)
    firsts = []
    for _ in range(40):
        boxes = drawn_boxes(taught.boxes, *taught.size, family, PromptSettings(), random)
        assert boxes.shape == (2, 4) and boxes.dtype == np.float32
        assert boxes.min() >= 0 and boxes.max() < family.input_size
        assert (boxes[:, :2] <= boxes[:, 2:]).all()
        firsts.append(boxes[0])
    assert np.abs(np.mean(firsts, axis=0) - own).max() < 5
    assert np.std(firsts, axis=0).min() > 0.5


def test_boxes_that_must_stay_lie_around_the_mask_that_was_found() -> None:
    family, random, settings = LiteMedSAM(), np.random.default_rng(0), DistillationSettings()
    logits = np.full((1, 256, 256), -60, np.int8)
    logits[0, 100:141, 60:91] = 60
    answers = SureAnswers(np.array([[50, 90, 120, 150]], np.float32), logits, np.array([0.8], np.float32))
    sample = Sample("", np.zeros((256, 200), np.uint8), 256, 200, [])
    tried = []
    for _ in range(200):
        box, as_tried = drawn_answer_box(answers, 0, sample, family, settings, PromptSettings(), random)
        tried.append(as_tried)
        if as_tried:
            assert np.array_equal(box, answers.boxes[0])
        else:
            assert np.abs(box - (60, 100, 90, 140)).max() < 20
    assert 0.2 < np.mean(tried) < 0.4


def test_a_box_of_one_pixel_is_jittered_into_a_box() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        box = jittered(Box(4, 4, 4, 4), 0.06, 2.5, random)
        assert box.width >= 2.5 and box.height >= 2.5
