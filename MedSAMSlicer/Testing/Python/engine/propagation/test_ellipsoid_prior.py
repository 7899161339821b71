"""Sections of the ellipsoid in a 3D box, upright and sheared."""

from __future__ import annotations

import math

import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.ellipsoid_prior import EllipsoidPrior
from MedSAMSlicerLib.engine.propagation.settings import InBoxSettings

BOX3D = Box(10, 20, 109, 79)
FIRST, LAST = 0, 200


def sheared(shear: float) -> EllipsoidPrior:
    prior = EllipsoidPrior(BOX3D, FIRST, LAST, InBoxSettings())
    for index in range(FIRST, LAST + 1):
        depth = (index - 100) / 100.5
        # Many more observations than slices: they outweigh the assumption of an upright ellipsoid.
        for _ in range(20):
            middle = 59.5 + shear * depth * 50
            prior.observe(index, Box(middle - 5, 45, middle + 5, 54), 1.0)
    return prior


def test_upright_sections_are_those_of_an_ellipsoid_around_the_same_centre() -> None:
    prior = EllipsoidPrior(BOX3D, FIRST, LAST, InBoxSettings())
    assert prior.section(100, 1.0).xyxy == pytest.approx(BOX3D.xyxy)
    section = prior.section(150, 1.0)
    narrower = math.sqrt(1 - (50 / 100.5) ** 2)
    assert section.width == pytest.approx(100 * narrower) and section.height == pytest.approx(60 * narrower)
    assert (section.x0 + section.x1) / 2 == pytest.approx(59.5)


def test_a_sheared_ellipsoid_is_narrower_and_still_touches_both_faces() -> None:
    prior = sheared(0.6)
    assert prior.shear == (pytest.approx(0.6, abs=0.01), pytest.approx(0, abs=0.01))
    sections = [prior.section(index, 1.0) for index in range(FIRST, LAST + 1)]
    assert sections[100].width == pytest.approx(80, abs=1), "sqrt(1 - 0.6 * 0.6) of the width"
    assert min(section.x0 for section in sections) == pytest.approx(BOX3D.x0, abs=0.5)
    assert max(section.x1 for section in sections) == pytest.approx(BOX3D.x1, abs=0.5)
    assert all(section.intersection(BOX3D) == section for section in sections)


def test_an_observation_without_trust_changes_nothing() -> None:
    prior = EllipsoidPrior(BOX3D, FIRST, LAST, InBoxSettings())
    prior.observe(180, Box(100, 20, 109, 30), 0.0)
    assert prior.shear == (0, 0)


def test_a_section_is_at_least_one_pixel_wide_and_high() -> None:
    prior = EllipsoidPrior(Box(5, 5, 6, 6), 0, 9, InBoxSettings())
    assert (prior.section(0, 0.9).width, prior.section(0, 0.9).height) == (1, 1)
