"""Boxes of voxels, and masks cropped to them."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.volume.voxel_box import CroppedMask, VoxelBox

GRID = VoxelBox((-2, 3, 10), (6, 7, 8))
EMPTY = VoxelBox((0, 0, 0), (0, 0, 0))


def random_mask(share: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(GRID.shape) < share


@pytest.mark.parametrize("seed", range(5))
def test_the_box_of_a_mask_is_the_smallest_that_holds_it(seed: int) -> None:
    mask = random_mask(0.02, seed)
    box = VoxelBox.from_mask(mask, GRID.first)
    true = np.argwhere(mask) + GRID.first
    assert box.first == tuple(true.min(axis=0)) and box.shape == tuple(np.ptp(true, axis=0) + 1)
    inside = mask[box.slices_in(GRID)]
    assert inside.sum() == mask.sum() > 0
    assert all(face.any() for axis in range(3) for face in (inside.take(0, axis), inside.take(-1, axis)))


def test_nothing_has_an_empty_box_that_unions_ignore() -> None:
    nothing = VoxelBox.from_mask(np.zeros(GRID.shape, bool))
    assert nothing.empty and nothing.extent == (0, -1, 0, -1, 0, -1)
    assert VoxelBox.from_extent(nothing.extent) == nothing
    assert GRID.union(nothing) == nothing.union(GRID) == GRID
    assert GRID.intersection(nothing).empty


def test_extents_count_from_i_and_include_the_last_voxel() -> None:
    assert GRID.extent == (10, 17, 3, 9, -2, 3)
    assert VoxelBox.from_extent(GRID.extent) == GRID


def test_union_and_intersection() -> None:
    other = VoxelBox((0, 8, 4), (9, 9, 8))
    assert GRID.union(other) == VoxelBox((-2, 3, 4), (11, 14, 14))
    assert GRID.intersection(other) == VoxelBox((0, 8, 10), (4, 2, 2))
    assert GRID.intersection(VoxelBox((4, 3, 10), (1, 1, 1))).empty


def test_a_cropped_mask_is_false_outside_its_box() -> None:
    mask = random_mask(0.01)
    cropped = CroppedMask.of(mask, GRID.first)
    assert cropped.voxels.size < mask.size
    np.testing.assert_array_equal(cropped.inside(GRID), mask)
    shifted = VoxelBox((-2, 5, 7), (6, 7, 8))
    expected = np.zeros(shifted.shape, bool)
    expected[:, :5, 3:] = mask[:, 2:, :5]
    np.testing.assert_array_equal(cropped.inside(shifted), expected)
    assert not cropped.inside(VoxelBox((50, 50, 50), (2, 2, 2))).any()


def test_what_a_cropped_mask_has_without_another() -> None:
    one, other = random_mask(0.2, 1), random_mask(0.8, 2)
    other[:, :, :4] = False
    left = CroppedMask.of(one, GRID.first).without(CroppedMask.of(other, GRID.first))
    np.testing.assert_array_equal(left.inside(GRID), one & ~other)
    assert CroppedMask.of(one).without(CroppedMask.of(one)).box.empty


def test_a_cropped_mask_is_a_copy() -> None:
    mask = random_mask(1.1)
    cropped = CroppedMask.of(mask)
    mask[...] = False
    assert cropped.voxels.all()
