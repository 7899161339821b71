"""A Markups ROI, turned any way, as a 3D box: nothing is found outside of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.scene.state.prompts import Prompts
from support.contour_editor_fixture import SHAPE, SPACING, ContourEditorFixture
from support.in_process_client import InProcessClient
from support.threshold_model import load_threshold_model


def test_a_rotated_roi_is_a_3d_box(editor_fixture: ContourEditorFixture, turn: Any) -> None:
    center = editor_fixture.position(7, 19.5, 21.5)
    editor_fixture.contouring.take_roi(editor_fixture.scene_builder.roi(center, (30, 30, 12), turn(0, 0, 30)))
    editor_fixture.wait()
    slices = editor_fixture.mask.any(axis=(1, 2)).nonzero()[0]
    assert (slices.min(), slices.max()) == (4, 10)
    assert (editor_fixture.mask[5] == editor_fixture.truth[5]).all()
    assert [key.origin for key in editor_fixture.keys.values()] == ["roi"]
    editor_fixture.contouring.take_roi(editor_fixture.scene_builder.roi((900, 900, 900), (3, 3, 3)))
    assert "lies outside the volume" in str(editor_fixture.contouring.problem)
    assert len(editor_fixture.keys) == 1


@pytest.fixture
def all_bright(editor_fixture: ContourEditorFixture) -> ContourEditorFixture:
    """The engine finds all that it may find."""
    slicer.util.arrayFromVolume(editor_fixture.volume)[:] = 200
    slicer.util.arrayFromVolume(editor_fixture.volume)[0, 0, 0] = 20
    editor_fixture.volume.Modified()
    return editor_fixture


def inside(editor_fixture: ContourEditorFixture, roi: Any) -> np.ndarray:
    """Which voxels' centres Slicer says to lie in the ROI."""
    return np.array(
        [roi.IsPointInROIWorld(editor_fixture.position(*at).tolist()) for at in np.ndindex(*SHAPE)]
    ).reshape(SHAPE)


def test_the_result_is_the_rotated_roi_itself_where_all_of_it_is_object(
    all_bright: ContourEditorFixture, turn: Any
) -> None:
    editor_fixture = all_bright
    roi = editor_fixture.scene_builder.roi(editor_fixture.position(7, 19.4, 21.3), (17, 11, 13), turn(20, -35, 30))
    editor_fixture.contouring.take_roi(roi)
    editor_fixture.wait()
    assert (editor_fixture.mask == inside(editor_fixture, roi)).all()
    assert editor_fixture.mask.sum() < 0.6 * np.prod([np.ptp(n) + 1 for n in editor_fixture.mask.nonzero()])
    kept = editor_fixture.contouring.state.prompts
    assert kept.oriented_box is not None and Prompts.from_content(kept.content()) == kept


