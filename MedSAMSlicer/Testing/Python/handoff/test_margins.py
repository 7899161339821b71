"""Margins with known answers: in the patient's directions, on every grid, right to half a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from MedSAMSlicerLib.handoff.grid import Grid
from MedSAMSlicerLib.handoff.margins import at_edge, grow

TILT = Rotation.from_euler("xyz", (25, -15, 50), degrees=True).as_matrix()
DIRECTIONS = {"axial": np.eye(3), "oblique": TILT, "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])}
RADIUS = 9.0


def make_grid(direction: str, spacing: tuple[float, float, float], across_mm: float = 66.0) -> Grid:
    """A cube of about `across_mm` around the patient's origin."""
    shape = [int(across_mm / mm) | 1 for mm in spacing]
    axes = DIRECTIONS[direction]
    origin = -axes @ (np.array(spacing) * (np.array(shape) - 1) / 2)
    return Grid.of(shape[::-1], spacing, origin, axes)


def positions(grid: Grid) -> np.ndarray:
    """(k, j, i, 3) LPS mm of all voxels."""
    k, j, i = np.indices(grid.shape)
    return np.stack([i, j, k], axis=-1) @ grid.ijk_to_lps[:3, :3].T + grid.ijk_to_lps[:3, 3]


def width_of_a_voxel(grid: Grid, direction: np.ndarray) -> float:
    """Width of a voxel in mm as it is seen along a direction."""
    return float(np.abs(direction @ grid.ijk_to_lps[:3, :3]).sum())


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0)])
@pytest.mark.parametrize("margin", [(5.0,), (10, 4, 7, 3, 12, 6), (0, 8, 0, 0, 5, 5)])
def test_a_sphere_grows_by_its_margin_in_every_direction(
    direction: str, spacing: tuple[float, float, float], margin: Sequence[float]
) -> None:
    grid = make_grid(direction, spacing)
    sphere = np.linalg.norm(positions(grid), axis=-1) <= RADIUS
    grown = grow(sphere, grid, margin)
    left, right, anterior, posterior, superior, inferior = np.repeat(margin, 6 // len(margin))
    expected = {
        (1, 0, 0): left,
        (-1, 0, 0): right,
        (0, -1, 0): anterior,
        (0, 1, 0): posterior,
        (0, 0, 1): superior,
        (0, 0, -1): inferior,
    }
    at = positions(grid)
    for towards, mm in expected.items():
        direction_lps = np.array(towards, float)
        reach = (at[grown] @ direction_lps).max()
        assert abs(reach - (RADIUS + mm)) <= width_of_a_voxel(grid, direction_lps) / 2 + 1e-6, (towards, mm, reach)
    assert (grown | ~sphere).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_one_margin_gives_a_larger_sphere(direction: str) -> None:
    grid = make_grid(direction, (1.0, 1.0, 2.0))
    distance = np.linalg.norm(positions(grid), axis=-1)
    grown = grow(distance <= RADIUS, grid, 6)
    assert distance[grown].max() <= RADIUS + 6 + 1.0  # half a voxel along the coarsest axis
    assert distance[~grown].min() >= RADIUS + 6 - 1.0
    radius = np.cbrt(grown.sum() * grid.voxel_ml * 3000 / 4 / np.pi)
    assert radius == pytest.approx(RADIUS + 6, abs=0.5)


def test_a_margin_below_half_a_voxel_adds_nothing_and_above_it_one_voxel() -> None:
    grid = make_grid("axial", (1.0, 1.0, 3.0), 30)
    voxel = np.zeros(grid.shape, bool)
    k, j, i = (n // 2 for n in grid.shape)
    voxel[k, j, i] = True
    assert grow(voxel, grid, 0).sum() == grow(voxel, grid, 0.4).sum() == 1
    assert grow(voxel, grid, (0, 0, 0, 0, 1.6, 1.4))[:, j, i].sum() == 2


def test_a_margin_stays_out_of_some_segments_and_inside_others() -> None:
    grid = make_grid("oblique", (1.0, 1.0, 2.0))
    at = positions(grid)
    sphere = np.linalg.norm(at, axis=-1) <= RADIUS
    bone, body = at[..., 0] > 10, at[..., 2] < 12
    grown = grow(sphere, grid, 8, avoid=[bone], inside=[body])
    free = grow(sphere, grid, 8)
    np.testing.assert_array_equal(grown, (free & ~bone & body) | sphere)
    assert grown.sum() < free.sum()


def test_a_margin_ends_at_the_edge_of_the_volume() -> None:
    grid = make_grid("axial", (1.0, 1.0, 1.0), 20)
    corner = np.zeros(grid.shape, bool)
    corner[0, 0, 0] = True
    grown = grow(corner, grid, 5)
    assert grown[5, 0, 0] and grown[0, 5, 0] and grown[0, 0, 5] and not grown[-1].any() and not grown[:, :, -1].any()
    assert at_edge(grown) and not at_edge(np.pad(grown, 1))


@pytest.mark.parametrize("margin", [-1, (1, 2, 3), (1, 2, 3, 4, 5, 600), float("nan")])
def test_margins_that_make_no_sense_are_refused(margin: Any, refused: Any) -> None:
    grid = make_grid("axial", (1.0, 1.0, 1.0), 10)
    with refused("one or six", "L R A P S I"):
        grow(np.ones(grid.shape, bool), grid, margin)
    with refused("empty"):
        grow(np.zeros(grid.shape, bool), grid, 5)
