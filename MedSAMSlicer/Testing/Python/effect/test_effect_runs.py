"""Runs: their progress, their cancel, an engine that fails, and everything that may go away meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer.util

from support.world import World


def test_a_run_says_how_far_it_has_come_and_leaves_the_editor_alone(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    bench.effect.scriptedEffect.setParameter("ReachPlane", "K")
    bench.effect.scriptedEffect.setParameter("ReachStart", "4")
    bench.effect.scriptedEffect.setParameter("ReachEnd", "16")
    bench.effect.scriptedEffect.setParameter("Reach", "range")
    bench.start()
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
    bench.start()
    text = bench.ui.progressLabel.text
    assert "slices, " in text and "s so far" in text and "not known" in text and "left" not in text
    bench.host.hands.click(bench.ui.cancelButton)


def test_cancel_takes_less_than_half_a_second(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("SlowService")
    bench.start()
    begin = time.monotonic()
    bench.host.hands.click(bench.ui.cancelButton)
    assert not bench.ui.progressFrame.visible
    bench.host.wait_until(lambda: not bench.contouring.busy)
    assert time.monotonic() - begin < 0.5
    assert bench.contouring.result is None and not bench.visible("result") and not bench.voxels().any()
    bench.host.hands.click(bench.ui.runButton)
    bench.finish()
    assert (bench.result() == bench.truth).all()


@pytest.mark.parametrize("what", ["segment", "volume", "segmentation", "removed segment", "scene"])
def test_nothing_is_written_when_the_ground_is_taken_away_during_a_run(
    bench_with: Callable[[str], Any], what: str
) -> None:
    bench = bench_with("SlowService")
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    bench.start()
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
        assert bench.nothing_is_written


def test_a_worker_that_dies_is_told_and_replaced(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("DyingService")
    bench.signal_on(13)
    bench.drag()
    assert "ended unexpectedly with status 3" in bench.ui.problemLabel.text
    assert bench.contouring.result is None and not bench.voxels().any()
    bench.signal_on(None)
    bench.host.hands.click(bench.ui.runButton)
    bench.finish()
    assert bench.ui.problemLabel.text == "" and bench.contouring.result is not None


def test_a_worker_that_cannot_be_cancelled_is_replaced(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("StubbornService")
    bench.signal_on(13)
    bench.start()
    begin = time.monotonic()
    bench.effect.cancel()
    bench.host.wait_until(lambda: not bench.contouring.busy)
    assert time.monotonic() - begin < 0.5
    bench.signal_on(None)
    bench.drag()
    assert bench.contouring.result is not None


def test_a_worker_out_of_memory_and_one_that_cannot_start_are_told(bench_with: Callable[[str], Any]) -> None:
    from MedSAMSlicerLib.effect.qprocess_transport import QProcessTransport

    bench = bench_with("StarvingService")
    bench.signal_on(13)
    bench.drag()
    assert "memory" in bench.ui.problemLabel.text.lower()
    bench.effect._driver.link.close()
    bench.effect.make_transport = lambda: QProcessTransport(["/no/such/program"], {})
    bench.drag()
    assert "could not be started" in bench.ui.problemLabel.text


def test_cleanup_ends_the_process(bench: Any) -> None:
    bench.drag()
    process = bench.effect._driver.link.transport._process
    bench.effect.cleanup()
    bench.host.wait_until(lambda: process.state() == process.NotRunning)


@pytest.mark.parametrize(
    ("what", "why"),
    [("bent", "nonlinear transform"), ("emptied", "has no voxels"), ("cut", "lies outside")],
)
def test_a_volume_that_cannot_be_used_any_more_is_told_wherever_it_matters(
    bench: Any, world: World, what: str, why: str
) -> None:
    bench.drag()
    volume, image = bench.volume, bench.volume.GetImageData()
    if what == "bent":
        volume.SetAndObserveTransformNodeID(world.warp())
    elif what == "emptied":
        volume.SetAndObserveImageData(None)
    else:
        slicer.util.updateVolumeFromArray(volume, np.eye(20, dtype=np.int16)[None].repeat(6, axis=0) * 255)
    bench.effect._changed()
    bench.effect.updateGUIFromMRML()
    bench.host.hands._send("Red", "EnterEvent", (200, 150), False, False)
    assert not bench.visible("rectangle") and not bench.visible("preview")
    bench.effect.goToKey()
    bench.effect.correctKey()
    bench.effect.run()
    bench.finish()
    assert why in bench.ui.problemLabel.text
    bench.effect.apply()
    assert bench.ui.problemLabel.text and bench.nothing_is_written
    bench.host.editor.setActiveEffect(None)
    bench.host.editor.setActiveEffectByName("MedSAM")
    volume.SetAndObserveTransformNodeID(None)
    if what != "bent":
        volume.SetAndObserveImageData(image)
    if what == "cut":
        slicer.util.updateVolumeFromArray(volume, np.where(bench.truth, 200, 20).astype(np.int16))
    bench.effect.run()
    bench.finish()
    assert bench.ui.problemLabel.text == "" and (bench.result() == bench.truth).all()
    assert bench.visible("rectangle")
