"""Runs and results: progress, cancel, apply, correct, and everything that may go away meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from bright_service import SIGNAL


def started(bench: Any) -> None:
    bench.drag(wait=False)
    bench.host.wait_until(lambda: bench.contouring.progress is not None and bench.contouring.progress.done > 1)


def test_a_run_says_how_far_it_has_come_and_leaves_the_editor_alone(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    bench.effect.scriptedEffect.setParameter("ReachPlane", "K")
    bench.effect.scriptedEffect.setParameter("ReachStart", "4")
    bench.effect.scriptedEffect.setParameter("ReachEnd", "16")
    bench.effect.scriptedEffect.setParameter("Reach", "range")
    started(bench)
    ui = bench.ui
    assert ui.progressFrame.visible and ui.cancelButton.enabled and not ui.runButton.enabled
    assert ui.progressBar.maximum == 13 and ui.progressBar.value > 1
    assert "of 13" in ui.progressLabel.text and "s left" in ui.progressLabel.text
    assert bench.visible("result")
    bench.finish()
    assert not ui.progressFrame.visible and not ui.cancelButton.enabled
    assert ui.resultLabel.text.startswith("Preview: 13 slices")


def test_a_run_without_a_known_end_says_what_is_done_and_no_time_left(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    started(bench)
    text = bench.ui.progressLabel.text
    assert "slices, " in text and "s so far" in text and "not known" in text and "left" not in text
    bench.host.hands.click(bench.ui.cancelButton)


def test_cancel_takes_less_than_half_a_second(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    started(bench)
    begin = time.monotonic()
    bench.host.hands.click(bench.ui.cancelButton)
    assert not bench.ui.progressFrame.visible
    bench.host.wait_until(lambda: not bench.contouring.busy)
    assert time.monotonic() - begin < 0.5
    assert bench.contouring.result is None and not bench.visible("result") and not bench.voxels().any()
    bench.host.hands.click(bench.ui.runButton)
    bench.finish()
    assert (bench.result() == bench.truth).all()


def test_apply_undo_redo(bench: Any) -> None:
    bench.drag()
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all()
    assert not bench.visible("result")
    assert bench.ui.resultLabel.text.startswith("Applied")
    bench.host.editor.undo()
    assert not bench.voxels().any()
    bench.host.clock.advance(100)
    assert bench.ui.resultLabel.text.startswith("Undone, not in the segment") and bench.visible("result")
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all()
    bench.host.editor.undo()
    assert not bench.voxels().any()
    bench.host.editor.redo()
    assert (bench.voxels() == bench.truth).all()
    bench.host.clock.advance(100)
    assert bench.ui.resultLabel.text.startswith("Applied") and not bench.visible("result")
    assert not bench.voxels("other").any()


def test_undo_is_noticed_while_the_effect_is_not_active(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    bench.host.editor.setActiveEffect(None)
    bench.host.editor.undo()
    bench.host.clock.advance(100)
    bench.host.editor.setActiveEffectByName("MedSAM")
    assert bench.ui.resultLabel.text.startswith("Undone") and bench.visible("result")


def test_undo_of_two_writes_is_noticed_step_by_step(bench: Any) -> None:
    states = []
    bench.drag()
    bench.effect.apply()
    bench.drag(half=0.2)
    bench.effect.apply()
    assert bench.voxels().sum() < bench.truth.sum()
    for step in (bench.host.editor.undo, bench.host.editor.undo, bench.host.editor.redo, bench.host.editor.redo):
        step()
        bench.host.clock.advance(100)
        states.append(bench.ui.resultLabel.text.split(":")[0])
    assert states == ["Undone, not in the segment"] * 3 + ["Applied"]


def test_edits_beside_what_was_applied_do_not_look_like_undo(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    corner = bench.truth.copy()
    corner[0, :3, :3] = True
    corner[10, 30, 40] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        corner.astype(np.uint8), bench.segmentation, "tumour", bench.volume
    )
    bench.host.clock.advance(100)
    assert bench.ui.resultLabel.text.startswith("Applied")


def test_a_correction_after_undo_leaves_alone_what_was_drawn_since(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    bench.host.editor.undo()
    bench.host.clock.advance(100)
    own = np.zeros_like(bench.truth)
    own[10, 28:33, 30:50] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(own.astype(np.uint8), bench.segmentation, "tumour", bench.volume)
    bench.drag(half=0.2)
    corrected = bench.result()
    bench.effect.apply()
    assert (bench.voxels() == (corrected | own)).all()


def test_apply_at_once(bench: Any) -> None:
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    bench.drag()
    bench.host.wait_until(lambda: bench.contouring.kept.applied)
    assert (bench.voxels() == bench.truth).all()


def test_a_correction_takes_the_place_of_what_was_applied_and_of_nothing_else(bench: Any) -> None:
    bench.effect.scriptedEffect.setParameter("Reach", "slice")
    bench.drag(half=0.3)
    bench.effect.apply()
    own = bench.voxels()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("Reach", "object")
    bench.drag()
    bench.effect.apply()
    assert (bench.voxels() == bench.truth).all()
    bench.drag(half=0.2)
    corrected = bench.result()
    assert corrected.sum() < bench.truth.sum()
    bench.effect.apply()
    assert (bench.voxels() == (corrected | own)).all()
    bench.host.editor.undo()
    assert (bench.voxels() == bench.truth).all()


def test_a_second_object_is_added_to_the_first(bench: Any) -> None:
    bench.effect.scriptedEffect.setParameter("Reach", "slice")
    bench.drag(half=0.3)
    bench.effect.apply()
    first = bench.voxels()
    node = bench.host.hands.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    bench.drag(half=0.3)
    second = bench.result()
    bench.effect.apply()
    assert first.any() and second.any() and not (first & second).any()
    assert (bench.voxels() == (first | second)).all()


def test_replace_and_remove(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("Mode", "replace")
    bench.drag(half=0.4)
    small = bench.result()
    bench.effect.apply()
    assert (bench.voxels() == small).all() and small.any() and small.sum() < bench.truth.sum()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("Mode", "remove")
    bench.drag()
    bench.effect.apply()
    assert not bench.voxels().any()


def test_masking_by_another_segment_is_respected(bench: Any) -> None:
    bench.drag(half=0.4)
    bench.effect.apply()
    first = bench.voxels()
    bench.host.editor.setCurrentSegmentID("other")
    assert bench.contouring.segment_id == "other" and bench.ui.keysTable.rowCount == 0
    node = bench.host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    bench.drag()
    bench.effect.apply()
    assert (bench.voxels("other") == (bench.truth & ~first)).all()
    assert (bench.voxels() == first).all()


@pytest.mark.parametrize("what", ["segment", "volume", "segmentation", "removed segment", "scene"])
def test_nothing_is_written_when_the_ground_is_taken_away_during_a_run(
    bench_with: Callable[[str], Any], what: str
) -> None:
    bench = bench_with("SlowService")
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    started(bench)
    editor, scene = bench.host.editor, bench.host.scene
    if what == "segment":
        editor.setCurrentSegmentID("other")
    elif what == "volume":
        scene.RemoveNode(bench.volume)
    elif what == "segmentation":
        scene.RemoveNode(bench.segmentation)
    elif what == "removed segment":
        bench.segmentation.GetSegmentation().RemoveSegment("tumour")
    else:
        scene.Clear(0)
    bench.host.wait_until(lambda: bench.effect._driver.link.idle)
    bench.host.clock.advance(200)
    if what in ("segment", "volume"):
        segmentation = bench.segmentation.GetSegmentation()
        for name in ("tumour", "other"):
            image = segmentation.GetSegment(name).GetRepresentation("Binary labelmap")
            assert image is None or image.GetNumberOfPoints() == 0


def test_a_worker_that_dies_is_told_and_replaced(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("DyingService")
    voxels = slicer.util.arrayFromVolume(bench.volume)
    voxels[0, 0, 1:3] = 0, 255
    voxels[13, 0, 0] = SIGNAL
    slicer.util.arrayFromVolumeModified(bench.volume)
    bench.drag()
    assert "ended unexpectedly with status 3" in bench.ui.problemLabel.text
    assert bench.contouring.result is None and not bench.voxels().any()
    voxels[13, 0, 0] = 0
    slicer.util.arrayFromVolumeModified(bench.volume)
    bench.host.hands.click(bench.ui.runButton)
    bench.finish()
    assert bench.ui.problemLabel.text == "" and bench.contouring.result is not None


def test_a_worker_that_cannot_be_cancelled_is_replaced(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("StubbornService")
    voxels = slicer.util.arrayFromVolume(bench.volume)
    voxels[0, 0, 1:3] = 0, 255
    voxels[13, 0, 0] = SIGNAL
    slicer.util.arrayFromVolumeModified(bench.volume)
    started(bench)
    begin = time.monotonic()
    bench.effect.cancel()
    bench.host.wait_until(lambda: not bench.contouring.busy)
    assert time.monotonic() - begin < 0.5
    voxels[13, 0, 0] = 0
    slicer.util.arrayFromVolumeModified(bench.volume)
    bench.drag()
    assert bench.contouring.result is not None


def test_a_worker_out_of_memory_and_one_that_cannot_start_are_told(bench_with: Callable[[str], Any]) -> None:
    from MedSAMSlicerLib.effect.qprocess_transport import QProcessTransport

    bench = bench_with("StarvingService")
    voxels = slicer.util.arrayFromVolume(bench.volume)
    voxels[0, 0, 1:3] = 0, 255
    voxels[13, 0, 0] = SIGNAL
    slicer.util.arrayFromVolumeModified(bench.volume)
    bench.drag()
    assert "memory" in bench.ui.problemLabel.text.lower()
    bench.effect._driver.link.close()
    bench.effect.make_transport = lambda: QProcessTransport(["/no/such/program"], {})
    bench.drag()
    assert "could not be started" in bench.ui.problemLabel.text


def test_key_slices_are_listed_and_can_be_corrected_and_removed(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    bench.drag()
    node = hands.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    bench.drag(half=0.7, shift=True)
    rows = [[ui.keysTable.item(row, column).text() for column in range(3)] for row in range(ui.keysTable.rowCount)]
    assert [row[0] for row in rows] == ["10", "13"]
    assert [row[2] for row in rows] == ["drawn", "corrected"]
    assert rows[0][1].startswith("S ")
    assert ui.keysSection.title == "Key slices (2)"
    ui.keysTable.selectRow(0)
    hands.click(ui.correctKeyButton)
    assert bench.contouring.index_in(bench.effect._view_geometry()) == 10
    assert "Slice 10 (S " in ui.noteLabel.text and "drag a corner" in ui.noteLabel.text
    before = bench.contouring.prompts.keys[10].box
    bench.drag(half=0.8)
    assert bench.contouring.prompts.keys[10].box != before
    assert sorted(bench.contouring.prompts.keys) == [10, 13] and "corner" not in ui.noteLabel.text
    ui.keysTable.selectRow(1)
    hands.click(ui.removeKeyButton)
    bench.finish()
    assert ui.keysTable.rowCount == 1
    hands.click(ui.discardButton)
    assert ui.keysTable.rowCount == 0 and not ui.resultFrame.visible and not ui.removeKeyButton.enabled


def test_a_corner_of_a_rectangle_that_is_corrected_can_be_dragged(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    bench.drag()
    box = bench.contouring.prompts.keys[10].box
    corner = bench.xy("Red", 10, box.y0, box.x0)
    inwards = bench.xy("Red", 10, box.y0 + 6, box.x0 + 4)
    points = bench.effect._overlays._views[0]._rectangle._outline.GetNumberOfPoints
    assert points() == 4
    ui.keysTable.selectRow(0)
    hands.click(ui.correctKeyButton)
    assert points() == 20
    hands.drag("Red", corner, inwards)
    bench.finish()
    moved = bench.contouring.prompts.keys[10].box
    assert (moved.x1, moved.y1) == (box.x1, box.y1)
    assert (moved.x0, moved.y0) == (box.x0 + 4, box.y0 + 6)
    assert points() == 4 and bench.contouring.correcting is None
    # Without the button a corner is a place to begin a rectangle at.
    hands.drag("Red", bench.xy("Red", 10, moved.y0, moved.x0), bench.xy("Red", 10, moved.y0 + 9, moved.x0 + 8))
    bench.finish()
    assert bench.contouring.prompts.keys[10].box.xyxy == (moved.x0, moved.y0, moved.x0 + 8, moved.y0 + 9)


def test_escape_leaves_a_rectangle_that_was_to_be_corrected(bench: Any) -> None:
    bench.drag()
    box = bench.contouring.prompts.keys[10].box
    bench.ui.keysTable.selectRow(0)
    bench.host.hands.click(bench.ui.correctKeyButton)
    assert bench.host.hands.key("Escape")
    assert "corner" not in bench.ui.noteLabel.text and bench.contouring.prompts.keys[10].box == box
    assert not bench.host.hands.key("Escape")


def test_confidence_strip_and_doubtful_slices(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("effect_service:DoubtingService")
    bench.drag()
    ui, first = bench.ui, min(found.index for found in bench.contouring.result)
    assert ui.stripTable.columnCount == len(bench.contouring.result)
    doubtful = [first + n for n in range(ui.stripTable.columnCount) if ui.stripTable.item(0, n).text() == "!"]
    assert doubtful == [8, 12, 16] or doubtful == [4, 8, 12, 16]
    assert ui.stripTable.item(0, 10 - first).text() == "◆"
    assert "confidence 20 %, doubtful" in ui.stripTable.item(0, 8 - first).toolTip()
    assert (
        ui.stripTable.item(0, 8 - first).background().color().name()
        != ui.stripTable.item(0, 9 - first).background().color().name()
    )
    assert f"{ {3: 'three', 4: 'four'}[len(doubtful)] } of them doubtful" in ui.resultLabel.text

    def shown() -> int:
        from MedSAMSlicerLib.effect.slice_views import geometry_of

        return bench.contouring.index_in(geometry_of(bench.host.hands.view("Red")))

    ui.stripTable.cellClicked.emit(0, 9 - first)
    assert shown() == 9
    bench.host.hands.click(ui.nextDoubtfulButton)
    assert shown() == 12
    bench.host.hands.shortcut("N")
    assert shown() == 16
    bench.host.hands.shortcut("N")
    assert shown() == doubtful[0]


def test_shortcuts_work_only_while_the_effect_is_active(bench: Any) -> None:
    bench.drag()
    bench.host.hands.shortcut("Ctrl+Return")
    assert (bench.voxels() == bench.truth).all()
    bench.host.editor.setActiveEffect(None)
    with pytest.raises(AssertionError, match="no enabled shortcut"):
        bench.host.hands.shortcut("Ctrl+Return")


def test_slices_are_encoded_ahead_when_the_mouse_comes_into_a_view(bench: Any) -> None:
    link = bench.effect._driver.link
    asked: list[Any] = []
    encode = link.encode
    link.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    bench.host.hands._send("Red", "EnterEvent", (200, 150), False, False)
    bench.host.wait_until(lambda: len(asked) > 3)
    bench.host.hands.press("Red", bench.at("Red", -1))
    count = len(asked)
    bench.host.clock.advance(300)
    assert len(asked) <= count + 1


def test_who_draws_waits_for_no_more_than_the_one_slice_that_is_being_encoded(
    bench_with: Callable[[str], Any],
) -> None:
    from effect_service import SECONDS_TO_ENCODE

    bench = bench_with("effect_service:SlowEncoder")
    voxels = slicer.util.arrayFromVolume(bench.volume)
    voxels[:, 0, 0] = np.arange(len(voxels))  # so that no slice is encoded with another
    slicer.util.arrayFromVolumeModified(bench.volume)
    link, hands = bench.effect._driver.link, bench.host.hands
    asked: list[Any] = []
    encode = link.encode
    link.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    hands._send("Red", "EnterEvent", (200, 150), False, False)
    # The slice in view is encoded, and its neighbour under way.
    bench.host.wait_until(lambda: len(asked) == 2)
    begin = time.monotonic()
    hands.press("Red", bench.at("Red", -1))
    hands.move("Red", bench.at("Red", 1))
    bench.host.wait_until(lambda: bench.contouring.rectangle.image is not None)
    assert time.monotonic() - begin < SECONDS_TO_ENCODE + 0.25
    bench.host.clock.advance(600)
    hands.release("Red", bench.at("Red", 1))
    bench.finish()
    assert len(asked) == 2


def test_the_memory_of_encoded_slices_can_be_given_back(bench: Any) -> None:
    from MedSAMSlicerLib.setup import encoded_slices

    bench.drag()
    bench.host.wait_until(lambda: bench.effect._driver.link.idle)
    assert bench.effect._driver.link.transport is not None
    assert encoded_slices.forget_all() >= 1
    assert bench.effect._driver.link.transport is None
    bench.drag(wait=False)
    assert encoded_slices.forget_all() >= 1
    bench.finish()
    assert (bench.result() == bench.truth).all()
    bench.host.wait_until(lambda: bench.effect._driver.link.transport is None)


def test_cleanup_ends_the_process(bench: Any) -> None:
    bench.drag()
    process = bench.effect._driver.link.transport._process
    bench.effect.cleanup()
    bench.host.wait_until(lambda: process.state() == process.NotRunning)
