"""A Markups ROI, turned any way, as a 3D box: nothing is found outside of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.scene.state.prompts import Prompts
from support.desk import SHAPE, Desk


def test_a_rotated_roi_is_a_3d_box(desk: Desk, turn: Any) -> None:
    center = desk.position(7, 19.5, 21.5)
    desk.contouring.take_roi(desk.world.roi(center, (30, 30, 12), turn(0, 0, 30)))
    desk.wait()
    slices = desk.mask.any(axis=(1, 2)).nonzero()[0]
    assert (slices.min(), slices.max()) == (4, 10)
    assert (desk.mask[5] == desk.truth[5]).all()
    assert [key.origin for key in desk.keys.values()] == ["roi"]
    desk.contouring.take_roi(desk.world.roi((900, 900, 900), (3, 3, 3)))
    assert "lies outside the volume" in str(desk.contouring.problem)
    assert len(desk.keys) == 1


@pytest.fixture
def all_bright(desk: Desk) -> Desk:
    """The engine finds all that it may find."""
    slicer.util.arrayFromVolume(desk.volume)[:] = 200
    slicer.util.arrayFromVolume(desk.volume)[0, 0, 0] = 20
    desk.volume.Modified()
    return desk


def inside(desk: Desk, roi: Any) -> np.ndarray:
    """Which voxels' centres Slicer says to lie in the ROI."""
    return np.array([roi.IsPointInROIWorld(desk.position(*at).tolist()) for at in np.ndindex(*SHAPE)]).reshape(SHAPE)


def test_the_result_is_the_rotated_roi_itself_where_all_of_it_is_object(all_bright: Desk, turn: Any) -> None:
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.3), (17, 11, 13), turn(20, -35, 30))
    desk.contouring.take_roi(roi)
    desk.wait()
    assert (desk.mask == inside(desk, roi)).all()
    assert desk.mask.sum() < 0.6 * np.prod([np.ptp(n) + 1 for n in desk.mask.nonzero()])
    kept = desk.contouring.prompts
    assert kept.solid is not None and Prompts.from_content(kept.content()) == kept


def rectangle(desk: Desk, k: int) -> np.ndarray:
    """Pixels of the rectangle on a key slice."""
    box = desk.keys[k].box
    assert box is not None
    drawn = np.zeros(SHAPE[1:], bool)
    drawn[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
    return drawn


def test_a_rectangle_that_reaches_over_the_faces_of_the_roi_is_cut_to_it_and_so_is_its_preview(
    all_bright: Desk, turn: Any
) -> None:
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.2), (14, 14, 13), turn(0, 0, 45))
    desk.contouring.take_roi(roi)
    desk.wait()
    within = inside(desk, roi)
    view, rectangle_tool = desk.view(9), desk.contouring.rectangle
    desk.contouring.press(view, (82, 82), True)
    desk.contouring.move((118, 118))
    desk.wait(lambda: rectangle_tool.image is not None)
    seen = rectangle_tool.image.values[0] > 0
    desk.contouring.release((118, 118))
    desk.wait()
    drawn = rectangle(desk, 9)
    assert (drawn & ~within[9]).any()
    assert (seen == (drawn & within[9])).all()
    assert (desk.mask[9] == (drawn & within[9])).all()
    assert not (desk.mask & ~within).any() and desk.mask[8].any()


def test_a_rectangle_beside_the_roi_says_that_the_object_leaves_it(all_bright: Desk, turn: Any) -> None:
    """As an ROI along the voxels grows to hold what is drawn."""
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.2), (8, 8, 9), turn(0, 0, 45))
    desk.contouring.take_roi(roi)
    desk.wait()
    assert not (desk.mask & ~inside(desk, roi)).any()
    view, rectangle_tool = desk.view(8), desk.contouring.rectangle
    desk.contouring.press(view, (120, 120), True)
    desk.contouring.move((150, 150))
    desk.wait(lambda: rectangle_tool.image is not None)
    seen = rectangle_tool.image.values[0] > 0
    desk.contouring.release((150, 150))
    desk.wait()
    drawn = rectangle(desk, 8)
    assert not (drawn & inside(desk, roi)[8]).any()
    assert (seen == drawn).all() and (desk.mask[8] == drawn).all()
    assert desk.contouring.prompts.solid is None


def test_a_rectangle_elsewhere_without_shift_knows_nothing_of_the_roi(all_bright: Desk, turn: Any) -> None:
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.2), (14, 14, 13), turn(0, 0, 45))
    desk.contouring.take_roi(roi)
    desk.wait()
    desk.draw(desk.view(9), half=9)
    assert list(desk.keys) == [9] and (desk.mask[9] == rectangle(desk, 9)).all()


def test_an_roi_along_the_voxels_needs_nothing_but_its_box(all_bright: Desk) -> None:
    roi = all_bright.world.roi(all_bright.position(7, 19.4, 21.3), (17, 11, 13))
    all_bright.contouring.take_roi(roi)
    all_bright.wait()
    assert all_bright.contouring.prompts.solid is None
    assert (all_bright.mask == inside(all_bright, roi)).all()
