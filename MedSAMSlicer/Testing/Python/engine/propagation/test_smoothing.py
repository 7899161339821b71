"""Smoothing of logits along the stack."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.propagation.settings import SmoothingSettings
from MedSAMSlicerLib.engine.propagation.smoothing import StackSmoother

SETTINGS = SmoothingSettings()


def smoothed(
    values: dict[int, float], first: int, last: int, spacing_mm: float, trust: float = 1.0
) -> dict[int, float]:
    smoother = StackSmoother(first, last, spacing_mm, SETTINGS)
    given = {}
    for index, value in values.items():
        for ready, logits in smoother.add(index, np.full((2, 2), value, np.float32), trust):
            assert ready not in given
            given[ready] = float(logits[0, 0])
    return given


def test_every_slice_is_returned_once_in_any_order() -> None:
    order = [7, 8, 6, 9, 5, 10, 4, 3]
    given = smoothed(dict.fromkeys(order, 2.0), 3, 10, 1.0)
    assert sorted(given) == sorted(order)
    assert list(given.values()) == pytest.approx([2.0] * 8)


def test_slices_far_apart_are_not_smoothed_and_returned_at_once() -> None:
    smoother = StackSmoother(0, 40, 10.0, SETTINGS)
    for index, value in ((20, 3.0), (21, -4.0)):
        ((ready, logits),) = smoother.add(index, np.full((2, 2), value, np.float32), 1.0)
        assert ready == index and (logits == value).all()


def test_one_slice_among_close_ones_is_outvoted() -> None:
    given = smoothed({i: -3.0 if i == 20 else 3.0 for i in range(41)}, 0, 40, 1.0)
    assert given[20] > 0 and given[0] == pytest.approx(3.0)


def test_logits_are_clipped() -> None:
    given = smoothed({i: 1000.0 if i == 20 else -5.0 for i in range(41)}, 0, 40, 1.0)
    assert given[20] < 0


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 2.0])
def test_skipping_every_second_slice_changes_nothing_where_logits_are_linear(spacing_mm: float) -> None:
    def given(predicted: list[int]) -> dict[int, float]:
        smoother = StackSmoother(3, 43, spacing_mm, SETTINGS, predicted)
        found = {}
        for index in predicted:
            logits = np.full((2, 2), (index - 20) / 4, np.float32)
            found.update({i: float(v[0, 0]) for i, v in smoother.add(index, logits, 0.8)})
        return found

    every, second = given(list(range(3, 44))), given([3, *range(4, 44, 2), 43])
    assert sorted(every) == sorted(second) == list(range(3, 44))
    assert [second[i] for i in every] == pytest.approx(list(every.values()), abs=1e-5)


def test_a_small_object_is_not_blurred_away() -> None:
    # Five slices of one millimetre: the middle one outweighs its neighbours.
    given = smoothed({0: -5.0, 1: -5.0, 2: 5.0, 3: -5.0, 4: -5.0}, 0, 4, 1.0)
    assert given[2] > 0


def test_a_slice_with_little_trust_follows_its_neighbours() -> None:
    smoother = StackSmoother(0, 40, 1.0, SETTINGS)
    given = {}
    for index in range(41):
        odd = 18 <= index <= 22
        logits = np.full((2, 2), -5.0 if odd else 5.0, np.float32)
        given.update({i: float(v[0, 0]) for i, v in smoother.add(index, logits, 0.1 if odd else 0.9)})
    assert given[20] > 0
    trusted = smoothed({i: -5.0 if 18 <= i <= 22 else 5.0 for i in range(41)}, 0, 40, 1.0)
    assert trusted[20] < 0
