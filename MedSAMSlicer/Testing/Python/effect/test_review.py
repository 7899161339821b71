"""A result is reviewed: key slices are corrected and removed, slices that need review are visited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import slicer

from MedSAMSlicerLib.panel.handoff_nodes import entries


def test_key_slices_are_listed_and_can_be_corrected_and_removed(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    effect_fixture.drag()
    node = user.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    effect_fixture.drag(half=0.7, shift=True)
    rows = [[ui.keysTable.item(row, column).text() for column in range(3)] for row in range(ui.keysTable.rowCount)]
    assert [row[0] for row in rows] == ["10", "13"]
    assert [row[2] for row in rows] == ["drawn", "corrected"]
    assert rows[0][1].startswith("S ")
    assert ui.keysSection.title == "Key slices (2)"
    ui.keysTable.selectRow(0)
    user.click(ui.correctKeyButton)
    assert effect_fixture.contouring.state.index_in(effect_fixture.effect._view_geometry()) == 10
    assert "Slice 10 (S " in ui.noteLabel.text and "drag a corner" in ui.noteLabel.text
    before = effect_fixture.contouring.state.prompts.keys[10].box
    effect_fixture.drag(half=0.8)
    assert effect_fixture.contouring.state.prompts.keys[10].box != before
    assert sorted(effect_fixture.contouring.state.prompts.keys) == [10, 13] and "corner" not in ui.noteLabel.text
    ui.keysTable.selectRow(1)
    user.click(ui.removeKeyButton)
    effect_fixture.finish()
    assert ui.keysTable.rowCount == 1
    user.click(ui.discardButton)
    assert ui.keysTable.rowCount == 0 and not ui.resultFrame.visible and not ui.removeKeyButton.enabled


def test_a_corner_of_a_rectangle_that_is_corrected_can_be_dragged(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    effect_fixture.drag()
    box = effect_fixture.contouring.state.prompts.keys[10].box
    corner = effect_fixture.xy("Red", 10, box.y0, box.x0)
    inwards = effect_fixture.xy("Red", 10, box.y0 + 6, box.x0 + 4)
    points = effect_fixture.effect._overlays._views[0]._rectangle._outline.GetNumberOfPoints
    assert points() == 4
    ui.keysTable.selectRow(0)
    user.click(ui.correctKeyButton)
    assert points() == 20
    user.drag("Red", corner, inwards)
    effect_fixture.finish()
    moved = effect_fixture.contouring.state.prompts.keys[10].box
    assert (moved.x1, moved.y1) == (box.x1, box.y1)
    assert (moved.x0, moved.y0) == (box.x0 + 4, box.y0 + 6)
    assert points() == 4 and effect_fixture.contouring.state.correcting is None
    # Without the button a corner is a place to begin a rectangle at.
    user.drag(
        "Red",
        effect_fixture.xy("Red", 10, moved.y0, moved.x0),
        effect_fixture.xy("Red", 10, moved.y0 + 9, moved.x0 + 8),
    )
    effect_fixture.finish()
    assert effect_fixture.contouring.state.prompts.keys[10].box.xyxy == (moved.x0, moved.y0, moved.x0 + 8, moved.y0 + 9)


def test_escape_leaves_a_rectangle_that_was_to_be_corrected(effect_fixture: Any) -> None:
    effect_fixture.drag()
    box = effect_fixture.contouring.state.prompts.keys[10].box
    effect_fixture.ui.keysTable.selectRow(0)
    effect_fixture.host.user.click(effect_fixture.ui.correctKeyButton)
    assert effect_fixture.host.user.key("Escape")
    assert (
        "corner" not in effect_fixture.ui.noteLabel.text and effect_fixture.contouring.state.prompts.keys[10].box == box
    )
    assert not effect_fixture.effect.escape(), "nothing is left to drop"


def test_the_strip_and_the_slices_that_need_review_lead_to_their_slices(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("support.effect_services:NeedsReviewService")
    effect_fixture.drag()
    ui, first = effect_fixture.ui, min(found.index for found in effect_fixture.contouring.result)
    marks = {first + n: ui.stripTable.item(0, n).text() for n in range(ui.stripTable.columnCount)}
    to_review = [index for index, mark in marks.items() if mark == "!"]
    assert to_review[-3:] == [8, 12, 16] and marks[10] == "◆"

    def shown() -> int:
        from MedSAMSlicerLib.effect.slice_views import geometry_of

        return effect_fixture.contouring.state.index_in(geometry_of(effect_fixture.host.user.view("Red")))

    ui.stripTable.cellClicked.emit(0, 9 - first)
    assert shown() == 9
    effect_fixture.host.user.click(ui.nextReviewButton)
    assert shown() == 12
    effect_fixture.host.user.shortcut("N")
    assert shown() == 16
    effect_fixture.host.user.shortcut("N")
    assert shown() == to_review[0]


def test_a_segment_counts_as_reviewed_once_the_user_went_to_every_slice_that_needs_it(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("support.effect_services:NeedsReviewService")
    user, ui = effect_fixture.host.user, effect_fixture.ui
    effect_fixture.drag()
    to_review = effect_fixture.contouring.result.slices_to_review
    assert len(to_review) > 2

    def shown() -> tuple[int, int, bool]:
        """Slices looked at, slices that need review, and what the hand-off says."""
        entry = entries(effect_fixture.segmentation)[0]
        return len(entry.to_review.seen), len(entry.to_review.needed), entry.review.reviewed

    user.click(ui.nextReviewButton)  # of the preview
    assert shown() == (0, 0, False), "nothing was written yet"
    user.click(ui.applyButton)
    assert shown() == (1, len(to_review), False)
    node = user.view("Red").mrmlSliceNode()
    for _slice in range(20):
        node.SetSliceOffset(node.GetSliceOffset() - 2)
    assert shown()[0] == 1, "who scrolls past a slice has not looked at it"
    for count in range(2, len(to_review) + 1):
        assert not shown()[2]
        first = min(found.index for found in effect_fixture.contouring.result)
        unseen = next(n for n in to_review if n not in effect_fixture.contouring.state.current.seen)
        ui.stripTable.cellClicked.emit(0, unseen - first)
        assert shown() == (count, len(to_review), count == len(to_review))
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Copy")
    copy.Copy(effect_fixture.segmentation)
    assert entries(copy)[0].review.reviewed, "it is saved with the scene"

    # What a correction contours anew has to be looked at again.
    node.SetSliceOffset(effect_fixture.contouring.state.stack().slice_to_world(13)[2, 3])
    effect_fixture.drag(half=0.4, shift=True)
    user.click(ui.applyButton)
    seen, needed, reviewed = shown()
    assert 0 < seen < needed <= len(to_review) and not reviewed
    # So has another object in the same segment.
    effect_fixture.drag(half=0.3)
    user.click(ui.applyButton)
    assert shown()[1] >= needed and not shown()[2]


def test_a_slice_that_no_view_shows_was_not_looked_at(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("support.effect_services:NeedsReviewService")
    effect_fixture.drag()
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    node = effect_fixture.host.user.view("Red").mrmlSliceNode()
    node.SetOrientationToSagittal()
    effect_fixture.host.user.click(effect_fixture.ui.nextReviewButton)
    assert not entries(effect_fixture.segmentation)[0].to_review.seen
    node.SetOrientationToAxial()
    effect_fixture.host.user.click(effect_fixture.ui.nextReviewButton)
    assert len(entries(effect_fixture.segmentation)[0].to_review.seen) == 1


def test_shortcuts_work_only_while_the_effect_is_active(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.host.user.shortcut("Ctrl+Return")
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    effect_fixture.host.editor.setActiveEffect(None)
    with pytest.raises(AssertionError, match="no shortcut of this window"):
        effect_fixture.host.user.shortcut("Ctrl+Return")


def test_a_slice_is_kept_by_button_or_key_as_the_segment_holds_it(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    effect_fixture.host.user.shortcut("K")
    assert "empty on this slice" in ui.problemLabel.text
    effect_fixture.drag()
    user.click(ui.applyButton)
    edited = effect_fixture.truth.copy()
    edited[13, :, 40:] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        edited.astype("uint8"), effect_fixture.segmentation, "tumour", effect_fixture.volume
    )
    node = user.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    user.click(ui.keepSliceButton)
    assert [ui.keysTable.item(row, 2).text() for row in range(2)] == ["drawn", "kept, final"]
    key = effect_fixture.contouring.state.prompts.keys[13].key_mask
    assert (key.key_mask.mask == edited[13]).all()
    assert not effect_fixture.contouring.running and 13 in effect_fixture.contouring.state.current.seen
    user.click(ui.undoPromptButton)
    user.shortcut("K")
    ui.keysTable.selectRow(1)
    user.click(ui.removeKeyButton)
    effect_fixture.finish()
    assert ui.keysTable.rowCount == 1
