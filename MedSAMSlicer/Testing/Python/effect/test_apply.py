"""Results are written in one undo step, under Segment Editor's rules, and follow Undo and Redo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util


def test_apply_undo_redo(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    assert not effect_fixture.visible("result")
    assert effect_fixture.ui.resultLabel.text.startswith("Applied")
    effect_fixture.host.editor.undo()
    assert not effect_fixture.voxels().any()
    effect_fixture.host.clock.advance(100)
    assert effect_fixture.ui.resultLabel.text.startswith("Undone, not in the segment") and effect_fixture.visible(
        "result"
    )
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    effect_fixture.host.editor.undo()
    assert not effect_fixture.voxels().any()
    effect_fixture.host.editor.redo()
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    effect_fixture.host.clock.advance(100)
    assert effect_fixture.ui.resultLabel.text.startswith("Applied") and not effect_fixture.visible("result")
    assert not effect_fixture.voxels("other").any()


def test_undo_is_noticed_while_the_effect_is_not_active(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.effect.apply()
    effect_fixture.host.editor.setActiveEffect(None)
    effect_fixture.host.editor.undo()
    effect_fixture.host.clock.advance(100)
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")
    assert effect_fixture.ui.resultLabel.text.startswith("Undone") and effect_fixture.visible("result")


def test_undo_of_two_writes_is_noticed_step_by_step(effect_fixture: Any) -> None:
    states = []
    effect_fixture.drag()
    effect_fixture.effect.apply()
    effect_fixture.drag(half=0.2)
    effect_fixture.effect.apply()
    assert effect_fixture.voxels().sum() < effect_fixture.truth.sum()
    for step in (
        effect_fixture.host.editor.undo,
        effect_fixture.host.editor.undo,
        effect_fixture.host.editor.redo,
        effect_fixture.host.editor.redo,
    ):
        step()
        effect_fixture.host.clock.advance(100)
        states.append(effect_fixture.ui.resultLabel.text.split(":")[0])
    assert states == ["Undone, not in the segment"] * 3 + ["Applied"]


def test_edits_beside_what_was_applied_do_not_look_like_undo(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.effect.apply()
    corner = effect_fixture.truth.copy()
    corner[0, :3, :3] = True
    corner[10, 30, 40] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        corner.astype(np.uint8), effect_fixture.segmentation, "tumour", effect_fixture.volume
    )
    effect_fixture.host.clock.advance(100)
    assert effect_fixture.ui.resultLabel.text.startswith("Applied")


def test_a_correction_after_undo_leaves_alone_what_was_drawn_since(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.effect.apply()
    effect_fixture.host.editor.undo()
    effect_fixture.host.clock.advance(100)
    own = np.zeros_like(effect_fixture.truth)
    own[10, 28:33, 30:50] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        own.astype(np.uint8), effect_fixture.segmentation, "tumour", effect_fixture.volume
    )
    effect_fixture.drag(half=0.2)
    corrected = effect_fixture.result()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == (corrected | own)).all()


def test_apply_at_once(effect_fixture: Any) -> None:
    effect_fixture.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    effect_fixture.drag()
    effect_fixture.host.wait_until(lambda: effect_fixture.contouring.state.current.applied)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_where_nothing_was_found_nothing_is_applied_at_once(effect_fixture: Any, mode: str) -> None:
    """To replace a segment by nothing is for whoever clicks 'Apply' to decide."""
    effect_fixture.drag()
    effect_fixture.effect.apply()
    effect_fixture.effect.discard()
    effect_fixture.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    effect_fixture.effect.scriptedEffect.setParameter("Mode", mode)
    assert effect_fixture.host.user.drag(
        "Red", effect_fixture.xy("Red", 10, 3, 3), effect_fixture.xy("Red", 10, 12, 12)
    )
    effect_fixture.finish()
    assert "No object found in this box" in effect_fixture.ui.resultLabel.text
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert effect_fixture.voxels().any() == (mode == "add")


def test_a_correction_takes_the_place_of_what_was_applied_and_of_nothing_else(effect_fixture: Any) -> None:
    effect_fixture.effect.scriptedEffect.setParameter("Reach", "slice")
    effect_fixture.drag(half=0.3)
    effect_fixture.effect.apply()
    own = effect_fixture.voxels()
    effect_fixture.effect.discard()
    effect_fixture.effect.scriptedEffect.setParameter("Reach", "object")
    effect_fixture.drag()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    effect_fixture.drag(half=0.2)
    corrected = effect_fixture.result()
    assert corrected.sum() < effect_fixture.truth.sum()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == (corrected | own)).all()
    effect_fixture.host.editor.undo()
    assert (effect_fixture.voxels() == effect_fixture.truth).all()


def test_a_second_object_is_added_to_the_first(effect_fixture: Any) -> None:
    effect_fixture.effect.scriptedEffect.setParameter("Reach", "slice")
    effect_fixture.drag(half=0.3)
    effect_fixture.effect.apply()
    first = effect_fixture.voxels()
    node = effect_fixture.host.user.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    effect_fixture.drag(half=0.3)
    second = effect_fixture.result()
    effect_fixture.effect.apply()
    assert first.any() and second.any() and not (first & second).any()
    assert (effect_fixture.voxels() == (first | second)).all()


def test_replace_and_remove(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.effect.apply()
    effect_fixture.effect.discard()
    effect_fixture.effect.scriptedEffect.setParameter("Mode", "replace")
    effect_fixture.drag(half=0.4)
    small = effect_fixture.result()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == small).all() and small.any() and small.sum() < effect_fixture.truth.sum()
    effect_fixture.effect.discard()
    effect_fixture.effect.scriptedEffect.setParameter("Mode", "remove")
    effect_fixture.drag()
    effect_fixture.effect.apply()
    assert not effect_fixture.voxels().any()


def edit(effect_fixture: Any) -> np.ndarray:
    """What Erase and Paint do to slices 8 and 12 of the segment, which is returned."""
    edited = effect_fixture.voxels()
    edited[8, :, 40:] = False
    edited[12, :4, :4] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        edited.astype(np.uint8), effect_fixture.segmentation, "tumour", effect_fixture.volume
    )
    return np.asarray(edited)


def origins(effect_fixture: Any) -> dict[int, str]:
    return {index: key.origin for index, key in effect_fixture.contouring.state.prompts.keys.items()}


@pytest.mark.parametrize("mode", ["add", "replace"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_was_edited_beside_a_newer_result_is_final(effect_fixture: Any, mode: str, elsewhere: bool) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    effect_fixture.drag()
    user.click(ui.applyButton)
    user.click(ui.runButton)
    effect_fixture.finish()
    if elsewhere:
        effect_fixture.host.editor.setCurrentSegmentID("other")
    edited = edit(effect_fixture)
    if elsewhere:
        effect_fixture.host.editor.setCurrentSegmentID("tumour")
    assert ui.resultLabel.text.startswith("Preview")
    user.click(ui.runButton)
    effect_fixture.finish()
    assert origins(effect_fixture) == {8: "edited", 10: "drawn", 12: "edited"}
    # The service of these tests takes no final masks: the run fails. What is applied then is the result from before.
    effect_fixture.effect.scriptedEffect.setParameter("Mode", mode)
    user.click(ui.applyButton)
    assert (effect_fixture.voxels() == edited).all()


@pytest.mark.parametrize("mode", ["add", "replace"])
def test_a_result_from_before_the_edits_leaves_them_and_says_so(effect_fixture: Any, mode: str) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    effect_fixture.drag()
    user.click(ui.applyButton)
    user.click(ui.runButton)
    effect_fixture.finish()
    edited = edit(effect_fixture)
    effect_fixture.effect.scriptedEffect.setParameter("Mode", mode)
    user.click(ui.applyButton)
    assert (effect_fixture.voxels() == edited).all() and ui.resultLabel.text.startswith("Applied")
    assert "Left as edited in the segment since this run began: 2 slices." in ui.noteLabel.text
    user.click(ui.runButton)
    effect_fixture.finish()
    assert origins(effect_fixture) == {8: "edited", 10: "drawn", 12: "edited"}


def test_a_new_object_that_replaces_edits_says_so(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.effect.apply()
    edited = edit(effect_fixture)
    effect_fixture.effect.discard()
    effect_fixture.drag(half=0.4)
    effect_fixture.effect.scriptedEffect.setParameter("Mode", "replace")
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == effect_fixture.result()).all()
    count = (edited != effect_fixture.truth).sum()
    assert f"That includes {count} voxels edited since the last 'Apply'" in effect_fixture.ui.noteLabel.text
    effect_fixture.host.editor.undo()
    assert (effect_fixture.voxels() == edited).all()


def test_masking_by_another_segment_is_respected(effect_fixture: Any) -> None:
    effect_fixture.drag(half=0.4)
    effect_fixture.effect.apply()
    first = effect_fixture.voxels()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    assert effect_fixture.contouring.state.segment_id == "other" and effect_fixture.ui.keysTable.rowCount == 0
    node = effect_fixture.host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    effect_fixture.drag()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels("other") == (effect_fixture.truth & ~first)).all()
    assert (effect_fixture.voxels() == first).all()


def test_how_much_was_written_is_told_and_no_longer_once_it_is_undone(effect_fixture: Any) -> None:
    effect_fixture.drag(half=0.4)
    effect_fixture.effect.apply()
    first = effect_fixture.voxels()
    assert effect_fixture.ui.noteLabel.text == f"{first.sum()} voxels were written."
    effect_fixture.host.editor.setCurrentSegmentID("other")
    node = effect_fixture.host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    effect_fixture.drag()
    effect_fixture.effect.apply()
    written = (effect_fixture.truth & ~first).sum()
    kept = f"Masking kept {first.sum()} voxels as they were."
    assert effect_fixture.ui.noteLabel.text == f"{written} voxels were written. {kept}"
    effect_fixture.host.editor.undo()
    effect_fixture.host.clock.advance(100)
    assert effect_fixture.ui.noteLabel.text == ""


def test_where_masking_leaves_nothing_nothing_counts_as_applied(effect_fixture: Any) -> None:
    node = effect_fixture.host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    node.SetMaskSegmentID("other")
    effect_fixture.drag()
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert f"asking keeps all {effect_fixture.truth.sum()} voxels" in effect_fixture.ui.problemLabel.text
    assert effect_fixture.ui.resultLabel.text.startswith("Preview") and effect_fixture.visible("result")
    assert effect_fixture.nothing_is_written
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all() and effect_fixture.ui.problemLabel.text == ""


@pytest.mark.parametrize(
    ("answer", "shown", "written"), [("Yes", True, True), ("No", False, True), ("Cancel", False, False)]
)
def test_before_a_hidden_segment_is_written_the_user_is_asked(
    effect_fixture: Any, answer: str, shown: bool, written: bool
) -> None:
    import qt

    display = effect_fixture.segmentation.GetDisplayNode()
    display.SetSegmentVisibility("tumour", False)
    effect_fixture.drag()
    effect_fixture.host.answers.append(getattr(qt.QMessageBox, answer))
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert display.GetSegmentVisibility("tumour") == shown and not effect_fixture.host.answers
    assert effect_fixture.voxels().any() == written
    assert effect_fixture.contouring.state.current.applied == written


def test_without_a_main_window_nobody_is_asked_about_a_hidden_segment(effect_fixture: Any) -> None:
    effect_fixture.segmentation.GetDisplayNode().SetSegmentVisibility("tumour", False)
    effect_fixture.drag()
    effect_fixture.host.hide_main_window()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
