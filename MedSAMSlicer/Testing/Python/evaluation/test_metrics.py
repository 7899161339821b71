"""Metrics on shapes whose agreement is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from MedSAMSlicerLib.evaluation.metrics import agreement


def block(shift: int = 0, width: int = 10) -> np.ndarray:
    mask = np.zeros((30, 40, 40), bool)
    mask[10:20, 10:20, 10 + shift : 10 + shift + width] = True
    return mask


def test_the_truth_itself() -> None:
    found = agreement(block(), block(), (3.0, 1.0, 1.0))
    assert (found.dsc, found.nsd_2mm, found.hd95_mm, found.volume_error_pct) == (1, 1, 0, 0)


def test_a_shift_is_measured_in_millimetres() -> None:
    fine = agreement(block(3), block(), (1.0, 1.0, 1.0))
    coarse = agreement(block(3), block(), (1.0, 1.0, 2.0))
    assert fine.dsc == coarse.dsc == pytest.approx(0.7)
    assert fine.hd95_mm == pytest.approx(3.0) and coarse.hd95_mm == pytest.approx(6.0)
    assert agreement(block(1), block(), (1.0, 1.0, 1.0)).nsd_2mm == 1
    assert agreement(block(3), block(), (1.0, 1.0, 1.0)).nsd_2mm < 1


def test_volume_error_has_a_sign() -> None:
    assert agreement(block(width=12), block(), (1.0, 1.0, 1.0)).volume_error_pct == pytest.approx(20)
    assert agreement(block(width=5), block(), (1.0, 1.0, 1.0)).volume_error_pct == pytest.approx(-50)


def test_an_empty_result_is_as_bad_as_can_be() -> None:
    found = agreement(np.zeros_like(block()), block(), (1.0, 1.0, 1.0))
    assert (found.dsc, found.nsd_2mm, found.hd95_mm, found.volume_error_pct) == (0, 0, math.inf, -100)


def test_given_slices_count_neither_for_the_coefficient_nor_for_the_volume() -> None:
    result = block()
    result[[12, 13]] = False
    whole, others = agreement(result, block(), (3.0, 1.0, 1.0)), agreement(result, block(), (3.0, 1.0, 1.0), [12, 13])
    assert whole.dsc < 1 and whole.volume_error_pct < 0
    assert (others.dsc, others.volume_error_pct) == (1.0, 0.0)
    assert (others.nsd_2mm, others.hd95_mm) == (whole.nsd_2mm, whole.hd95_mm)
