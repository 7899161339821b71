"""Thin slices of a 3D box: which are asked about, and what stands on those between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.slice_skipping import asked_slices, step_of
from MedSAMSlicerLib.engine.results import SliceResult
from support.parity import dice
from support.shapes import ellipsoid, stack_of
from support.threshold_model import threshold_predictor

SHAPE = (61, 60, 70)
TRUTH = ellipsoid(SHAPE, (30, 30, 35), (20, 14, 16))
FIRST, LAST = 10, 50
AROUND = Box.from_mask(TRUTH.any(axis=0))
assert AROUND is not None
BOX3D = StackPrompt.from_box3d(FIRST, LAST, AROUND)


def run(
    truth: np.ndarray, prompt: StackPrompt, slice_mm: float, inside: int = 200
) -> tuple[dict[int, SliceResult], int]:
    predictor = threshold_predictor()
    source = stack_of(truth, (1.0, 1.0, slice_mm), inside=inside)
    found = list(propagate(source, prompt, predictor))
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
def test_slices_are_left_out_only_where_those_beside_are_near_and_many(count: int, slice_mm: float, step: int) -> None:
    assert step_of(count, slice_mm) == step


@pytest.mark.parametrize("count", [30, 31, 44, 45])
@pytest.mark.parametrize("slice_mm", [0.6, 1.0, 2.0])
def test_both_ends_are_asked_and_no_gap_is_wider_than_the_step(count: int, slice_mm: float) -> None:
    asked = asked_slices(7, 6 + count, slice_mm)
    assert asked[0] == 7 and asked[-1] == 6 + count
    assert max(b - a for a, b in pairwise(asked)) == step_of(count, slice_mm)
    assert [13 + count - index for index in reversed(asked)] == asked, "turned over, the same"


def test_half_of_the_slices_are_encoded_and_the_object_is_whole() -> None:
    every, calls = run(TRUTH, BOX3D, 5.0)
    thin, fewer = run(TRUTH, BOX3D, 1.0)
    assert calls == LAST - FIRST + 1 and fewer <= calls / 2 + 2
    assert dice(stacked(every), TRUTH) > 0.98 and dice(stacked(thin), TRUTH) > 0.97
    left = [index for index, one in thin.items() if one.interpolated]
    assert not any(one.interpolated for one in every.values())
    assert len(left) == calls - fewer and not {FIRST, LAST} & set(left)
    # Nothing shows where one of the two around it was asked: it is as sure as they are.
    assert all(thin[index].mask.any() and 0 < thin[index].predicted_iou <= 1 for index in left)


def test_a_volume_turned_over_gives_the_same() -> None:
    leaning = ellipsoid(SHAPE, (30, 30, 35), (20, 14, 16)) & ~ellipsoid(SHAPE, (18, 24, 30), (8, 8, 8))
    # Faint, so that nowhere as much speaks for the object as against it.
    upright, _ = run(leaning, BOX3D, 1.0, inside=140)
    over, _ = run(leaning[::-1], BOX3D, 1.0, inside=140)
    assert (stacked(over)[::-1] == stacked(upright)).all()
    assert [over[60 - index].predicted_iou for index in upright] == [one.predicted_iou for one in upright.values()]


def test_what_the_user_gave_on_a_slice_is_asked_there() -> None:
    plain, _ = run(TRUTH, BOX3D, 1.0)
    index = next(index for index, one in plain.items() if one.interpolated)
    given = Box(30, 25, 38, 33)
    results, _ = run(TRUTH, StackPrompt({**BOX3D.slices, index: given}, BOX3D.slice_range, BOX3D.box3d), 1.0)
    assert results[index].key and results[index].box == given
    assert Box.from_mask(results[index].mask) == given


def test_nothing_lies_between_two_slices_that_show_nothing() -> None:
    gone = TRUTH.copy()
    gone[20:] = False
    results, _ = run(gone, BOX3D, 1.0)
    assert not any(one.mask.any() for index, one in results.items() if index > 21)
    assert results[15].mask.any()
