"""Shapes between key masks, where geometry says what they are."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.models.family import LogitsGrid
from MedSAMSlicerLib.engine.propagation.key_shapes import KeyShape, shape_between
from support.every_family import ONE_OF_EACH_FAMILY
from support.shapes import ellipsoid
from support.small_families import SMALL_FAMILIES

ROWS, COLUMNS = 120, 160
GRID = LogitsGrid(160, 1.0, 1.0)


def disc(y: float, x: float, radius: float) -> np.ndarray:
    return ellipsoid((1, ROWS, COLUMNS), (0, y, x), (1, radius, radius))[0]


def between(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    found = shape_between(KeyShape.of_mask(one, GRID), KeyShape.of_mask(other, GRID), share, 0.75)
    return found[:ROWS, :COLUMNS] > 0


def test_the_section_between_a_large_and_a_small_section_of_a_ball_lies_where_the_ball_is() -> None:
    radius = 40.0
    for share in (0.25, 0.5, 0.75):
        truth = disc(60, 80, radius * np.sqrt(1 - (0.98 * share) ** 2))
        found = between(disc(60, 80, radius), disc(60, 80, radius * np.sqrt(1 - 0.98**2)), share)
        assert dice(found, truth) > 0.93, share


def test_an_object_that_moves_by_more_than_its_size_is_found_half_way() -> None:
    found = between(disc(30, 30, 9), disc(90, 120, 9), 0.5)
    assert dice(found, disc(60, 75, 9)) > 0.95


def test_order_and_ends() -> None:
    one, other = disc(50, 60, 30), disc(70, 80, 12)
    assert np.array_equal(between(one, other, 0.3), between(other, one, 0.7))
    assert dice(between(one, other, 0.0), one) > 0.99 and dice(between(one, other, 1.0), other) > 0.98


def test_a_mask_of_the_whole_slice_or_of_one_pixel_has_a_shape() -> None:
    whole = np.ones((ROWS, COLUMNS), bool)
    assert (KeyShape.of_mask(whole, GRID).distance[:ROWS, :COLUMNS] > 0).all()
    pixel = np.zeros((ROWS, COLUMNS), bool)
    pixel[20, 30] = True
    assert np.array_equal(KeyShape.of_mask(pixel, GRID).distance[:ROWS, :COLUMNS] > 0, pixel)


@ONE_OF_EACH_FAMILY
@pytest.mark.parametrize("shape", [(60, 90), (300, 200)])
def test_the_shape_of_a_mask_is_the_mask_in_every_family(key: str, shape: tuple[int, int]) -> None:
    rows, columns = shape
    family = SMALL_FAMILIES[key]
    mask = ellipsoid((1, rows, columns), (0, rows * 0.6, columns * 0.3), (1, rows * 0.25, columns * 0.2))[0]
    distance = KeyShape.of_mask(mask, family.logits_grid(rows, columns)).distance
    found = family.slice_masks(distance[None], rows, columns)[0]
    # Of small families a pixel of the logits is as large as several pixels of the slice.
    assert dice(found, mask) > 0.93
