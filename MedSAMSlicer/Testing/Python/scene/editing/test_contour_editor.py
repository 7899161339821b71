"""Rectangles in slice views become key slices: drawn, seen, dropped, replaced, kept in the scene."""

from __future__ import annotations

from typing import Any

import pytest

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.scene.state.prompts import KeySlice, Prompts
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.contour_editor_fixture import ContourEditorFixture


def test_a_rectangle_becomes_the_whole_object(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    assert (editor_fixture.mask == editor_fixture.truth).all()
    assert editor_fixture.results == 1
    assert editor_fixture.contouring.problem is None
    assert list(editor_fixture.keys) == [7] and editor_fixture.keys[7].origin == "drawn"


def test_the_mask_is_seen_while_the_rectangle_is_drawn(editor_fixture: ContourEditorFixture) -> None:
    view = editor_fixture.view(7)
    editor_fixture.contouring.mouse.press(view, (60, 60), False)
    editor_fixture.contouring.mouse.move((90, 90))
    editor_fixture.wait(lambda: editor_fixture.contouring.rectangle.image is not None)
    shown = editor_fixture.contouring.rectangle
    assert shown.shown.box == shown.drag.box
    first = shown.image.values.sum()
    editor_fixture.contouring.mouse.move((150, 150))
    editor_fixture.wait(lambda: shown.shown.box == shown.drag.box)
    assert shown.image.values.sum() > first
    assert (shown.image.values[0] == editor_fixture.truth[7]).all()
    assert editor_fixture.contouring.result is None


@pytest.mark.parametrize("name", ["axial", "coronal"])
def test_every_standard_view_uses_the_volumes_own_slices(editor_fixture: ContourEditorFixture, name: str) -> None:
    editor_fixture.draw(editor_fixture.view(7, name))
    assert editor_fixture.contouring.state.plane == Plane("K" if name == "axial" else "J")
    assert (editor_fixture.mask == editor_fixture.truth).all()


def test_an_oblique_view_is_contoured_in_its_own_plane(editor_fixture: ContourEditorFixture, turn: Any) -> None:
    editor_fixture.draw(editor_fixture.view(7, turned=turn(0, 30, 0)))
    assert editor_fixture.contouring.state.plane.axis is None
    mask = editor_fixture.mask
    assert dice(mask, editor_fixture.truth) > 0.93
    before = editor_fixture.contouring.result
    editor_fixture.draw(editor_fixture.view(7.5, turned=turn(0, 30, 0)), add=True)
    assert len(editor_fixture.keys) == 2
    assert editor_fixture.contouring.result is not before


def test_a_rectangle_in_a_view_turned_in_its_plane_holds_all_four_corners(
    editor_fixture: ContourEditorFixture, turn: Any
) -> None:
    editor_fixture.draw(editor_fixture.view(7, turned=turn(0, 0, 45)))
    assert editor_fixture.contouring.state.plane == Plane("K")
    box = editor_fixture.keys[7].box
    assert box.width == pytest.approx(12 * 2 * 2**0.5, abs=1.5)


def test_escape_while_drawing_leaves_everything_as_it_was(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    result = editor_fixture.contouring.result
    editor_fixture.contouring.mouse.press(editor_fixture.view(5), (60, 60), False)
    editor_fixture.contouring.mouse.move((150, 150))
    assert editor_fixture.contouring.mouse.escape()
    editor_fixture.contouring.mouse.release((150, 150))
    editor_fixture.wait()
    assert list(editor_fixture.keys) == [7]
    assert editor_fixture.contouring.result is result
    assert editor_fixture.contouring.rectangle.image is None
    assert not editor_fixture.contouring.mouse.escape()


def test_a_click_is_no_rectangle(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.contouring.mouse.press(editor_fixture.view(7), (100, 100), False)
    editor_fixture.contouring.mouse.move((102, 101))
    editor_fixture.contouring.mouse.release((102, 101))
    assert editor_fixture.keys == {} and not editor_fixture.contouring.running


def test_a_rectangle_beside_the_image_is_refused_in_words(editor_fixture: ContourEditorFixture) -> None:
    assert not editor_fixture.contouring.mouse.press(editor_fixture.view(7), (2, 2), False)
    assert "outside of the volume" in str(editor_fixture.contouring.problem)


def test_drawing_again_on_a_key_slice_replaces_its_rectangle(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(4), add=True)
    first = editor_fixture.keys[7].box
    editor_fixture.draw(editor_fixture.view(7), half=5)
    assert list(editor_fixture.keys) == [4, 7]
    assert editor_fixture.keys[7].box.width < first.width
    assert editor_fixture.keys[7].origin == editor_fixture.keys[4].origin == "corrected"


def test_drawing_without_shift_elsewhere_begins_anew(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(5))
    assert list(editor_fixture.keys) == [5]
    editor_fixture.draw(editor_fixture.view(7, "coronal"))
    assert editor_fixture.contouring.state.plane == Plane("J")
    assert len(editor_fixture.keys) == 1


def test_a_key_slice_cannot_be_added_in_another_plane(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    assert not editor_fixture.contouring.mouse.press(editor_fixture.view(7, "coronal"), (60, 60), True)
    assert "another plane" in str(editor_fixture.contouring.problem)
    assert (editor_fixture.mask == editor_fixture.truth).all()


def test_removing_the_last_key_slice_forgets_the_result(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.contouring.remove_key(7)
    assert (
        editor_fixture.contouring.result is None
        and editor_fixture.contouring.state.current.image is None
        and editor_fixture.keys == {}
    )


def test_prompts_go_with_the_scene_and_come_back_for_each_segment(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(9), add=True)
    drawn = editor_fixture.contouring.state.prompts
    editor_fixture.contouring.close()
    assert editor_fixture.open("other").state.prompts is None
    again = editor_fixture.open("tumour")
    assert again.state.prompts == drawn
    again.discard()
    assert editor_fixture.open("tumour").state.prompts is None
    editor_fixture.parameters.node.SetAttribute("MedSAM.Prompts", '{"tumour": {"plane": "K"}}')
    assert "cannot be read" in str(editor_fixture.open("tumour").problem)


def test_a_script_may_set_the_prompts(editor_fixture: ContourEditorFixture) -> None:
    prompts = Prompts(Plane("K"), {7: KeySlice(Box(8, 6, 35, 33))})
    editor_fixture.parameters.set_prompts_of(
        "tumour", editor_fixture.volume, editor_fixture.segmentation, prompts.content()
    )
    editor_fixture.contouring.read_prompts()
    editor_fixture.contouring.run()
    editor_fixture.wait()
    assert (editor_fixture.mask == editor_fixture.truth).all()


def test_options_that_make_no_sense_are_told_when_they_matter(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.node.SetAttribute("MedSAM.Window", "nonsense")
    editor_fixture.draw(editor_fixture.view(7))
    assert "Window is 'nonsense'" in str(editor_fixture.contouring.problem)
    editor_fixture.parameters.set("Window", "5000,10")
    editor_fixture.contouring.run()
    editor_fixture.wait()
    assert "shows nothing" in str(editor_fixture.contouring.problem)
    assert editor_fixture.contouring.result is None


def test_a_rectangle_waits_for_the_window_that_was_chosen_just_before(editor_fixture: ContourEditorFixture) -> None:
    """A script sets an option and the mouse moves before the timer has found the window."""
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.parameters.set("Window", "130,255")
    mouse = editor_fixture.contouring.mouse
    assert mouse.press(editor_fixture.view(9), (60, 60), False)
    mouse.move((140, 140))
    editor_fixture.wait(lambda: editor_fixture.contouring.rectangle.shown is not None)
    assert (editor_fixture.contouring.rectangle.image.values[0].astype(bool) == editor_fixture.truth[9]).all()


def test_a_forgotten_shift_is_taken_back_with_the_result(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(4), add=True)
    keys, result = editor_fixture.keys, editor_fixture.contouring.result
    editor_fixture.draw(editor_fixture.view(9), half=5)
    assert list(editor_fixture.keys) == [9] and editor_fixture.contouring.result is not result
    assert editor_fixture.contouring.can_undo_prompt and editor_fixture.contouring.undo_prompt()
    assert editor_fixture.keys == keys and editor_fixture.contouring.result is result
    assert not editor_fixture.contouring.busy, "nothing is computed again"
    assert (editor_fixture.contouring.state.current.image.values.astype(bool) == editor_fixture.truth).all()


def test_a_run_ends_when_the_rectangle_that_began_it_is_taken_back(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    result = editor_fixture.contouring.result
    editor_fixture.draw(editor_fixture.view(7, "coronal"), wait=False)
    editor_fixture.wait(lambda: editor_fixture.contouring.runs.under_way)
    assert editor_fixture.contouring.result is None, "the rectangle lies in another plane"
    assert editor_fixture.contouring.undo_prompt() and not editor_fixture.contouring.running
    editor_fixture.wait()
    assert editor_fixture.contouring.result is result and list(editor_fixture.keys) == [7]
    assert (editor_fixture.contouring.state.current.image.values.astype(bool) == editor_fixture.truth).all()


def test_escape_brings_a_result_in_another_plane_back_too(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    result = editor_fixture.contouring.result
    editor_fixture.draw(editor_fixture.view(7, "coronal"), wait=False)
    assert editor_fixture.contouring.mouse.escape()
    editor_fixture.wait()
    assert editor_fixture.contouring.result is result and list(editor_fixture.keys) == [7]


@pytest.mark.parametrize("action", ["discard", "remove_key"])
def test_what_was_removed_comes_back(editor_fixture: ContourEditorFixture, action: str) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(4), add=True)
    keys, result = editor_fixture.keys, editor_fixture.contouring.result
    editor_fixture.contouring.discard() if action == "discard" else editor_fixture.contouring.remove_key(4)
    editor_fixture.wait()
    assert editor_fixture.contouring.undo_prompt()
    assert editor_fixture.keys == keys and editor_fixture.contouring.result is result
    stored = editor_fixture.open()
    assert stored.state.prompts == editor_fixture.contouring.state.prompts, "the scene has them again"
