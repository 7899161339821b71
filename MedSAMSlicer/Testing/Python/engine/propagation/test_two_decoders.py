"""A model with an adapter: its base finds how far the object reaches, the adapted decoder predicts the mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import Timings
from MedSAMSlicerLib.engine.prompts import Box, KeyMask, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings
from MedSAMSlicerLib.engine.results import SliceResult
from support.shapes import ellipsoid, stack_of
from support.threshold_model import ThresholdFamily, ThresholdRuntime

TRUTH = ellipsoid((30, 60, 70), (14.5, 30, 35), (8, 14, 16))
SOURCE = stack_of(TRUTH)
HELD = np.flatnonzero(TRUTH.any(axis=(1, 2)))
FIRST, LAST = int(HELD[0]), int(HELD[-1])
AROUND = Box.from_mask(TRUTH.any(axis=0))
assert AROUND is not None
IN_BOX = StackPrompt.from_box3d(FIRST, LAST, AROUND)
BY_BASE = PropagationSettings(extent_by_base=True)


class FillsBox(ThresholdRuntime):
    """A decoder that fills whatever box it is given."""

    def decode(self, embedding, prompts, multimask=False, origin=(0, 0)):
        return super().decode(np.full_like(embedding, 255), prompts, multimask, origin)


class Models:
    """An adapted model that fills boxes and its base, which knows the object. They share the embeddings."""

    def __init__(self) -> None:
        self.base_runtime, self.adapted_runtime = ThresholdRuntime(), FillsBox()
        cache = EmbeddingCache()
        self.base = Predictor(ThresholdFamily(), self.base_runtime, "threshold", cache)
        self.adapted = Predictor(
            ThresholdFamily(), self.adapted_runtime, "threshold", cache, load_base=lambda: self.base
        )


def boxes_of(results: dict[int, np.ndarray]) -> dict[int, Box | None]:
    return {index: Box.from_mask(mask) for index, mask in results.items()}


def prompts() -> list[StackPrompt]:
    middle = (FIRST + LAST) // 2
    keys = {index: Box.from_mask(TRUTH[index]) for index in (FIRST + 2, middle, LAST - 2)}
    held = {index: box for index, box in keys.items() if box is not None}
    return [IN_BOX, StackPrompt(held), StackPrompt({middle: held[middle]})]


@pytest.mark.parametrize("prompt", prompts(), ids=["3D box", "between keys and beyond", "one slice"])
def test_extents_are_the_base_s_and_masks_the_adapted_decoder_s(prompt: StackPrompt) -> None:
    models = Models()
    found = {result.index: result.mask for result in propagate(SOURCE, prompt, models.adapted, BY_BASE)}
    assert set(found) == set(range(FIRST, LAST + 1))
    for index, mask in found.items():
        box, true = Box.from_mask(mask), Box.from_mask(TRUTH[index])
        assert box is not None
        assert true is not None
        # The decoder fills its box: had it found the extents, they would grow to the generous boxes or drift.
        assert np.abs(np.subtract(box.xyxy, true.xyxy)).max() <= 2, index
        assert mask.sum() > 0.95 * box.width * box.height


def test_one_rectangle_reaches_exactly_as_far_as_with_the_base_alone() -> None:
    """On every slice: the adapted decoder's masks do not change the way that the base takes."""
    middle = (FIRST + LAST) // 2
    box = Box.from_mask(TRUTH[middle])
    assert box is not None
    models = Models()
    prompt = StackPrompt({middle: box.padded(2, 2)})
    alone = {result.index: Box.from_mask(result.mask) for result in propagate(SOURCE, prompt, models.base)}
    both = {result.index: Box.from_mask(result.mask) for result in propagate(SOURCE, prompt, models.adapted, BY_BASE)}
    assert both.keys() == alone.keys()
    for index in alone.keys() - {middle}:
        one, other = alone[index], both[index]
        assert one is not None and other is not None
        # The painted box is the base's, with the model's margin, which this family has not.
        assert np.abs(np.subtract(one.xyxy, other.xyxy)).max() <= 1, index


