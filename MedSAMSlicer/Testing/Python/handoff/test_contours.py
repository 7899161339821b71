"""Contours of slices: their area, their holes, and the mask that comes back from them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from MedSAMSlicerLib.handoff.contours import fill_contours, slice_contours
from support.contour_area import area
from support.patient_series import disc


def random_mask(seed: int, shape: tuple[int, int] = (24, 31), share: float = 0.6) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


@pytest.mark.parametrize(("radius", "most"), [(3, 0.018), (5, 0.01), (15, 0.001), (30, 0.0002)])
def test_the_area_of_a_disc_is_that_of_its_pixels(radius: float, most: float) -> None:
    mask = disc((80, 80), (40, 39), radius)
    [contour] = slice_contours(mask)
    assert area(contour) == pytest.approx(mask.sum(), rel=most)


@pytest.mark.parametrize("seed", range(12))
def test_any_mask_comes_back_from_its_contours(seed: int) -> None:
    """Noise has holes in holes, islands in holes, pixels that touch at corners, and pixels on every edge."""
    mask = random_mask(seed, share=0.35 + 0.05 * seed)
    np.testing.assert_array_equal(fill_contours(slice_contours(mask), mask.shape), mask)


@pytest.mark.parametrize("seed", range(6))
def test_contours_never_pass_through_the_centre_of_a_pixel(seed: int) -> None:
    """Whichever side a reader gives a point on an edge to, the mask is the same; keyholes are edges as well."""
    mask = random_mask(seed, share=0.75)
    rows, columns = np.nonzero(np.ones_like(mask))
    for contour in slice_contours(mask):
        for (x0, y0), (x1, y1) in zip(contour, np.roll(contour, -1, axis=0), strict=True):
            along = np.array([x1 - x0, y1 - y0])
            to_centres = np.stack([columns - x0, rows - y0], axis=1)
            share = np.clip(to_centres @ along / max(along @ along, 1e-9), 0, 1)
            assert np.linalg.norm(to_centres - share[:, None] * along, axis=1).min() > 0.3


def test_another_library_fills_a_keyhole_in_the_same_way() -> None:
    mask = disc((40, 40), (20, 20), 14) & ~disc((40, 40), (16, 14), 3) & ~disc((40, 40), (24, 25), 4)
    [contour] = slice_contours(mask)
    rows, columns = np.nonzero(np.ones_like(mask))
    inside = Polygon(np.vstack([contour, contour[:1]])).contains_points(np.stack([columns, rows], axis=1))
    np.testing.assert_array_equal(inside.reshape(mask.shape), mask)
    assert area(contour) == pytest.approx(mask.sum(), rel=0.01)


def test_a_hole_may_also_be_a_contour_of_its_own() -> None:
    """The exclusive-or reading: other programs write the edge of a hole as a second contour on the slice."""
    outer, hole = disc((40, 40), (20, 20), 14), disc((40, 40), (20, 20), 6)
    contours = slice_contours(outer) + slice_contours(hole)
    np.testing.assert_array_equal(fill_contours(contours, outer.shape), outer & ~hole)


def test_every_object_has_one_contour() -> None:
    mask = disc((40, 60), (20, 15), 8) | disc((40, 60), (20, 40), 9)
    mask[0, :3] = True
    assert len(slice_contours(mask)) == 3
    assert slice_contours(np.zeros((5, 5), bool)) == []


def test_straight_edges_have_no_points_between_their_ends() -> None:
    mask = np.zeros((20, 20), bool)
    mask[4:14, 5:17] = True
    [contour] = slice_contours(mask)
    assert len(contour) == 8  # the corners are cut
