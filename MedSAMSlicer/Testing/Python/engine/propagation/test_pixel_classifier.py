"""What the pixels of an object look like on all slices decides where the decoder is not sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.prompts import Box, KeyMask, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.propagation.pixel_classifier import PixelClassifier
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.settings import PixelClassifierSettings, PropagationSettings
from MedSAMSlicerLib.engine.propagation.slice_predictor import SliceMask, SlicePredictor
from MedSAMSlicerLib.engine.stack import SliceSource
from support.shapes import ellipsoid, stack_of
from support.threshold_model import BRIGHT, SIDE, ThresholdFamily, ThresholdRuntime

TRUTH = ellipsoid((30, 60, 70), (14.5, 30, 35), (8, 14, 16))
SOURCE = stack_of(TRUTH)
HELD = np.flatnonzero(TRUTH.any(axis=(1, 2)))
FIRST, LAST, MIDDLE = int(HELD[0]), int(HELD[-1]), int(HELD[len(HELD) // 2])
OFF = PropagationSettings()
SETTINGS = PixelClassifierSettings(in_box=1.0, between_keys=1.0, outward=1.0)
ON = PropagationSettings(pixels=SETTINGS)


def box_of(mask: np.ndarray) -> Box:
    box = Box.from_mask(mask)
    assert box is not None
    return box


IN_BOX = StackPrompt.from_box3d(FIRST, LAST, box_of(TRUTH.any(axis=0)))
KEYS = StackPrompt({index: box_of(TRUTH[index]) for index in (FIRST + 2, MIDDLE, LAST - 2)}, (FIRST, LAST))
ONE = StackPrompt({MIDDLE: box_of(TRUTH[MIDDLE])})
PROMPTS = pytest.mark.parametrize("prompt", [IN_BOX, KEYS, ONE], ids=["3D box", "key slices", "one slice"])


class DoubtingRuntime(ThresholdRuntime):
    """A decoder that is sure of all pixels in its box but those of a band, which it takes for surroundings."""

    def decode(self, embedding, prompts, multimask=False, origin=(0, 0)):
        logits, ious = super().decode(embedding, prompts, multimask, origin)
        bright = embedding[0] > BRIGHT
        logits = np.where(logits > -20, np.where(bright, 6, -6), logits).astype(np.float32)
        band = logits[:, 0, 28:33]
        band[band > 0] = -1
        return logits, ious


def doubting_predictor() -> Predictor:
    return Predictor(ThresholdFamily(), DoubtingRuntime(), "doubting")


def segment(prompt: StackPrompt, settings: PropagationSettings, source: SliceSource = SOURCE) -> np.ndarray:
    mask = np.zeros(source.shape, bool)
    for result in propagate(source, prompt, doubting_predictor(), settings):
        mask[result.index] = result.mask
    return mask


def slice_mask(predictor: SlicePredictor, index: int, logits: np.ndarray) -> SliceMask:
    """The mask of float32 logits, of which the model is sure."""
    return replace(predictor.from_logits(logits.astype(np.float32), 1.0), stability=1.0)


def logits_of(mask: np.ndarray, magnitude: float = 6.0) -> np.ndarray:
    logits = np.full((SIDE, SIDE), -magnitude, np.float32)
    logits[: mask.shape[0], : mask.shape[1]][mask] = magnitude
    return logits


@pytest.fixture
def predictor() -> SlicePredictor:
    return SlicePredictor(SOURCE, doubting_predictor(), 1.0)


@PROMPTS
def test_doubtful_pixels_that_look_like_the_object_are_added(prompt: StackPrompt) -> None:
    without, with_it = segment(prompt, OFF), segment(prompt, ON)
    keys = [] if prompt is IN_BOX else list(prompt.slices)
    truth, without, with_it = (np.delete(mask, keys, axis=0) for mask in (TRUTH, without, with_it))
    assert dice(without, truth) < 0.85
    assert dice(with_it, truth) > 0.97


@pytest.mark.parametrize("other", ["grey_weight", "embedding_weight"])
def test_grey_levels_and_embedding_each_suffice(predictor: SlicePredictor, other: str) -> None:
    settings = replace(replace(SETTINGS, grey_weight=0.5, embedding_weight=0.5), **{other: 0.0})
    classifier = PixelClassifier(predictor, settings, 1.0)
    logits = logits_of(TRUTH[MIDDLE])
    doubtful = np.zeros_like(logits, bool)
    doubtful[28:33, 30:40] = True
    logits[doubtful] = -1
    mask = slice_mask(predictor, MIDDLE, logits)
    classifier.learn(MIDDLE, mask)
    refined = classifier.refined(MIDDLE, mask)
    assert not mask.mask[30, 35]
    np.testing.assert_array_equal(refined.mask, TRUTH[MIDDLE])


def test_doubtful_pixels_that_look_like_the_surroundings_are_taken_away(predictor: SlicePredictor) -> None:
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    logits = logits_of(TRUTH[MIDDLE])
    row, column = 30, int(np.flatnonzero(TRUTH[MIDDLE][30])[-1]) + 3
    logits[row, column] = 1
    mask = slice_mask(predictor, MIDDLE, logits)
    classifier.learn(MIDDLE, mask)
    assert mask.mask[row, column]
    np.testing.assert_array_equal(classifier.refined(MIDDLE, mask).mask, TRUTH[MIDDLE])


def test_pixels_of_which_the_decoder_is_sure_keep_their_side(predictor: SlicePredictor) -> None:
    """Neither a dark part of the object nor something bright beside it changes sides."""
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    teacher = slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE]))
    classifier.learn(MIDDLE, teacher)
    shown = TRUTH[MIDDLE].copy()
    shown[20:24, 20:24], shown[34:38, 30:34] = True, False
    sure = slice_mask(predictor, MIDDLE, logits_of(shown, 10.0))
    np.testing.assert_array_equal(classifier.refined(MIDDLE, sure).mask, shown)


def test_what_was_learned_on_a_slice_holds_on_others(predictor: SlicePredictor) -> None:
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    classifier.learn(MIDDLE, slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE])))
    other = MIDDLE + 3
    doubtful = slice_mask(predictor, other, logits_of(TRUTH[other] & (np.arange(60)[:, None] < 39), 1.0))
    assert not np.array_equal(doubtful.mask, TRUTH[other])
    np.testing.assert_array_equal(classifier.refined(other, doubtful).mask, TRUTH[other])


def test_a_slice_that_was_not_encoded_is_changed_by_its_grey_levels_alone() -> None:
    predictor = SlicePredictor(SOURCE, doubting_predictor(), 1.0, box_of(TRUTH.any(axis=0)))
    runtime = predictor.predictor.runtime
    assert isinstance(runtime, ThresholdRuntime)
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    other, teacher = MIDDLE + 3, slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE]))
    between = logits_of(TRUTH[MIDDLE], 1.0)
    unchanged, fit = classifier.refined_by_levels(other, between)
    assert unchanged is between and fit == 1, "nothing has been learned"
    classifier.learn(MIDDLE, teacher)
    logits, fit = classifier.refined_by_levels(other, between)
    found = logits[:60, :70] > 0
    assert fit == 1 and dice(found, TRUTH[other]) > 0.94 > dice(TRUTH[MIDDLE], TRUTH[other]) + 0.03
    assert runtime.encoded == 1
    empty = logits_of(np.zeros((60, 70), bool))
    assert classifier.refined_by_levels(other, empty)[0] is empty
    assert PixelClassifier(predictor, SETTINGS, 0.0).refined_by_levels(other, between)[0] is between
    _logits, fit = classifier.refined_by_levels(other, logits_of(~TRUTH[other], 1.0))
    assert fit < 0.1, "seen where the surroundings are"


def test_what_looks_like_the_object_beside_the_box_does_not_empty_a_slice_that_was_not_encoded() -> None:
    box, beside = box_of(TRUTH.any(axis=0)), np.zeros_like(TRUTH)
    beside[:MIDDLE] = beside[MIDDLE + 1 :] = TRUTH[MIDDLE]
    beside[MIDDLE + 1] = False
    beside[MIDDLE + 1, 20:40, int(box.x1) + 2 : int(box.x1) + 8] = True
    predictor = SlicePredictor(
        stack_of(beside | (TRUTH & (np.arange(30) == MIDDLE)[:, None, None])), doubting_predictor(), 1.0, box
    )
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    classifier.learn(MIDDLE, slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE])))
    between = logits_of(TRUTH[MIDDLE] | beside[MIDDLE + 1], 1.0)
    found, _fit = classifier.refined_by_levels(MIDDLE + 1, between)
    assert predictor.from_logits(found, 1.0).mask.any()
    outside = logits_of(beside[MIDDLE + 1], 1.0)
    assert classifier.refined_by_levels(MIDDLE + 1, outside)[0] is outside


def test_single_bright_pixels_of_a_slice_that_was_not_encoded_make_no_specks() -> None:
    noisy = TRUTH.copy()
    noisy[MIDDLE + 1, 22:40:6, 10:60:6] ^= True
    predictor = SlicePredictor(stack_of(noisy), doubting_predictor(), 1.0, box_of(TRUTH.any(axis=0)))
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    classifier.learn(MIDDLE, slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE])))
    logits, _fit = classifier.refined_by_levels(MIDDLE + 1, logits_of(TRUTH[MIDDLE], 1.5))
    found = logits[:60, :70] > 0
    assert dice(found, TRUTH[MIDDLE + 1]) > 0.97
    assert ndimage.label(found)[1] == ndimage.label(~found)[1] == 1


def test_another_key_slice_changes_only_the_slices_up_to_its_neighbours() -> None:
    """Only these are predicted again when the user corrects a slice."""
    wrong = TRUTH[FIRST + 5].copy()
    wrong[:, 35:] = False
    more = replace(KEYS, slices={**KEYS.slices, FIRST + 5: SlicePrompt(key_mask=KeyMask(wrong))})
    before, after = segment(KEYS, ON), segment(more, ON)
    np.testing.assert_array_equal(after[MIDDLE:], before[MIDDLE:])
    assert not np.array_equal(after[FIRST + 2 : MIDDLE], before[FIRST + 2 : MIDDLE])


def test_an_empty_mask_stays_empty_and_teaches_nothing(predictor: SlicePredictor) -> None:
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    empty = slice_mask(predictor, FIRST, np.full((SIDE, SIDE), -1.0))
    classifier.learn(FIRST, empty)
    mask = slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE]))
    assert classifier.refined(MIDDLE, mask) is mask, "nothing has been learned"
    classifier.learn(MIDDLE, mask)
    assert classifier.refined(FIRST, empty) is empty


def test_a_mask_of_which_nothing_would_be_left_stays(predictor: SlicePredictor) -> None:
    classifier = PixelClassifier(predictor, SETTINGS, 1.0)
    classifier.learn(MIDDLE, slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE])))
    dark = np.zeros((60, 70), bool)
    dark[2:5, 2:5] = True
    mask = slice_mask(predictor, FIRST, logits_of(dark, 0.5))
    assert classifier.refined(FIRST, mask) is mask


def test_a_share_of_zero_changes_nothing_and_asks_for_no_embedding(predictor: SlicePredictor) -> None:
    classifier = PixelClassifier(predictor, SETTINGS, 0.0)
    mask = slice_mask(predictor, MIDDLE, logits_of(TRUTH[MIDDLE]))
    classifier.learn(MIDDLE, mask)
    assert classifier.refined(MIDDLE, mask) is mask
    runtime = predictor.predictor.runtime
    assert isinstance(runtime, ThresholdRuntime)
    assert runtime.encoded == 0


@PROMPTS
def test_no_slice_is_encoded_for_it(prompt: StackPrompt) -> None:
    counts = []
    for settings in (OFF, ON):
        model = doubting_predictor()
        assert list(propagate(SOURCE, prompt, model, settings))
        assert isinstance(model.runtime, ThresholdRuntime)
        counts.append(model.runtime.encoded)
    assert counts[0] == counts[1]


def test_a_flipped_volume_gives_the_same_masks() -> None:
    flipped = stack_of(TRUTH[::-1])
    count = len(TRUTH)
    prompt = StackPrompt.from_box3d(count - 1 - LAST, count - 1 - FIRST, box_of(TRUTH.any(axis=0)))
    np.testing.assert_array_equal(segment(prompt, ON, flipped)[::-1], segment(IN_BOX, ON))


@pytest.mark.parametrize("prompt", [KEYS, ONE], ids=["key slices", "one slice"])
def test_the_slice_in_view_decides_only_which_slice_comes_first(prompt: StackPrompt) -> None:
    whole = segment(prompt, ON)
    for in_view in (FIRST, MIDDLE, LAST):
        np.testing.assert_array_equal(segment(replace(prompt, in_view=in_view), ON), whole)


@pytest.mark.parametrize("box3d", [False, True], ids=["key slices", "3D box"])
def test_key_masks_stay_bit_for_bit_and_teach(box3d: bool) -> None:
    """The key mask alone shows that the band belongs to the object."""
    given = TRUTH[MIDDLE].copy()
    given[25, 30] = False
    key_mask = SlicePrompt(key_mask=KeyMask(given))
    prompt = StackPrompt({MIDDLE: key_mask}, (FIRST, LAST))
    if box3d:
        prompt = replace(prompt, box3d=IN_BOX.box3d)
    found = segment(prompt, ON)
    np.testing.assert_array_equal(found[MIDDLE], given)
    assert dice(np.delete(found, MIDDLE, axis=0), np.delete(TRUTH, MIDDLE, axis=0)) > 0.95


def test_masks_do_not_leave_the_3d_box() -> None:
    """An object that the box cuts looks the same beyond the box."""
    whole = IN_BOX.box3d
    assert whole is not None
    smaller = Box(whole.x0 + 4, whole.y0 + 4, whole.x1 - 4, whole.y1 - 4)
    found = segment(StackPrompt.from_box3d(FIRST, LAST, smaller), ON)
    outside = np.ones(found.shape[1:], bool)
    outside[smaller.pixels] = False
    assert found.any()
    assert not found[:, outside].any()


def test_colour_slices_count_by_their_mean(predictor: SlicePredictor) -> None:
    class Coloured:
        shape, spacing = SOURCE.shape, SOURCE.spacing

        def slice_uint8(self, index: int) -> np.ndarray:
            return np.repeat(SOURCE.slice_uint8(index)[..., None], 3, axis=2)

    class ColourFamily(ThresholdFamily):
        def prepare(self, image: np.ndarray) -> np.ndarray:
            return super().prepare(image[..., 0])

    colour = SlicePredictor(Coloured(), Predictor(ColourFamily(), DoubtingRuntime(), "colour"), 1.0)
    refined = []
    for one in (predictor, colour):
        classifier = PixelClassifier(one, SETTINGS, 1.0)
        mask = slice_mask(one, MIDDLE, logits_of(TRUTH[MIDDLE]))
        classifier.learn(MIDDLE, mask)
        refined.append(classifier.refined(MIDDLE, mask).logits)
    np.testing.assert_array_equal(*refined)
