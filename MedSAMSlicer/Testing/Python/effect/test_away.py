"""A run goes on, and a result waits, while the user is elsewhere: in another module, effect or segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import slicer.util

from support.scene_builder import SceneBuilder


def finished_away(effect_fixture: Any) -> None:
    effect_fixture.host.wait_until(lambda: not effect_fixture.contouring.busy)
    effect_fixture.host.clock.advance(100)


def come_back(effect_fixture: Any) -> None:
    effect_fixture.host.enter_editor()
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")


def test_a_run_goes_on_while_another_module_is_open(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.start()
    effect_fixture.host.leave_editor()
    assert effect_fixture.contouring.running and not effect_fixture.visible("result")
    finished_away(effect_fixture)
    assert effect_fixture.nothing_is_written and "tumour" in slicer.util.mainWindow().statusBar().currentMessage()
    come_back(effect_fixture)
    assert effect_fixture.ui.resultLabel.text.startswith("Preview: ") and effect_fixture.visible("result")
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()


def test_progress_is_shown_again_to_who_comes_back_before_the_end(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.start()
    effect_fixture.host.leave_editor()
    done = effect_fixture.contouring.progress.done
    effect_fixture.host.wait_until(lambda: effect_fixture.contouring.progress.done > done)
    come_back(effect_fixture)
    assert (
        effect_fixture.contouring.running
        and effect_fixture.ui.progressFrame.visible
        and effect_fixture.visible("result")
    )
    effect_fixture.host.user.click(effect_fixture.ui.cancelButton)
    finished_away(effect_fixture)
    assert effect_fixture.contouring.result is None and effect_fixture.nothing_is_written


def test_a_run_that_fails_away_is_told_in_the_status_bar_and_on_return(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("CrashingService")
    effect_fixture.signal_on(14)
    effect_fixture.drag(wait=False)
    effect_fixture.host.leave_editor()
    finished_away(effect_fixture)
    assert "ended unexpectedly" in slicer.util.mainWindow().statusBar().currentMessage()
    come_back(effect_fixture)
    assert "ended unexpectedly" in effect_fixture.ui.problemLabel.text and effect_fixture.nothing_is_written


@pytest.mark.parametrize("way", ["another module", "no effect", "another effect"])
def test_apply_at_once_writes_nothing_while_nobody_is_looking(
    make_effect_fixture: Callable[[str], Any], way: str
) -> None:
    """Esc and the arrow button put the effect away, too: what was not seen is a preview when the user comes back."""
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    effect_fixture.start()
    if way == "another module":
        effect_fixture.host.leave_editor()
    elif way == "no effect":
        effect_fixture.host.editor.setActiveEffect(None)
    else:
        effect_fixture.host.editor.mrmlSegmentEditorNode().SetActiveEffectName("Paint")
    finished_away(effect_fixture)
    assert effect_fixture.nothing_is_written
    assert "is ready" in slicer.util.mainWindow().statusBar().currentMessage()
    come_back(effect_fixture)
    effect_fixture.host.clock.advance(100)
    assert effect_fixture.nothing_is_written
    assert effect_fixture.ui.resultLabel.text.startswith("Preview: ") and effect_fixture.visible("result")
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all() and not effect_fixture.voxels("other").any()
    effect_fixture.host.editor.undo()
    assert not effect_fixture.voxels().any()
    effect_fixture.drag()
    assert (effect_fixture.voxels() == effect_fixture.truth).all(), "the switch still holds for whoever is looking"


@pytest.mark.parametrize("what", ["segment", "volume", "segmentation", "removed segment", "scene"])
def test_apply_at_once_writes_nothing_when_the_ground_was_taken_away(
    make_effect_fixture: Callable[[str], Any], what: str
) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    effect_fixture.start()
    editor, scene = effect_fixture.host.editor, effect_fixture.host.scene
    effect_fixture.host.leave_editor()
    if what == "segment":
        editor.setCurrentSegmentID("other")
    elif what == "volume":
        scene.RemoveNode(effect_fixture.volume)
    elif what == "segmentation":
        scene.RemoveNode(effect_fixture.segmentation)
    elif what == "removed segment":
        effect_fixture.segmentation.GetSegmentation().RemoveSegment("tumour")
    else:
        scene.Clear(0)
    effect_fixture.host.wait_until(lambda: effect_fixture.effect._controller.client.idle)
    effect_fixture.host.clock.advance(200)
    assert effect_fixture.nothing_is_written
    if what != "segment":
        assert effect_fixture.contouring is None  # nothing holds on to the volume
        return
    come_back(effect_fixture)
    assert effect_fixture.contouring.state.segment_id == "other" and "tumour" in effect_fixture.ui.noteLabel.text
    editor.setCurrentSegmentID("tumour")
    assert effect_fixture.ui.resultLabel.text.startswith("Preview: ") and effect_fixture.nothing_is_written
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()


def test_a_script_cannot_apply_to_another_segment(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.host.leave_editor()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    effect_fixture.effect.apply()
    assert effect_fixture.nothing_is_written
    assert "select it" in str(effect_fixture.contouring.problem)


def test_a_result_that_is_not_applied_waits_for_its_segment(effect_fixture: Any) -> None:
    effect_fixture.drag()
    result = effect_fixture.result()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    assert effect_fixture.ui.noteLabel.text == "Not applied yet: tumour." and not effect_fixture.ui.resultFrame.visible
    effect_fixture.drag(half=0.5)
    assert effect_fixture.ui.noteLabel.text.endswith("Not applied yet: tumour.")
    effect_fixture.effect.apply()
    effect_fixture.host.editor.setCurrentSegmentID("tumour")
    assert effect_fixture.ui.noteLabel.text == "" and effect_fixture.ui.resultLabel.text.startswith("Preview: ")
    assert effect_fixture.visible("result") and (effect_fixture.result() == result).all()
    effect_fixture.effect.apply()
    assert (effect_fixture.voxels() == result).all()


def test_a_result_waits_even_while_its_volume_cannot_be_used(effect_fixture: Any, scene_builder: SceneBuilder) -> None:
    effect_fixture.drag()
    result = effect_fixture.result()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    effect_fixture.volume.SetAndObserveTransformNodeID(scene_builder.warp())
    effect_fixture.host.editor.setCurrentSegmentID("tumour")
    assert "nonlinear transform" in effect_fixture.ui.problemLabel.text
    effect_fixture.volume.SetAndObserveTransformNodeID(None)
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == result).all() and effect_fixture.ui.problemLabel.text == ""


def test_a_waiting_result_goes_with_its_segment(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    effect_fixture.segmentation.GetSegmentation().RemoveSegment("tumour")
    effect_fixture.effect._changed()
    assert effect_fixture.ui.noteLabel.text == "" and not effect_fixture.effect._controller.waiting


def test_a_run_that_another_segment_ends_is_told_and_makes_room_at_once(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.start()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    assert "'tumour' was cancelled" in effect_fixture.ui.noteLabel.text
    effect_fixture.drag()
    assert effect_fixture.ui.problemLabel.text == "" and (effect_fixture.result() == effect_fixture.truth).all()
    assert effect_fixture.contouring.state.segment_id == "other" and effect_fixture.nothing_is_written
