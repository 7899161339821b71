"""Masks brought from one grid to another: copied where voxels coincide, resampled or refused elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.handoff.grid import Grid, move_mask
from support.patient_series import ball

TILT = Rotation.from_euler("xyz", (10, 20, -30), degrees=True).as_matrix()
TARGET = Grid.of((11, 40, 44), (0.9, 0.9, 2.7), (-10, 4, 30), TILT)
MASK = ball(TARGET.shape, (5, 17, 24), 11) & ~ball(TARGET.shape, (5, 17, 28), 4)


def in_other_order(mask: np.ndarray, grid: Grid, order: tuple[int, int, int], flipped: tuple[int, ...]) -> Any:
    """The same object on the same voxels, with axes (i, j, k) exchanged and some reversed, as SimpleITK does it."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    matrix = grid.ijk_to_lps
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image = sitk.Flip(sitk.PermuteAxes(image, order), [n in flipped for n in range(3)])
    array = sitk.GetArrayFromImage(image).astype(bool)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    return array, Grid.of(array.shape, image.GetSpacing(), image.GetOrigin(), direction)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize("flipped", [(), (0,), (1, 2), (0, 1, 2)])
def test_voxels_in_another_order_are_copied(order: tuple[int, int, int], flipped: tuple[int, ...]) -> None:
    mask, grid = in_other_order(MASK, TARGET, order, flipped)
    moved, resampled = move_mask(mask, grid, TARGET, "GTV")
    np.testing.assert_array_equal(moved, MASK)
    assert not resampled


def test_a_cropped_grid_is_copied() -> None:
    matrix = TARGET.ijk_to_lps.copy()
    matrix[:3, 3] += matrix[:3, :3] @ (5, 3, 1)
    moved, resampled = move_mask(MASK[1:9, 3:35, 5:40], Grid((8, 32, 35), matrix), TARGET, "GTV")
    np.testing.assert_array_equal(moved, MASK)
    assert not resampled


def test_another_grid_is_resampled_and_it_says_so() -> None:
    centre = (TARGET.ijk_to_lps @ [22, 20, 5, 1])[:3]
    fine = Grid.of((70, 70, 70), (0.5, 0.5, 0.5), centre - 17.5, np.eye(3))
    sphere = ball(fine.shape, (35, 35, 35), 20, step=1)  # 10 mm
    moved, resampled = move_mask(sphere, fine, TARGET, "GTV")
    assert resampled
    assert dice(moved, ball(TARGET.shape, (5, 20, 22), 10 / 0.9)) > 0.97
    assert moved.sum() * TARGET.voxel_ml == pytest.approx(sphere.sum() * fine.voxel_ml, rel=0.03)


def test_an_object_outside_is_refused(refused: Any) -> None:
    matrix = TARGET.ijk_to_lps.copy()
    for shift in (1000.0, 30.0):  # all of it, and a part
        matrix[:3, 3] = TARGET.ijk_to_lps[:3, 3] + shift * TILT[:, 0]
        with refused("GTV", "outside of the series"):
            move_mask(MASK, Grid(TARGET.shape, matrix), TARGET, "GTV")


def test_an_empty_mask_is_refused(refused: Any) -> None:
    with refused("GTV", "empty"):
        move_mask(np.zeros(TARGET.shape, bool), TARGET, TARGET, "GTV")


@pytest.mark.parametrize(
    "shift", [(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (0.5, 0.5, 0.5), (-0.5, 0.5, 0), (0.3, 0.2, 0)]
)
@pytest.mark.parametrize("radius", [3, 5])
def test_objects_between_voxels_keep_their_volume(shift: tuple[float, float, float], radius: float) -> None:
    grid = Grid.of((20, 20, 20), (1, 1, 1), (0, 0, 0), np.eye(3))
    sphere = ball(grid.shape, (9, 9, 9), radius, step=1)
    moved, resampled = move_mask(sphere, grid, Grid.of((20, 20, 20), (1, 1, 1), shift, np.eye(3)), "GTV")
    assert resampled
    assert moved.sum() == pytest.approx(sphere.sum(), rel=0.3 / radius)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("half", [0.5, -0.5])
def test_objects_half_a_voxel_beside_the_voxels_are_taken_to_one_side(axis: int, half: float) -> None:
    grid = Grid.of((20, 20, 20), (1, 1, 1), (0, 0, 0), np.eye(3))
    plate = np.zeros(grid.shape, bool)
    plate[9, 5:15, 5:15] = True
    moved, _resampled = move_mask(plate, grid, Grid.of(grid.shape, (1, 1, 1), half * np.eye(3)[axis], np.eye(3)), "GTV")
    assert moved.sum() == pytest.approx(plate.sum(), rel=0.05)
    assert moved.any(axis=(1, 2)).sum() == 1


def test_an_object_that_no_voxel_is_left_of_is_refused(refused: Any) -> None:
    fine = Grid.of((60, 20, 20), (1, 1, 0.5), (0, 0, 0), np.eye(3))
    thin = np.zeros(fine.shape, bool)
    thin[22, 5:15, 5:15] = True
    with refused("GTV", "vanishes on the slices of the series"):
        move_mask(thin, fine, Grid.of((10, 20, 20), (1, 1, 3), (0, 0, 0), np.eye(3)), "GTV")
