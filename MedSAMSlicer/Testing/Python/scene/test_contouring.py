"""Rectangles in slice views become key slices: drawn, seen, dropped, replaced, kept in the scene."""

from __future__ import annotations

from typing import Any

import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.scene.state.prompts import KeySlice, Prompts
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.desk import Desk


def test_a_rectangle_becomes_the_whole_object(desk: Desk) -> None:
    desk.draw(desk.view(7))
    assert (desk.mask == desk.truth).all()
    assert desk.results == 1
    assert desk.contouring.problem is None
    assert list(desk.keys) == [7] and desk.keys[7].origin == "drawn"


def test_the_mask_is_seen_while_the_rectangle_is_drawn(desk: Desk) -> None:
    view = desk.view(7)
    desk.contouring.press(view, (60, 60), False)
    desk.contouring.move((90, 90))
    desk.wait(lambda: desk.contouring.rectangle.image is not None)
    shown = desk.contouring.rectangle
    assert shown.shown.box == shown.drag.box
    first = shown.image.values.sum()
    desk.contouring.move((150, 150))
    desk.wait(lambda: shown.shown.box == shown.drag.box)
    assert shown.image.values.sum() > first
    assert (shown.image.values[0] == desk.truth[7]).all()
    assert desk.contouring.result is None


@pytest.mark.parametrize("name", ["axial", "coronal"])
def test_every_standard_view_uses_the_volumes_own_slices(desk: Desk, name: str) -> None:
    desk.draw(desk.view(7, name))
    assert desk.contouring.plane == Plane("K" if name == "axial" else "J")
    assert (desk.mask == desk.truth).all()


def test_an_oblique_view_is_contoured_in_its_own_plane(desk: Desk, turn: Any) -> None:
    desk.draw(desk.view(7, turned=turn(0, 30, 0)))
    assert desk.contouring.plane.axis is None
    mask = desk.mask
    assert 2 * (mask & desk.truth).sum() / (mask.sum() + desk.truth.sum()) > 0.93
    before = desk.contouring.result
    desk.draw(desk.view(7.5, turned=turn(0, 30, 0)), add=True)
    assert len(desk.keys) == 2
    assert desk.contouring.result is not before


def test_a_rectangle_in_a_view_turned_in_its_plane_holds_all_four_corners(desk: Desk, turn: Any) -> None:
    desk.draw(desk.view(7, turned=turn(0, 0, 45)))
    assert desk.contouring.plane == Plane("K")
    box = desk.keys[7].box
    assert box.width == pytest.approx(12 * 2 * 2**0.5, abs=1.5)


def test_escape_while_drawing_leaves_everything_as_it_was(desk: Desk) -> None:
    desk.draw(desk.view(7))
    result = desk.contouring.result
    desk.contouring.press(desk.view(5), (60, 60), False)
    desk.contouring.move((150, 150))
    assert desk.contouring.escape()
    desk.contouring.release((150, 150))
    desk.wait()
    assert list(desk.keys) == [7]
    assert desk.contouring.result is result
    assert desk.contouring.rectangle.image is None
    assert not desk.contouring.escape()


def test_a_click_is_no_rectangle(desk: Desk) -> None:
    desk.contouring.press(desk.view(7), (100, 100), False)
    desk.contouring.move((102, 101))
    desk.contouring.release((102, 101))
    assert desk.keys == {} and not desk.contouring.running


def test_a_rectangle_beside_the_image_is_refused_in_words(desk: Desk) -> None:
    assert not desk.contouring.press(desk.view(7), (2, 2), False)
    assert "outside of the volume" in str(desk.contouring.problem)


def test_drawing_again_on_a_key_slice_replaces_its_rectangle(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.draw(desk.view(4), add=True)
    first = desk.keys[7].box
    desk.draw(desk.view(7), half=5)
    assert list(desk.keys) == [4, 7]
    assert desk.keys[7].box.width < first.width
    assert desk.keys[7].origin == desk.keys[4].origin == "corrected"


def test_drawing_without_shift_elsewhere_begins_anew(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.draw(desk.view(5))
    assert list(desk.keys) == [5]
    desk.draw(desk.view(7, "coronal"))
    assert desk.contouring.plane == Plane("J")
    assert len(desk.keys) == 1


def test_a_key_slice_cannot_be_added_in_another_plane(desk: Desk) -> None:
    desk.draw(desk.view(7))
    assert not desk.contouring.press(desk.view(7, "coronal"), (60, 60), True)
    assert "another plane" in str(desk.contouring.problem)
    assert (desk.mask == desk.truth).all()


def test_removing_the_last_key_slice_forgets_the_result(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.contouring.remove_key(7)
    assert desk.contouring.result is None and desk.contouring.kept.image is None and desk.keys == {}


def test_prompts_go_with_the_scene_and_come_back_for_each_segment(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.draw(desk.view(9), add=True)
    drawn = desk.contouring.prompts
    desk.contouring.close()
    assert desk.open("other").prompts is None
    again = desk.open("tumour")
    assert again.prompts == drawn
    again.discard()
    assert desk.open("tumour").prompts is None
    desk.parameters.node.SetAttribute("MedSAM.Prompts", '{"tumour": {"plane": "K"}}')
    assert "cannot be read" in str(desk.open("tumour").problem)


def test_a_script_may_set_the_prompts(desk: Desk) -> None:
    prompts = Prompts(Plane("K"), {7: KeySlice(Box(8, 6, 35, 33))})
    desk.parameters.set_prompts_of("tumour", desk.volume, desk.segmentation, prompts.content())
    desk.contouring.read_prompts()
    desk.contouring.run()
    desk.wait()
    assert (desk.mask == desk.truth).all()


def test_options_that_make_no_sense_are_told_when_they_matter(desk: Desk) -> None:
    desk.node.SetAttribute("MedSAM.Window", "nonsense")
    desk.draw(desk.view(7))
    assert "Window is 'nonsense'" in str(desk.contouring.problem)
    desk.parameters.set("Window", "5000,10")
    desk.contouring.run()
    desk.wait()
    assert "shows nothing" in str(desk.contouring.problem)
    assert desk.contouring.result is None
