"""A Markups ROI, turned any way, as a 3D box: nothing is found outside of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.scene.prompts import Prompts
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


def test_what_is_drawn_by_hand_may_leave_the_roi_on_its_slice_alone(all_bright: Desk, turn: Any) -> None:
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.2), (14, 14, 13), turn(0, 0, 45))
    desk.contouring.take_roi(roi)
    desk.wait()
    desk.draw(desk.view(9), add=True, half=9)
    within = inside(desk, roi)
    box = desk.keys[9].box
    drawn = np.zeros(SHAPE[1:], bool)
    drawn[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
    assert (desk.mask[9] == drawn).all() and (drawn & ~within[9]).any()
    others = np.arange(SHAPE[0]) != 9
    assert not (desk.mask & ~within)[others].any()


def test_an_roi_along_the_voxels_needs_nothing_but_its_box(all_bright: Desk) -> None:
    roi = all_bright.world.roi(all_bright.position(7, 19.4, 21.3), (17, 11, 13))
    all_bright.contouring.take_roi(roi)
    all_bright.wait()
    assert all_bright.contouring.prompts.solid is None
    assert (all_bright.mask == inside(all_bright, roi)).all()