def rectangle(editor_fixture: ContourEditorFixture, k: int) -> np.ndarray:
    """Pixels of the rectangle on a key slice."""
    box = editor_fixture.keys[k].box
    assert box is not None
    drawn = np.zeros(SHAPE[1:], bool)
    drawn[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
    return drawn


def test_a_rectangle_that_reaches_over_the_faces_of_the_roi_is_cut_to_it_and_so_is_its_preview(
    all_bright: ContourEditorFixture, turn: Any
) -> None:
    editor_fixture = all_bright
    roi = editor_fixture.scene_builder.roi(editor_fixture.position(7, 19.4, 21.2), (14, 14, 13), turn(0, 0, 45))
    editor_fixture.contouring.take_roi(roi)
    editor_fixture.wait()
    within = inside(editor_fixture, roi)
    view, rectangle_tool = editor_fixture.view(9), editor_fixture.contouring.rectangle
    editor_fixture.contouring.mouse.press(view, (82, 82), True)
    editor_fixture.contouring.mouse.move((118, 118))
    editor_fixture.wait(lambda: rectangle_tool.image is not None)
    seen = rectangle_tool.image.values[0] > 0
    editor_fixture.contouring.mouse.release((118, 118))
    editor_fixture.wait()
    drawn = rectangle(editor_fixture, 9)
    assert (drawn & ~within[9]).any()
    assert (seen == (drawn & within[9])).all()
    assert (editor_fixture.mask[9] == (drawn & within[9])).all()
    assert not (editor_fixture.mask & ~within).any() and editor_fixture.mask[8].any()


def test_a_rectangle_beside_the_roi_says_that_the_object_leaves_it(all_bright: ContourEditorFixture, turn: Any) -> None:
    """As an ROI along the voxels grows to hold what is drawn."""
    editor_fixture = all_bright
    roi = editor_fixture.scene_builder.roi(editor_fixture.position(7, 19.4, 21.2), (8, 8, 9), turn(0, 0, 45))
    editor_fixture.contouring.take_roi(roi)
    editor_fixture.wait()
    assert not (editor_fixture.mask & ~inside(editor_fixture, roi)).any()
    view, rectangle_tool = editor_fixture.view(8), editor_fixture.contouring.rectangle
    editor_fixture.contouring.mouse.press(view, (120, 120), True)
    editor_fixture.contouring.mouse.move((150, 150))
    editor_fixture.wait(lambda: rectangle_tool.image is not None)
    seen = rectangle_tool.image.values[0] > 0
    editor_fixture.contouring.mouse.release((150, 150))
    editor_fixture.wait()
    drawn = rectangle(editor_fixture, 8)
    assert not (drawn & inside(editor_fixture, roi)[8]).any()
    assert (seen == drawn).all() and (editor_fixture.mask[8] == drawn).all()
    assert editor_fixture.contouring.state.prompts.oriented_box is None


def test_a_rectangle_elsewhere_without_shift_knows_nothing_of_the_roi(
    all_bright: ContourEditorFixture, turn: Any
) -> None:
    editor_fixture = all_bright
    roi = editor_fixture.scene_builder.roi(editor_fixture.position(7, 19.4, 21.2), (14, 14, 13), turn(0, 0, 45))
    editor_fixture.contouring.take_roi(roi)
    editor_fixture.wait()
    editor_fixture.draw(editor_fixture.view(9), half=9)
    assert list(editor_fixture.keys) == [9] and (editor_fixture.mask[9] == rectangle(editor_fixture, 9)).all()


def test_an_roi_along_the_voxels_needs_nothing_but_its_box(all_bright: ContourEditorFixture) -> None:
    roi = all_bright.scene_builder.roi(all_bright.position(7, 19.4, 21.3), (17, 11, 13))
    all_bright.contouring.take_roi(roi)
    all_bright.wait()
    assert all_bright.contouring.state.prompts.oriented_box is None
    assert (all_bright.mask == inside(all_bright, roi)).all()


def test_the_slice_in_view_and_those_near_it_are_answered_before_the_middle_of_the_roi(
    scene_builder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "load_predictor", lambda choice, _cache=None: load_threshold_model(choice))
    fixture = ContourEditorFixture(scene_builder, InProcessClient(service.SegmentationService()))
    editor, roi = fixture.contouring, scene_builder.roi(fixture.position(7, 19.5, 21.5), (30, 30, 29))
    shown: list[int] = []

    def look_at_what_is_shown() -> bool:
        if editor.found is not None and editor.progress is not None:
            new = [index for index in editor.found.indices if index not in shown]
            shown.extend(new)
            image = editor.state.current.image
            assert image is not None
            if editor.progress.done == 0:
                assert all((image.values[index] == fixture.truth[index]).all() for index in shown), "drawn at once"
                assert all(editor.found[index].provisional for index in shown)
        return not editor.running

    editor.look_at(fixture.view(11))
    editor.take_roi(roi)
    fixture.wait(look_at_what_is_shown)
    assert shown[0] == 11 and set(shown[:3]) == {10, 11, 12}, "then the middle, which is slice 7"
    assert editor.result is not None and not any(found.provisional for found in editor.result)
    assert editor.state.current.run is not None and editor.state.current.run.seconds is not None
    seen_from_there = fixture.mask.copy()
    editor.discard()
    editor.look_at(fixture.view(13))
    editor.take_roi(roi)
    fixture.wait()
    assert (fixture.mask == seen_from_there).all()


def test_an_object_that_bends_in_the_roi_is_told_beside_its_result(
    scene_builder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "load_predictor", lambda choice, _cache=None: load_threshold_model(choice))
    fixture = ContourEditorFixture(scene_builder, InProcessClient(service.SegmentationService()))
    k, j, i = np.indices(SHAPE)
    bent = (j - 20) ** 2 + (i - 10 - 0.5 * (k - 7) ** 2) ** 2 <= 25
    fixture.volume = scene_builder.volume(np.where(bent, 200, 20).astype(np.int16), SPACING)
    fixture.contouring = fixture.open()
    fixture.contouring.take_roi(scene_builder.roi(fixture.position(7, 20, 22), (36, 12, 29)))
    fixture.wait()
    assert [note.startswith("The object bends") for note in fixture.contouring.notes] == [True]
