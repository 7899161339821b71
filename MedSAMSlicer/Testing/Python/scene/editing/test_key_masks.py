"""Slices that were edited in the segment, or kept, are final: later runs start from them and leave them as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.volume.voxel_box import VoxelBox
from MedSAMSlicerLib.scene.editing.contour_editor import ContourEditor
from MedSAMSlicerLib.scene.state.prompts import KeySlice, Prompts
from MedSAMSlicerLib.scene.state.segment_state import SegmentState
from MedSAMSlicerLib.scene.state.stored_mask import StoredKeyMask
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from MedSAMSlicerLib.scene.writing.result_writer import ResultWriter
from MedSAMSlicerLib.scene.writing.segment_editor import LogicEditor
from MedSAMSlicerLib.scene.writing.segment_writer import Written
from MedSAMSlicerLib.scene.writing.segmentation_grid import make_labelmap, reference_geometry
from support.contour_editor_fixture import SHAPE, ContourEditorFixture
from support.in_process_client import InProcessClient
from support.threshold_model import load_threshold_model

MIDDLE = 7


class Corrections:
    """A user who contours, applies, and edits with other tools; slices are along K."""

    def __init__(self, fixture: ContourEditorFixture, read: Callable[..., np.ndarray]) -> None:
        self.fixture, self._read = fixture, read
        self.state = SegmentState(fixture.volume, fixture.segmentation, "tumour", fixture.parameters)
        self.writer = ResultWriter(self.state)
        self.contouring = ContourEditor(self.state, fixture.runner, edited=self.writer)
        fixture.contouring = self.contouring
        self.editor = LogicEditor(fixture.segmentation, "tumour", fixture.volume)

    def contour(self, apply: bool = True) -> None:
        self.fixture.draw(self.fixture.view(MIDDLE))
        if apply:
            self.writer.write(self.editor)

    def edit(self, mask: np.ndarray, mode: Any = "add", segment: str = "tumour") -> None:
        """What the tool of another effect does to the segment."""
        labelmap = make_labelmap(
            reference_geometry(self.fixture.segmentation, self.fixture.volume), VoxelBox((0, 0, 0), SHAPE), mask
        )
        self.editor.node.SetSelectedSegmentID(segment)
        self.editor.save_state_for_undo()
        self.editor.modify(labelmap, mode)
        self.editor.node.SetSelectedSegmentID("tumour")

    def erase(self, index: int) -> None:
        """Erase the right half of a slice."""
        half = np.zeros(SHAPE, bool)
        half[index, :, SHAPE[2] // 2 :] = True
        self.edit(half, "remove")

    def paint(self, index: int) -> None:
        """Paint a square beside the object on a slice."""
        square = np.zeros(SHAPE, bool)
        square[index, 3:6, 3:6] = True
        self.edit(square)

    def write(self, mode: str) -> Written:
        self.fixture.parameters.set("Mode", mode)
        return self.writer.write(self.editor)

    def run(self) -> None:
        self.contouring.run()
        self.fixture.wait()
        assert self.contouring.problem is None

    @property
    def segment(self) -> np.ndarray:
        return self._read(self.fixture.segmentation, "tumour", self.fixture.volume)

    @property
    def origins(self) -> dict[int, str]:
        return {index: key.origin for index, key in self.fixture.keys.items()}


@pytest.fixture
def user(scene_builder: Any, segment_in: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Corrections:
    """With the engine itself, and a model that finds what is bright in its box."""
    monkeypatch.setattr(service, "load_predictor", lambda choice, _cache=None: load_threshold_model(choice))
    runner = InProcessClient(service.SegmentationService())
    return Corrections(ContourEditorFixture(scene_builder, runner), segment_in)


def test_an_edited_slice_becomes_a_key_mask_and_stays_bit_for_bit(user: Corrections) -> None:
    user.contour()
    before = user.segment
    user.erase(4)
    painted = np.zeros(SHAPE, bool)
    painted[10, 3:6, 3:6] = True
    user.edit(painted)
    edited = user.segment
    assert not np.array_equal(edited[4], before[4])
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn", 10: "edited"}
    result = user.contouring.result
    assert result is not None and result[4].key and result[4].confidence == 1
    user.writer.write(user.editor)
    after = user.segment
    assert np.array_equal(after[[4, 10]], edited[[4, 10]])
    # Again: nothing has been edited since.
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn", 10: "edited"}
    # A key mask that is removed is predicted again.
    user.contouring.remove_key(4)
    user.fixture.wait()
    assert not np.array_equal(user.fixture.mask[4], edited[4])
    assert user.origins == {MIDDLE: "drawn", 10: "edited"}


def test_an_edit_that_was_undone_is_none(user: Corrections) -> None:
    user.contour()
    before = user.segment
    user.erase(4)
    user.editor.logic.Undo()
    assert np.array_equal(user.segment, before)
    assert not user.writer.edits().masks
    user.editor.logic.Redo()
    assert list(user.writer.edits().masks) == [4]
    user.editor.logic.Undo()
    user.run()
    assert user.origins == {MIDDLE: "drawn"}


def test_an_edit_that_is_undone_before_a_run_has_used_it_is_none_either(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.contouring.run()
    user.contouring.step()
    user.contouring.cancel()
    user.fixture.wait()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}
    user.editor.logic.Undo()
    user.run()
    assert user.origins == {MIDDLE: "drawn"}


def test_an_erased_slice_ends_the_object(user: Corrections) -> None:
    user.contour()
    everything = np.zeros(SHAPE, bool)
    everything[10] = True
    user.edit(everything, "remove")
    user.run()
    assert user.origins == {MIDDLE: "drawn", 10: "edited"}
    mask = user.fixture.mask
    assert not mask[10:].any() and mask[9].any() and mask[5].any()
    user.writer.write(user.editor)
    assert not user.segment[10:].any()


def test_other_objects_in_the_segment_are_not_the_object(user: Corrections) -> None:
    other = np.zeros(SHAPE, bool)
    other[2:12, :4, :4] = True
    user.edit(other)
    user.contour()
    user.erase(4)
    # Erased from the other object too, on a slice of its own.
    user.edit(other & (np.arange(SHAPE[0]) == 9)[:, None, None], "remove")
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}
    key = user.fixture.keys[4].key_mask
    assert key is not None and not key.key_mask.mask[:4, :4].any() and key.key_mask.mask.any()


def test_what_was_marked_since_counts_more_than_an_edit(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.fixture.draw(user.fixture.view(4), add=True)
    assert user.origins == {4: "corrected", MIDDLE: "drawn"}


def test_a_new_object_takes_no_edits_over(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.fixture.draw(user.fixture.view(9), half=6)
    assert user.origins == {9: "drawn"}


def test_undo_prompt_takes_the_edits_back_with_the_action_that_used_them(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.fixture.draw(user.fixture.view(9), add=True)
    assert sorted(user.origins) == [4, MIDDLE, 9]
    assert user.contouring.undo_prompt()
    assert user.origins == {MIDDLE: "drawn"}


def test_a_kept_slice_of_a_preview_is_final(user: Corrections) -> None:
    user.contour(apply=False)
    kept = user.fixture.mask[4].copy()
    assert user.contouring.keep_slice(user.fixture.view(4)) == 4
    assert not user.contouring.busy, "no run begins"
    user.fixture.draw(user.fixture.view(3), add=True, half=4)
    assert user.origins == {3: "corrected", 4: "kept", MIDDLE: "drawn"}
    assert np.array_equal(user.fixture.mask[4], kept)
    assert user.contouring.undo_prompt() and user.contouring.undo_prompt()
    assert user.origins == {MIDDLE: "drawn"}


def test_a_kept_slice_of_an_applied_result_is_what_the_segment_holds(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.contouring.keep_slice(user.fixture.view(4))
    key = user.fixture.keys[4].key_mask
    assert key is not None and np.array_equal(key.key_mask.mask, user.segment[4])


def test_a_key_mask_that_the_user_removes_does_not_come_back_because_of_the_edit(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.contouring.keep_slice(user.fixture.view(4))
    user.contouring.remove_key(4)
    user.fixture.wait()
    assert user.origins == {MIDDLE: "drawn"}


def test_contours_by_hand_are_enough_of_a_prompt(user: Corrections) -> None:
    """Nothing is marked: two slices are drawn with other tools and kept."""
    truth = user.fixture.truth
    with pytest.raises(InputError, match="empty on this slice"):
        user.contouring.keep_slice(user.fixture.view(5))
    drawn = np.zeros(SHAPE, bool)
    drawn[[5, 9]] = truth[[5, 9]]
    user.edit(drawn)
    for index in (5, 9):
        user.contouring.keep_slice(user.fixture.view(index))
    user.run()
    assert user.origins == {5: "kept", 9: "kept"}
    mask = user.fixture.mask
    assert np.array_equal(mask[[5, 9]], truth[[5, 9]]) and (mask[7] & truth[7]).sum() > 0.9 * truth[7].sum()
    with pytest.raises(InputError, match="another plane"):
        user.contouring.keep_slice(user.fixture.view(5, "coronal"))


def test_edits_outside_of_the_chosen_range_are_left_out(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    for name, value in (("Reach", "range"), ("ReachStart", "6"), ("ReachEnd", "9"), ("ReachPlane", "K")):
        user.fixture.parameters.set(name, value)
    user.run()
    assert user.origins == {MIDDLE: "drawn"}


MODES = pytest.mark.parametrize("mode", ["add", "replace"])


@MODES
def test_edits_count_while_a_newer_result_is_shown_that_was_not_applied(user: Corrections, mode: str) -> None:
    user.contour()
    user.run()
    user.erase(4)
    user.paint(10)
    edited = user.segment
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn", 10: "edited"}
    # Again, and with edits that were made since.
    user.run()
    user.erase(6)
    edited[6] = user.segment[6]
    user.run()
    assert user.origins == {4: "edited", 6: "edited", MIDDLE: "drawn", 10: "edited"}
    assert user.write(mode).slices_kept == 0
    assert np.array_equal(user.segment[[4, 6, 10]], edited[[4, 6, 10]])


@MODES
@pytest.mark.parametrize("applied", [True, False])
def test_a_result_from_before_the_edits_leaves_the_edited_slices_as_they_are(
    user: Corrections, mode: str, applied: bool
) -> None:
    user.contour()
    if not applied:
        user.run()
    user.erase(4)
    user.paint(10)
    edited, result = user.segment, user.fixture.mask
    assert not np.array_equal(result[4], edited[4]) and not np.array_equal(result[10], edited[10])
    for _again in range(2):
        assert user.write(mode).slices_kept == 2
        assert np.array_equal(user.segment[[4, 10]], edited[[4, 10]])
        assert np.array_equal(np.delete(user.segment, [4, 10], 0), np.delete(result, [4, 10], 0))
    assert user.contouring.state.current.applied
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn", 10: "edited"}
    assert user.write(mode).slices_kept == 0
    assert np.array_equal(user.segment[[4, 10]], edited[[4, 10]])


def test_edits_are_no_reason_to_leave_anything_when_the_result_is_removed(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    assert user.write("remove").slices_kept == 0
    assert not user.segment.any()


@MODES
def test_edits_during_a_run_are_newer_than_its_result(user: Corrections, mode: str) -> None:
    user.contour()
    user.fixture.draw(user.fixture.view(9), add=True, half=6, wait=False)
    user.fixture.wait(lambda: user.contouring.runs.under_way)
    user.erase(4)
    edited = user.segment
    user.fixture.wait()
    assert user.write(mode).slices_kept == 1
    assert np.array_equal(user.segment[4], edited[4])


def test_edits_before_and_after_a_cancelled_run_count(user: Corrections) -> None:
    user.contour()
    user.run()
    user.erase(4)
    user.contouring.run()
    user.contouring.step()
    user.contouring.cancel()
    user.fixture.wait()
    user.paint(10)
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn", 10: "edited"}


def test_what_was_marked_after_an_edit_counts_more_in_later_runs_too(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.fixture.draw(user.fixture.view(4), add=True)
    user.run()
    assert user.origins == {4: "corrected", MIDDLE: "drawn"}
    corrected = user.fixture.mask[4].copy()
    assert user.write("replace").slices_kept == 0
    assert np.array_equal(user.segment[4], corrected)
    # What is drawn after that is the newest again.
    user.paint(4)
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}


def test_a_removed_key_mask_stays_removed_until_its_slice_is_edited_again(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.run()
    user.contouring.remove_key(4)
    user.fixture.wait()
    user.run()
    assert user.origins == {MIDDLE: "drawn"}
    assert user.write("replace").slices_kept == 0
    assert np.array_equal(user.segment, user.fixture.mask)
    user.paint(4)
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}


def test_a_kept_slice_of_a_preview_counts_more_than_an_earlier_edit(user: Corrections) -> None:
    user.contour()
    user.run()
    user.erase(4)
    preview = user.fixture.mask[4].copy()
    user.contouring.keep_slice(user.fixture.view(4))
    assert user.write("replace").slices_kept == 0
    assert np.array_equal(user.segment[4], preview)


@pytest.mark.parametrize("apply", [True, False])
def test_an_edit_of_a_kept_slice_counts_more_than_what_was_kept_before(user: Corrections, apply: bool) -> None:
    user.contour()
    user.run()
    user.contouring.keep_slice(user.fixture.view(4))
    user.erase(4)
    edited = user.segment
    if not apply:
        user.run()
        assert user.origins == {4: "edited", MIDDLE: "drawn"}
    assert user.write("replace").slices_kept == int(apply)
    assert np.array_equal(user.segment[4], edited[4])


def test_removing_a_key_mask_does_not_give_the_edit_away(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    edited = user.segment
    user.contouring.keep_slice(user.fixture.view(4))
    user.contouring.remove_key(4)
    user.contouring.cancel()
    assert user.write("replace").slices_kept == 1
    assert np.array_equal(user.segment, edited)


def test_an_edit_that_is_undone_after_a_run_has_used_it_is_none_any_more(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}
    user.editor.logic.Undo()
    user.run()
    assert user.origins == {MIDDLE: "drawn"}


@MODES
def test_a_result_that_has_used_an_edit_does_not_redo_it_once_it_is_undone(user: Corrections, mode: str) -> None:
    user.contour()
    before = user.segment
    user.erase(4)
    user.run()
    user.editor.logic.Undo()
    assert user.write(mode).slices_kept == 1
    assert np.array_equal(user.segment[4], before[4])
    user.run()
    user.write(mode)
    assert np.array_equal(user.segment[4], before[4])


def test_after_the_last_apply_is_undone_edits_are_those_since_the_apply_before(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    edited = user.segment
    user.run()
    user.write("replace")
    user.editor.logic.Undo()
    assert np.array_equal(user.segment, edited)
    user.paint(10)
    edited = user.segment
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn", 10: "edited"}
    user.write("replace")
    assert np.array_equal(user.segment[[4, 10]], edited[[4, 10]])


def test_an_apply_that_is_undone_takes_its_edits_with_it(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.editor.logic.Undo()
    user.editor.logic.Undo()
    assert not user.segment.any()
    user.paint(10)
    user.run()
    assert user.origins == {MIDDLE: "drawn"}
    assert user.write("replace").slices_kept == 0


def test_undo_prompt_makes_edits_count_again_that_a_later_mark_had_overruled(user: Corrections) -> None:
    user.contour()
    user.erase(4)
    user.fixture.draw(user.fixture.view(4), add=True)
    assert user.contouring.undo_prompt()
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}


def test_edits_beside_another_object_in_the_segment_are_kept_with_it(user: Corrections) -> None:
    other = np.zeros(SHAPE, bool)
    other[2:12, :4, :4] = True
    user.edit(other)
    user.contour()
    user.run()
    user.erase(4)
    edited = user.segment
    assert user.write("add").slices_kept == 1
    assert np.array_equal(user.segment, edited)
    user.run()
    assert user.origins == {4: "edited", MIDDLE: "drawn"}


def test_what_masking_has_kept_is_no_edit(user: Corrections) -> None:
    neighbour = np.zeros(SHAPE, bool)
    neighbour[:, :, : SHAPE[2] // 2] = True
    user.edit(neighbour, segment="other")
    user.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    user.contour()
    assert user.segment.any() and not (user.segment & neighbour).any()
    user.run()
    assert not user.writer.edits().masks
    user.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    user.erase(4)
    edited = user.segment
    user.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    with pytest.raises(InputError, match="masking keeps"):
        user.write("replace")
    assert np.array_equal(user.segment, edited), "nothing else was there to write"


def test_final_slices_are_saved_with_the_scene() -> None:
    mask = np.zeros((40, 44), bool)
    mask[3:9, 5:30] = True
    keys = {
        4: KeySlice(None, "edited", key_mask=StoredKeyMask.of(mask)),
        9: KeySlice(None, "kept", key_mask=StoredKeyMask.of(mask & False)),
    }
    prompts = Prompts(Plane("K"), keys)
    again = Prompts.from_content(prompts.content())
    assert again.keys == prompts.keys
    assert np.array_equal(again.keys[4].prompt.key_mask.mask, mask)  # type: ignore[union-attr]
    assert [key.holds_object for key in again.keys.values()] == [True, False]
