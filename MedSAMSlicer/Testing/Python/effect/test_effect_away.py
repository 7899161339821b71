"""A run goes on, and a result waits, while the user is elsewhere: in another module, effect or segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import slicer.util

from support.world import World


def finished_away(bench: Any) -> None:
    bench.host.wait_until(lambda: not bench.contouring.busy)
    bench.host.clock.advance(100)


def come_back(bench: Any) -> None:
    bench.host.enter_editor()
    bench.host.editor.setActiveEffectByName("MedSAM")


def test_a_run_goes_on_while_another_module_is_open(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    bench.start()
    bench.host.leave_editor()
    assert bench.contouring.running and not bench.visible("result")
    finished_away(bench)
    assert bench.nothing_is_written and "tumour" in slicer.util.mainWindow().statusBar().currentMessage()
    come_back(bench)
    assert bench.ui.resultLabel.text.startswith("Preview: ") and bench.visible("result")
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all()


def test_progress_is_shown_again_to_who_comes_back_before_the_end(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    bench.start()
    bench.host.leave_editor()
    done = bench.contouring.progress.done
    bench.host.wait_until(lambda: bench.contouring.progress.done > done)
    come_back(bench)
    assert bench.contouring.running and bench.ui.progressFrame.visible and bench.visible("result")
    bench.host.hands.click(bench.ui.cancelButton)
    finished_away(bench)
    assert bench.contouring.result is None and bench.nothing_is_written


def test_a_run_that_fails_away_is_told_in_the_status_bar_and_on_return(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("DyingService")
    bench.signal_on(14)
    bench.drag(wait=False)
    bench.host.leave_editor()
    finished_away(bench)
    assert "ended unexpectedly" in slicer.util.mainWindow().statusBar().currentMessage()
    come_back(bench)
    assert "ended unexpectedly" in bench.ui.problemLabel.text and bench.nothing_is_written


@pytest.mark.parametrize("way", ["another module", "no effect", "another effect"])
def test_apply_at_once_writes_nothing_while_nobody_is_looking(bench_with: Callable[[str], Any], way: str) -> None:
    """Esc and the arrow button put the effect away, too: what was not seen is a preview when the user comes back."""
    bench = bench_with("SlowService")
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    bench.start()
    if way == "another module":
        bench.host.leave_editor()
    elif way == "no effect":
        bench.host.editor.setActiveEffect(None)
    else:
        bench.host.editor.mrmlSegmentEditorNode().SetActiveEffectName("Paint")
    finished_away(bench)
    assert bench.nothing_is_written
    assert "waits" in slicer.util.mainWindow().statusBar().currentMessage()
    come_back(bench)
    bench.host.clock.advance(100)
    assert bench.nothing_is_written
    assert bench.ui.resultLabel.text.startswith("Preview: ") and bench.visible("result")
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all() and not bench.voxels("other").any()
    bench.host.editor.undo()
    assert not bench.voxels().any()
    bench.drag()
    assert (bench.voxels() == bench.truth).all(), "the switch still holds for whoever is looking"


@pytest.mark.parametrize("what", ["segment", "volume", "segmentation", "removed segment", "scene"])
def test_apply_at_once_writes_nothing_when_the_ground_was_taken_away(
    bench_with: Callable[[str], Any], what: str
) -> None:
    bench = bench_with("SlowService")
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    bench.start()
    editor, scene = bench.host.editor, bench.host.scene
    bench.host.leave_editor()
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
    assert bench.nothing_is_written
    if what != "segment":
        assert bench.contouring is None  # nothing holds on to the volume
        return
    come_back(bench)
    assert bench.contouring.segment_id == "other" and "tumour" in bench.ui.noteLabel.text
    editor.setCurrentSegmentID("tumour")
    assert bench.ui.resultLabel.text.startswith("Preview: ") and bench.nothing_is_written
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all()


def test_a_script_cannot_apply_to_another_segment(bench: Any) -> None:
    bench.drag()
    bench.host.leave_editor()
    bench.host.editor.setCurrentSegmentID("other")
    bench.effect.apply()
    assert bench.nothing_is_written
    assert "select it" in str(bench.contouring.problem)


def test_a_result_that_is_not_applied_waits_for_its_segment(bench: Any) -> None:
    bench.drag()
    result = bench.result()
    bench.host.editor.setCurrentSegmentID("other")
    assert bench.ui.noteLabel.text == "Not applied yet: tumour." and not bench.ui.resultFrame.visible
    bench.drag(half=0.5)
    assert bench.ui.noteLabel.text.endswith("Not applied yet: tumour.")
    bench.effect.apply()
    bench.host.editor.setCurrentSegmentID("tumour")
    assert bench.ui.noteLabel.text == "" and bench.ui.resultLabel.text.startswith("Preview: ")
    assert bench.visible("result") and (bench.result() == result).all()
    bench.effect.apply()
    assert (bench.voxels() == result).all()


def test_a_result_waits_even_while_its_volume_cannot_be_used(bench: Any, world: World) -> None:
    bench.drag()
    result = bench.result()
    bench.host.editor.setCurrentSegmentID("other")
    bench.volume.SetAndObserveTransformNodeID(world.warp())
    bench.host.editor.setCurrentSegmentID("tumour")
    assert "nonlinear transform" in bench.ui.problemLabel.text
    bench.volume.SetAndObserveTransformNodeID(None)
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == result).all() and bench.ui.problemLabel.text == ""


def test_a_waiting_result_goes_with_its_segment(bench: Any) -> None:
    bench.drag()
    bench.host.editor.setCurrentSegmentID("other")
    bench.segmentation.GetSegmentation().RemoveSegment("tumour")
    bench.effect._changed()
    assert bench.ui.noteLabel.text == "" and not bench.effect._driver.waiting


def test_a_run_that_another_segment_ends_is_told_and_makes_room_at_once(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    bench.start()
    bench.host.editor.setCurrentSegmentID("other")
    assert "'tumour' was ended" in bench.ui.noteLabel.text
    bench.drag()
    assert bench.ui.problemLabel.text == "" and (bench.result() == bench.truth).all()
    assert bench.contouring.segment_id == "other" and bench.nothing_is_written