def test_between_rectangles_the_adapted_decoder_follows_itself() -> None:
    models = Models()
    keys = {index: SlicePrompt(box=Box.from_mask(TRUTH[index])) for index in (FIRST, LAST)}
    results = list(propagate(SOURCE, StackPrompt(keys, (FIRST, LAST)), models.adapted, BY_BASE))
    assert len(results) == LAST - FIRST + 1
    assert not models.base_runtime.boxes
    assert len(models.adapted_runtime.boxes) >= len(results)


class SeesNothing(ThresholdRuntime):
    """A decoder that finds a corner of whatever box it is given."""

    def decode(self, embedding, prompts, multimask=False, origin=(0, 0)):
        logits, ious = super().decode(embedding, prompts, multimask, origin)
        for one, prompt in zip(logits, prompts, strict=True):
            x0, y0, x1, y1 = np.asarray(prompt.box, int)
            one[:, (y0 + y1) // 2 :] = one[:, :, (x0 + x1) // 2 :] = -10
        return logits, ious


@pytest.mark.parametrize("as_key_mask", [False, True], ids=["rectangle", "key mask"])
def test_an_object_that_the_base_does_not_see_is_followed_by_the_adapted_decoder(as_key_mask: bool) -> None:
    models = Models()
    models.base = Predictor(ThresholdFamily(), SeesNothing(), "threshold")
    adapted = Predictor(ThresholdFamily(), ThresholdRuntime(), "threshold", load_base=lambda: models.base)
    results = {one.index: one.mask for one in propagate(SOURCE, one_key(as_key_mask), adapted, BY_BASE)}
    # With the base, which loses more of the object on every slice, the ends would not be reached.
    assert set(range(FIRST + 2, LAST - 1)) <= set(results)
    for index, mask in results.items():
        assert dice(mask, TRUTH[index]) > 0.9, index
    assert len(models.base.runtime.boxes) <= 2, "only asked on the key slice, once in each direction"


class FindsNothing(ThresholdRuntime):
    """A decoder that never finds an object."""

    def decode(self, embedding, prompts, multimask=False, origin=(0, 0)):
        return super().decode(np.zeros_like(embedding), prompts, multimask, origin)


class Doubts(ThresholdRuntime):
    """A decoder of which the predicted IoU is known."""

    def __init__(self, predicted_iou: float) -> None:
        super().__init__()
        self.predicted_iou = predicted_iou

    def decode(self, embedding, prompts, multimask=False, origin=(0, 0)):
        logits, ious = super().decode(embedding, prompts, multimask, origin)
        return logits, np.full_like(ious, self.predicted_iou)


def one_key(as_key_mask: bool = False) -> StackPrompt:
    middle = (FIRST + LAST) // 2
    box = Box.from_mask(TRUTH[middle])
    return StackPrompt({middle: SlicePrompt(key_mask=KeyMask(TRUTH[middle])) if as_key_mask else SlicePrompt(box=box)})


def propagated(
    adapted: ThresholdRuntime, base: ThresholdRuntime, prompt: StackPrompt, settings: PropagationSettings = BY_BASE
) -> dict[int, SliceResult]:
    of_base = Predictor(ThresholdFamily(), base, "threshold")
    predictor = Predictor(ThresholdFamily(), adapted, "threshold", load_base=lambda: of_base)
    return {one.index: one for one in propagate(SOURCE, prompt, predictor, settings)}


def test_a_key_mask_is_followed_by_the_decoder_that_sees_more_of_it() -> None:
    # A filled box resembles an ellipse more than a quarter of it does; whoever finds nothing follows nothing.
    by_adapted = propagated(FillsBox(), SeesNothing(), one_key(as_key_mask=True))
    assert set(range(FIRST + 2, LAST - 1)) <= set(by_adapted)
    by_base = propagated(FindsNothing(), SeesNothing(), one_key(as_key_mask=True))
    assert 1 < len(by_base) < 8, "a quarter of it on each slice is soon nothing"


def test_a_key_mask_that_the_base_sees_is_where_the_base_starts() -> None:
    middle = (FIRST + LAST) // 2
    found = propagated(FillsBox(), ThresholdRuntime(), one_key(as_key_mask=True))
    np.testing.assert_array_equal(found[middle].mask, TRUTH[middle])
    assert set(found) == set(range(FIRST, LAST + 1))


def test_an_empty_mask_of_one_decoder_leaves_the_object_to_the_other() -> None:
    nothing_adapted = propagated(FindsNothing(), ThresholdRuntime(), one_key())
    assert set(range(FIRST + 2, LAST - 1)) <= set(nothing_adapted)
    for threshold in (0.0, 0.7):
        settings = replace(BY_BASE, outward=replace(BY_BASE.outward, smallest_base_dice=threshold))
        nothing_base = propagated(ThresholdRuntime(), FindsNothing(), one_key(), settings)
        assert set(range(FIRST + 2, LAST - 1)) <= set(nothing_base)


def test_beyond_a_key_slice_the_base_starts_from_its_own_mask() -> None:
    """The ends are those of the base alone, although the adapted mask of the key slice is larger."""
    middle = (FIRST + LAST) // 2
    prompt = StackPrompt({middle: SlicePrompt(box=Box.of_slice(*TRUTH.shape[1:]).padded(-12, -12))})
    adapted, base = ThresholdRuntime(), ThresholdRuntime()
    settings = replace(BY_BASE, outward=replace(BY_BASE.outward, smallest_base_dice=0.05))
    filled = propagated(FillsBox(), base, prompt, settings)
    alone = {one.index: one for one in propagate(SOURCE, prompt, Predictor(ThresholdFamily(), adapted, "threshold"))}
    assert filled.keys() == alone.keys()


@pytest.mark.parametrize(("of_adapted", "of_base"), [(0.6, 0.9), (0.9, 0.6)])
def test_beyond_a_key_slice_the_doubt_of_either_decoder_counts(of_adapted: float, of_base: float) -> None:
    found = propagated(Doubts(of_adapted), Doubts(of_base), one_key())
    middle = (FIRST + LAST) // 2
    assert len(found) > 3
    assert {round(one.predicted_iou, 3) for index, one in found.items() if index != middle} == {0.6}


def test_a_decoder_that_follows_itself_predicts_no_mask_twice() -> None:
    adapted = ThresholdRuntime()
    found = propagated(adapted, SeesNothing(), one_key())
    follows = ThresholdRuntime()
    predictor = Predictor(ThresholdFamily(), follows, "threshold")
    alone = {one.index: one for one in propagate(SOURCE, one_key(), predictor, BY_BASE)}
    assert found.keys() == alone.keys()
    assert len(adapted.boxes) == len(follows.boxes)


def test_the_base_alone_decides_nothing_about_pixels_and_encodes_nothing_again() -> None:
    models = Models()
    assert list(propagate(SOURCE, IN_BOX, models.adapted, BY_BASE))
    count = LAST - FIRST + 1
    assert models.base_runtime.encoded + models.adapted_runtime.encoded == count
    assert count <= len(models.base_runtime.boxes) <= 2 * count
    assert len(models.adapted_runtime.boxes) == count
    assert models.adapted.timings.decoder_calls == len(models.base_runtime.boxes) + count
    assert models.adapted.timings.encoder_calls == count


def test_a_model_without_an_adapter_is_its_own_base() -> None:
    models = Models()
    results = [list(propagate(SOURCE, IN_BOX, models.base, settings)) for settings in (BY_BASE, PropagationSettings())]
    assert not models.adapted_runtime.boxes
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_the_work_of_the_base_counts_after_timings_are_renewed() -> None:
    models = Models()
    models.adapted.timings = Timings()
    assert models.adapted.base is not None
    assert models.adapted.base.timings is models.adapted.timings
