"""Logits smoothed along the stack, given as soon as the slices that have a say are there."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.propagation.smoothing import StackSmoother


def smoothed(
    values: dict[int, float], first: int, last: int, spacing_mm: float, trust: float = 1.0
) -> dict[int, float]:
    smoother = StackSmoother(first, last, spacing_mm)
    given = {}
    for index, value in values.items():
        for ready, logits in smoother.take(index, np.full((2, 2), value, np.float32), trust):
            assert ready not in given
            given[ready] = float(logits[0, 0])
    return given


def test_every_slice_is_given_once_whatever_their_order() -> None:
    order = [7, 8, 6, 9, 5, 10, 4, 3]
    given = smoothed(dict.fromkeys(order, 2.0), 3, 10, 1.0)
    assert sorted(given) == sorted(order)
    assert list(given.values()) == pytest.approx([2.0] * 8)


def test_slices_far_apart_are_left_as_they_are_and_given_at_once() -> None:
    smoother = StackSmoother(0, 40, 10.0)
    for index, value in ((20, 3.0), (21, -4.0)):
        ((ready, logits),) = smoother.take(index, np.full((2, 2), value, np.float32), 1.0)
        assert ready == index and (logits == value).all()


def test_one_slice_among_close_ones_is_outvoted() -> None:
    given = smoothed({i: -3.0 if i == 20 else 3.0 for i in range(41)}, 0, 40, 1.0)
    assert given[20] > 0 and given[0] == pytest.approx(3.0)


def test_no_slice_counts_as_surer_than_ten_logits() -> None:
    given = smoothed({i: 1000.0 if i == 20 else -5.0 for i in range(41)}, 0, 40, 1.0)
    assert given[20] < 0


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 2.0])
def test_every_second_slice_tells_as_much_as_all_where_logits_go_in_a_straight_line(spacing_mm: float) -> None:
    def given(coming: list[int]) -> dict[int, float]:
        smoother = StackSmoother(3, 43, spacing_mm, coming)
        found = {}
        for index in coming:
            logits = np.full((2, 2), (index - 20) / 4, np.float32)
            found.update({i: float(v[0, 0]) for i, v in smoother.take(index, logits, 0.8)})
        return found

    every, second = given(list(range(3, 44))), given([3, *range(4, 44, 2), 43])
    assert sorted(every) == sorted(second) == list(range(3, 44))
    assert [second[i] for i in every] == pytest.approx(list(every.values()), abs=1e-5)


def test_a_small_object_is_not_blurred_away() -> None:
    # Five slices of a millimetre: the middle one keeps its own say.
    given = smoothed({0: -5.0, 1: -5.0, 2: 5.0, 3: -5.0, 4: -5.0}, 0, 4, 1.0)
    assert given[2] > 0


def test_a_slice_that_is_not_believed_follows_its_neighbours() -> None:
    smoother = StackSmoother(0, 40, 1.0)
    given = {}
    for index in range(41):
        odd = 18 <= index <= 22
        logits = np.full((2, 2), -5.0 if odd else 5.0, np.float32)
        given.update({i: float(v[0, 0]) for i, v in smoother.take(index, logits, 0.1 if odd else 0.9)})
    assert given[20] > 0
    believed = smoothed({i: -5.0 if 18 <= i <= 22 else 5.0 for i in range(41)}, 0, 40, 1.0)
    assert believed[20] < 0
