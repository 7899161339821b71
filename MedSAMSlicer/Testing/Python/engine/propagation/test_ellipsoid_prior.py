"""What a 3D box leads one to expect: the sections of an ellipsoid, upright or leaning, that touches the box's faces."""

from __future__ import annotations

import math

import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.ellipsoid_prior import EllipsoidPrior

BOUNDS = Box(10, 20, 109, 79)
FIRST, LAST = 0, 200


def leaning(lean: float) -> EllipsoidPrior:
    expected = EllipsoidPrior(BOUNDS, FIRST, LAST)
    for index in range(FIRST, LAST + 1):
        depth = (index - 100) / 100.5
        # Far more slices than there will be: what is seen outweighs "upright".
        for _ in range(20):
            middle = 59.5 + lean * depth * 50
            expected.learn(index, Box(middle - 5, 45, middle + 5, 54), 1.0)
    return expected


def test_upright_sections_are_those_of_an_ellipsoid_around_the_same_centre() -> None:
    expected = EllipsoidPrior(BOUNDS, FIRST, LAST)
    assert expected.section(100, 1.0).xyxy == pytest.approx(BOUNDS.xyxy)
    section = expected.section(150, 1.0)
    narrower = math.sqrt(1 - (50 / 100.5) ** 2)
    assert section.width == pytest.approx(100 * narrower) and section.height == pytest.approx(60 * narrower)
    assert (section.x0 + section.x1) / 2 == pytest.approx(59.5)


def test_a_leaning_ellipsoid_is_narrower_and_still_touches_both_faces() -> None:
    expected = leaning(0.6)
    assert expected.lean == (pytest.approx(0.6, abs=0.01), pytest.approx(0, abs=0.01))
    sections = [expected.section(index, 1.0) for index in range(FIRST, LAST + 1)]
    assert sections[100].width == pytest.approx(80, abs=1), "sqrt(1 - 0.6 * 0.6) of the width"
    assert min(section.x0 for section in sections) == pytest.approx(BOUNDS.x0, abs=0.5)
    assert max(section.x1 for section in sections) == pytest.approx(BOUNDS.x1, abs=0.5)
    assert all(section.intersection(BOUNDS) == section for section in sections)


def test_a_slice_that_is_not_believed_says_nothing() -> None:
    expected = EllipsoidPrior(BOUNDS, FIRST, LAST)
    expected.learn(180, Box(100, 20, 109, 30), 0.0)
    assert expected.lean == (0, 0)


def test_no_section_is_less_than_a_pixel() -> None:
    expected = EllipsoidPrior(Box(5, 5, 6, 6), 0, 9)
    assert (expected.section(0, 0.9).width, expected.section(0, 0.9).height) == (1, 1)
