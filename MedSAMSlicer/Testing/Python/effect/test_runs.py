"""Runs: their progress, their cancel, an engine that fails, and everything that may go away meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer.util

from support.scene_builder import SceneBuilder


def filled(style_sheet: str) -> float:
    """Share of the bar that is filled."""
    return max(map(float, re.findall(r"stop:([\d.]+) palette\(highlight\)", style_sheet)), default=0.0)


def test_nothing_in_the_options_frame_moves_by_itself(repository: Path) -> None:
    """Qt would put the whole window together, with all views, for each picture of an animated bar."""
    assert "QProgressBar" not in (repository / "MedSAMSlicer/Resources/UI/SegmentEditorEffect.ui").read_text("utf-8")


def test_a_run_says_how_far_it_has_come_and_leaves_the_editor_alone(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.effect.scriptedEffect.setParameter("ReachPlane", "K")
    effect_fixture.effect.scriptedEffect.setParameter("ReachStart", "4")
    effect_fixture.effect.scriptedEffect.setParameter("ReachEnd", "16")
    effect_fixture.effect.scriptedEffect.setParameter("Reach", "range")
    effect_fixture.start()
    ui = effect_fixture.ui
    effect_fixture.host.wait_until(lambda: filled(ui.progressBar.styleSheet) > 1 / 13)
    assert ui.progressFrame.visible and ui.cancelButton.enabled and not ui.runButton.enabled
    assert filled(ui.progressBar.styleSheet) * 13 == pytest.approx(int(ui.progressLabel.text.split()[0]), abs=0.01)
    assert "of 13" in ui.progressLabel.text and "s left" in ui.progressLabel.text
    assert effect_fixture.visible("result")
    effect_fixture.finish()
    assert not ui.progressFrame.visible and not ui.cancelButton.enabled
    assert ui.resultLabel.text.startswith("Preview: 13 slices")


def test_cancel_ends_the_run_and_another_one_can_begin(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.start()
    effect_fixture.host.user.click(effect_fixture.ui.cancelButton)
    assert not effect_fixture.ui.progressFrame.visible
    effect_fixture.host.wait_until(lambda: not effect_fixture.contouring.busy)
    assert (
        effect_fixture.contouring.result is None
        and not effect_fixture.visible("result")
        and not effect_fixture.voxels().any()
    )
    effect_fixture.host.user.click(effect_fixture.ui.runButton)
    effect_fixture.finish()
    assert (effect_fixture.result() == effect_fixture.truth).all()


@pytest.mark.parametrize("what", ["segment", "volume", "segmentation", "removed segment", "scene"])
def test_nothing_is_written_when_the_ground_is_taken_away_during_a_run(
    make_effect_fixture: Callable[[str], Any], what: str
) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    effect_fixture.start()
    editor, scene = effect_fixture.host.editor, effect_fixture.host.scene
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
    if what in ("segment", "volume"):
        assert effect_fixture.nothing_is_written


def test_a_worker_that_dies_is_told_and_replaced(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("CrashingService")
    effect_fixture.signal_on(13)
    effect_fixture.drag()
    assert "ended unexpectedly with status 3" in effect_fixture.ui.problemLabel.text
    assert effect_fixture.contouring.result is None and not effect_fixture.voxels().any()
    effect_fixture.signal_on(None)
    effect_fixture.host.user.click(effect_fixture.ui.runButton)
    effect_fixture.finish()
    assert effect_fixture.ui.problemLabel.text == "" and effect_fixture.contouring.result is not None


def test_a_cancel_is_over_at_once_and_a_worker_that_hangs_is_replaced_later(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("UninterruptibleService")
    effect_fixture.signal_on(13)
    effect_fixture.drag(wait=False)
    client = effect_fixture.effect._controller.client
    effect_fixture.host.wait_until(lambda: client.transport is not None)
    process, sent = client._process, []
    send = process.send
    process.send = lambda kind, fields, *more: (send(kind, fields, *more), sent.append(fields.get("index")))
    effect_fixture.host.wait_until(lambda: 13 in sent)
    process.send = send
    time.sleep(0.2)  # until it is deep in its computation
    effect_fixture.host.user.click(effect_fixture.ui.cancelButton)
    assert not effect_fixture.ui.progressFrame.visible
    effect_fixture.host.clock.advance(25)
    assert not client.running and effect_fixture.ui.problemLabel.text == ""
    effect_fixture.signal_on(None)
    effect_fixture.drag(wait=False)
    effect_fixture.host.clock.advance(25)
    assert client.running, "the next run waits for the slice of the cancelled one"
    process.silence = client.response_timeout
    effect_fixture.finish()
    assert "did not respond" in effect_fixture.ui.problemLabel.text
    effect_fixture.drag()
    assert effect_fixture.ui.problemLabel.text == "" and effect_fixture.contouring.result is not None


def test_a_new_rectangle_during_a_run_says_nothing_of_a_cancel_and_encodes_no_slice_again(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("EncodingService")
    voxels = slicer.util.arrayFromVolume(effect_fixture.volume)
    voxels[:, 0, 0] = np.arange(len(voxels))  # so that no slice looks like another
    slicer.util.arrayFromVolumeModified(effect_fixture.volume)
    effect_fixture.effect.scriptedEffect.setParameter("EncodeAhead", "0")
    effect_fixture.start()
    process = effect_fixture.effect._controller.client.transport
    for half in (0.9, 1.1, 1.0):
        effect_fixture.drag(half=half, wait=False)
        effect_fixture.host.clock.advance(150)
        assert effect_fixture.ui.problemLabel.text == "" and effect_fixture.contouring.problem is None
    effect_fixture.finish()
    assert effect_fixture.ui.problemLabel.text == "" and effect_fixture.contouring.result is not None
    assert effect_fixture.effect._controller.client.transport is process
    encoded = effect_fixture.contouring.notes[0].split()
    assert len(encoded) == len(set(encoded)) > 5, "a slice was encoded twice"


def test_a_worker_out_of_memory_and_one_that_cannot_start_are_told(make_effect_fixture: Callable[[str], Any]) -> None:
    from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport

    effect_fixture = make_effect_fixture("OutOfMemoryService")
    effect_fixture.signal_on(13)
    effect_fixture.drag()
    assert "memory" in effect_fixture.ui.problemLabel.text.lower()
    effect_fixture.effect._controller.client.close()
    effect_fixture.effect.make_transport = lambda: QProcessTransport(["/no/such/program"], {})
    effect_fixture.drag()
    assert "could not be started" in effect_fixture.ui.problemLabel.text


def test_cleanup_ends_the_process(effect_fixture: Any) -> None:
    effect_fixture.drag()
    process = effect_fixture.effect._controller.client.transport._process
    effect_fixture.effect.cleanup()
    effect_fixture.host.wait_until(lambda: process.state() == process.NotRunning)


@pytest.mark.parametrize(
    ("what", "why"),
    [("bent", "nonlinear transform"), ("emptied", "has no voxels"), ("cut", "lies outside")],
)
def test_a_volume_that_cannot_be_used_any_more_is_told_wherever_it_matters(
    effect_fixture: Any, scene_builder: SceneBuilder, what: str, why: str
) -> None:
    effect_fixture.drag()
    volume, image = effect_fixture.volume, effect_fixture.volume.GetImageData()
    if what == "bent":
        volume.SetAndObserveTransformNodeID(scene_builder.warp())
    elif what == "emptied":
        volume.SetAndObserveImageData(None)
    else:
        slicer.util.updateVolumeFromArray(volume, np.eye(20, dtype=np.int16)[None].repeat(6, axis=0) * 255)
    effect_fixture.effect._changed()
    effect_fixture.effect.updateGUIFromMRML()
    effect_fixture.host.user._send("Red", "EnterEvent", (200, 150), False, False)
    assert not effect_fixture.visible("rectangle") and not effect_fixture.visible("preview")
    effect_fixture.effect.goToKey()
    effect_fixture.effect.correctKey()
    effect_fixture.effect.run()
    effect_fixture.finish()
    assert why in effect_fixture.ui.problemLabel.text
    effect_fixture.effect.apply()
    assert effect_fixture.ui.problemLabel.text and effect_fixture.nothing_is_written
    effect_fixture.host.editor.setActiveEffect(None)
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")
    volume.SetAndObserveTransformNodeID(None)
    if what != "bent":
        volume.SetAndObserveImageData(image)
    if what == "cut":
        slicer.util.updateVolumeFromArray(volume, np.where(effect_fixture.truth, 200, 20).astype(np.int16))
    effect_fixture.effect.run()
    effect_fixture.finish()
    assert effect_fixture.ui.problemLabel.text == "" and (effect_fixture.result() == effect_fixture.truth).all()
    assert effect_fixture.visible("rectangle")
