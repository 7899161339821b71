"""Dice coefficient and bounding box of masks."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.masks import bounding_box, dice
from MedSAMSlicerLib.engine.prompts import Box


def test_dice_of_equal_disjoint_and_overlapping_masks() -> None:
    one = np.zeros((4, 6), bool)
    one[1:3, 0:4] = True
    other = np.zeros_like(one)
    other[1:3, 2:6] = True
    assert dice(one, one) == 1
    assert dice(one, other) == 0.5
    assert dice(one, ~one) == 0


def test_two_empty_masks_are_equal_and_one_empty_mask_equals_no_other() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == dice(full, empty) == 0


@pytest.mark.parametrize("shape", [(7,), (5, 9), (4, 6, 8)])
def test_the_bounding_box_holds_every_true_element_and_is_the_smallest_that_does(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(shape))
    for count in (1, 2, 3, 5):
        mask = np.zeros(shape, bool)
        mask.flat[random.choice(mask.size, count, replace=False)] = True
        box = bounding_box(mask)
        assert box is not None
        positions = np.argwhere(mask)
        assert [(side.start, side.stop) for side in box] == list(
            zip(positions.min(axis=0), positions.max(axis=0) + 1, strict=True)
        )


def test_an_empty_mask_has_no_bounding_box() -> None:
    assert bounding_box(np.zeros((3, 4, 5), bool)) is None


def test_the_pixels_of_a_box_are_those_whose_centres_lie_in_it() -> None:
    mask = np.zeros((10, 12), bool)
    mask[2:5, 3:9] = True
    box = Box.from_mask(mask)
    assert box is not None and box.pixels == bounding_box(mask)
    assert Box(2.5, 1.01, 8.9, 4).pixels == (slice(2, 5), slice(3, 9))
    assert Box(-3.5, -2, -0.5, 1).pixels == (slice(0, 2), slice(0, 0))
