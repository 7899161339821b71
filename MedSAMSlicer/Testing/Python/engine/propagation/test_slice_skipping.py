"""Slices of a 3D box: which are predicted, and how those between are interpolated."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.settings import PixelClassifierSettings, PropagationSettings, SkippingSettings
from MedSAMSlicerLib.engine.propagation.slice_skipping import predicted_slices, slice_step
from MedSAMSlicerLib.engine.results import SliceResult
from support.shapes import ellipsoid, stack_of
from support.threshold_model import threshold_predictor

SHAPE = (61, 60, 70)
TRUTH = ellipsoid(SHAPE, (30, 30, 35), (20, 14, 16))
FIRST, LAST = 10, 50
AROUND = Box.from_mask(TRUTH.any(axis=0))
assert AROUND is not None
BOX3D = StackPrompt.from_box3d(FIRST, LAST, AROUND)
DEFAULTS = PropagationSettings()
MANY_SKIPPED = SkippingSettings(largest_gap_mm=10.0, fewest_predicted=8, largest_step=4)


def run(
    truth: np.ndarray,
    prompt: StackPrompt,
    slice_mm: float,
    inside: int = 200,
    settings: PropagationSettings = DEFAULTS,
) -> tuple[dict[int, SliceResult], int]:
    predictor = threshold_predictor()
    source = stack_of(truth, (1.0, 1.0, slice_mm), inside=inside)
    found = list(propagate(source, prompt, predictor, settings))
    results = {one.index: one for one in found}
    assert sorted(results) == list(range(FIRST, LAST + 1)) and len(found) == len(results)
    return results, predictor.timings.encoder_calls


def stacked(results: dict[int, SliceResult]) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    for index, one in results.items():
        found[index] = one.mask
    return found


@pytest.mark.parametrize(
    ("count", "slice_mm", "step"),
    [
        (40, 5.0, 1),
        (40, 2.5, 1),
        (40, 2.0, 2),
        (40, 1.25, 2),
        (40, 1.0, 2),
        (80, 0.625, 2),
        (29, 0.625, 1),
        (30, 0.625, 2),
        (300, 0.3, 2),
        (1, 0.1, 1),
    ],
)
def test_slices_are_skipped_only_if_they_are_thin_and_many(count: int, slice_mm: float, step: int) -> None:
    assert slice_step(count, slice_mm, SkippingSettings()) == step


@pytest.mark.parametrize(
    ("count", "slice_mm", "step"),
    [
        (16, 5.0, 2),
        (15, 5.0, 1),
        (29, 5.0, 2),
        (30, 5.0, 3),
        (29, 5.1, 1),
        (30, 5.1, 1),
        (39, 5.0, 3),
        (40, 5.0, 4),
        (40, 4.99999, 4),
        (40, 5.0004, 4),
        (16, 5.0004, 2),
        (40, 5.1, 1),
        (40, 1.25, 4),
        (200, 0.3, 4),
    ],
)
def test_more_are_skipped_of_many_slices_if_the_settings_say_so(count: int, slice_mm: float, step: int) -> None:
    assert slice_step(count, slice_mm, MANY_SKIPPED) == step


@pytest.mark.parametrize("settings", [SkippingSettings(), MANY_SKIPPED], ids=["default", "many"])
@pytest.mark.parametrize("count", [30, 31, 44, 45, 46, 47, 48, 61])
@pytest.mark.parametrize("slice_mm", [0.6, 1.0, 2.0])
def test_both_ends_are_predicted_and_no_gap_exceeds_the_step(
    count: int, slice_mm: float, settings: SkippingSettings
) -> None:
    predicted = predicted_slices(7, 6 + count, slice_mm, settings)
    assert predicted[0] == 7 and predicted[-1] == 6 + count
    assert max(b - a for a, b in pairwise(predicted)) == slice_step(count, slice_mm, settings)
    assert [13 + count - index for index in reversed(predicted)] == predicted, "the same for a flipped volume"


def test_half_of_the_slices_are_encoded_and_the_object_is_complete() -> None:
    every, calls = run(TRUTH, BOX3D, 5.0)
    thin, fewer = run(TRUTH, BOX3D, 1.0)
    assert calls == LAST - FIRST + 1 and fewer <= calls / 2 + 2
    assert dice(stacked(every), TRUTH) > 0.98 and dice(stacked(thin), TRUTH) > 0.97
    left = [index for index, one in thin.items() if one.interpolated]
    assert not any(one.interpolated for one in every.values())
    assert len(left) == calls - fewer and not {FIRST, LAST} & set(left)
    # An interpolated slice takes over the predicted IoU of its neighbours.
    assert all(thin[index].mask.any() and 0 < thin[index].predicted_iou <= 1 for index in left)


@pytest.mark.parametrize("slice_mm", [5.0, 1.2])
@pytest.mark.parametrize("step", [2, 3, 4])
def test_grey_levels_show_what_a_skipped_slice_alone_shows(slice_mm: float, step: int) -> None:
    """A notch on every skipped slice: no neighbour shows it."""
    skipping = PropagationSettings(skipping=replace(MANY_SKIPPED, largest_step=step))
    pixels = PixelClassifierSettings(in_box=1.0, logits_weight=0.5, embedding_weight=0.0)
    classified = replace(skipping, pixels=pixels)
    # Logits of 3: sure enough to learn from, and not too sure to change.
    plain, calls = run(TRUTH, BOX3D, slice_mm, 140, skipping)
    assert calls <= len(plain) / step + 2
    left = [index for index, one in plain.items() if one.interpolated and 16 < index < 44]
    notched = TRUTH.copy()
    notched[left, 24:36, 33:] = False
    before, _ = run(notched, BOX3D, slice_mm, 140, skipping)
    after, same = run(notched, BOX3D, slice_mm, 140, classified)
    assert same == calls, "none of them is encoded for it"
    for index in left:
        assert before[index].mask[26:34, 36:40].all() and not after[index].mask[26:34, 36:40].any()
    assert dice(stacked(after)[left], notched[left]) > dice(stacked(before)[left], notched[left]) + 0.05
    flipped, _ = run(notched[::-1], BOX3D, slice_mm, 140, classified)
    assert (stacked(flipped)[::-1] == stacked(after)).all()


def test_a_flipped_volume_gives_the_same_masks() -> None:
    oblique = ellipsoid(SHAPE, (30, 30, 35), (20, 14, 16)) & ~ellipsoid(SHAPE, (18, 24, 30), (8, 8, 8))
    # Faint, so that no logit is exactly 0.
    upright, _ = run(oblique, BOX3D, 1.0, inside=140)
    over, _ = run(oblique[::-1], BOX3D, 1.0, inside=140)
    assert (stacked(over)[::-1] == stacked(upright)).all()
    assert [over[60 - index].predicted_iou for index in upright] == [one.predicted_iou for one in upright.values()]


def test_a_prompted_slice_is_not_skipped() -> None:
    plain, _ = run(TRUTH, BOX3D, 1.0)
    index = next(index for index, one in plain.items() if one.interpolated)
    given = Box(30, 25, 38, 33)
    results, _ = run(TRUTH, StackPrompt({**BOX3D.slices, index: given}, BOX3D.slice_range, BOX3D.box3d), 1.0)
    assert results[index].key and results[index].box == given
    assert Box.from_mask(results[index].mask) == given


def test_a_slice_between_two_empty_ones_is_empty() -> None:
    gone = TRUTH.copy()
    gone[20:] = False
    results, _ = run(gone, BOX3D, 1.0)
    assert not any(one.mask.any() for index, one in results.items() if index > 21)
    assert results[15].mask.any()


@pytest.mark.parametrize("gone", [(31, 32, 33), (31, 32), (32,)])
@pytest.mark.parametrize("inside", [140, 200])
def test_a_skipped_slice_that_does_not_show_the_object_needs_review(gone: tuple[int, ...], inside: int) -> None:
    """Two objects one above the other: the model has not seen that nothing lies between them."""
    settings = PropagationSettings(skipping=MANY_SKIPPED, pixels=PixelClassifierSettings(in_box=1.0))
    parted = TRUTH.copy()
    parted[list(gone)] = False
    results, _ = run(parted, BOX3D, 5.0, inside, settings)
    assert all(results[index].interpolated for index in gone)
    assert all(results[index].needs_review for index in gone)
    whole, _ = run(TRUTH, BOX3D, 5.0, inside, settings)
    assert not any(whole[index].needs_review for index in gone)
    others = [index for index in whole if index not in gone and 20 < index < 40]
    assert not any(results[index].needs_review for index in others)
