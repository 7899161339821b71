"""A volume shows another frame of a sequence, or its voxels are edited: an earlier result is not taken for one of these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.contour_editor_fixture import SHAPE, ContourEditorFixture
from support.frames import Frames, edit, voxels
from support.two_rod_phantom import SECOND, TwoRodPhantom, same


def second_frame(fixture: Any) -> np.ndarray:
    """The object lies elsewhere."""
    return np.roll(voxels(fixture.volume), 2, axis=2)


@pytest.mark.parametrize("oblique", [False, True])
def test_a_result_is_outdated_on_another_frame_and_not_when_its_own_is_shown_again(
    editor_fixture: ContourEditorFixture, oblique: bool
) -> None:
    frames, state = Frames(editor_fixture.volume, second_frame(editor_fixture)), editor_fixture.contouring.state
    turn = np.array([[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]])
    editor_fixture.draw(editor_fixture.view(7, turned=turn if oblique else None))
    assert (state.plane == Plane("K")) != oblique and not state.current.outdated
    for frame in (1, 1, 0, 1, 0):
        before = len(editor_fixture.changes)
        changes = state.current.outdated != (frame == 1)
        frames.show(frame)
        assert state.current.outdated == (frame == 1)
        assert not changes or len(editor_fixture.changes) > before


def test_a_run_stays_on_the_frame_on_which_it_began(editor_fixture: ContourEditorFixture) -> None:
    frames, state = Frames(editor_fixture.volume, second_frame(editor_fixture)), editor_fixture.contouring.state
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    editor_fixture.wait(lambda: editor_fixture.contouring.runs.under_way)
    frames.show(1)
    editor_fixture.wait()
    assert state.current.outdated
    assert (editor_fixture.mask == editor_fixture.truth).all()
    frames.show(0)
    assert not state.current.outdated


def test_an_oblique_stack_stays_on_its_frame(editor_fixture: ContourEditorFixture) -> None:
    frames = Frames(editor_fixture.volume, second_frame(editor_fixture))
    turn = np.array([[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]])
    view, state = editor_fixture.view(7, turned=turn), editor_fixture.contouring.state
    stack = state.stack(state.plane_in(view))
    before = stack.slice_values(7)
    frames.show(1)
    np.testing.assert_array_equal(stack.slice_values(7), before)
    assert (state.stack(state.plane_in(view)).slice_values(7) != before).any()


@pytest.mark.parametrize("during", [False, True], ids=["after the run", "during the run"])
def test_edited_voxels_make_a_result_outdated(editor_fixture: ContourEditorFixture, during: bool) -> None:
    original, state = voxels(editor_fixture.volume).copy(), editor_fixture.contouring.state
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    if during:
        editor_fixture.wait(lambda: editor_fixture.contouring.runs.under_way)
    else:
        editor_fixture.wait()
    edit(editor_fixture.volume, second_frame(editor_fixture))
    editor_fixture.wait()
    assert state.current.outdated
    edit(editor_fixture.volume, original)
    assert state.current.outdated == during, "the slices of a run may be of both"


def test_what_leaves_the_voxels_alone_does_not_matter(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.volume.SetName("renamed")
    editor_fixture.volume.Modified()
    editor_fixture.volume.GetImageData().Modified()
    editor_fixture.volume.Modified()
    assert not editor_fixture.contouring.state.current.outdated


def test_a_run_on_another_frame_computes_all_slices(editor_fixture: ContourEditorFixture) -> None:
    frames = Frames(editor_fixture.volume, second_frame(editor_fixture))
    editor_fixture.draw(editor_fixture.view(7))
    frames.show(1)
    editor_fixture.contouring.run()
    editor_fixture.wait()
    state = editor_fixture.contouring.state
    assert not state.current.outdated and editor_fixture.mask.shape == SHAPE
    assert (editor_fixture.mask == (voxels(editor_fixture.volume) > 100)).all()


def test_frames_that_pass_while_another_segment_is_selected_are_noticed_on_return(
    editor_fixture: ContourEditorFixture,
) -> None:
    frames, editor = Frames(editor_fixture.volume, second_frame(editor_fixture)), editor_fixture.contouring
    editor_fixture.draw(editor_fixture.view(7))
    editor.suspend()
    frames.show(1)
    assert not editor.state.current.outdated, "nobody looks"
    editor.resume()
    assert editor.state.current.outdated


def test_clicks_on_another_frame_do_not_start_from_the_earlier_mask(two_rods: TwoRodPhantom) -> None:
    frames = Frames(two_rods.volume, second_frame(two_rods))
    two_rods.draw_both()
    two_rods.click(SECOND, negative=True)
    assert two_rods.engine.previews[-1][1].mask is not None
    assert same(two_rods.seen(), two_rods.first[7])
    two_rods.contouring.points.undo()
    frames.show(1)
    two_rods.click(SECOND, negative=True)
    assert two_rods.engine.previews[-1][1].mask is None


def test_a_preview_of_clicks_is_made_again_for_another_frame(two_rods: TwoRodPhantom) -> None:
    frames = Frames(two_rods.volume, second_frame(two_rods))
    two_rods.click(SECOND)
    asked = len(two_rods.engine.previews)
    frames.show(1)
    assert two_rods.contouring.preview.image is None, "the mask of the other frame is not shown"
    two_rods.wait()
    assert len(two_rods.engine.previews) == asked + 1
