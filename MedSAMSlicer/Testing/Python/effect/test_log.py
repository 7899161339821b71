"""The effect's log and 'Copy details', in a scene and in files that are all named like a patient."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import slicer.util

from effect.conftest import EffectFixture
from MedSAMSlicerLib.engine.diagnostics import log
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from support.recorded_events import forget_events
from support.scene_builder import SceneBuilder

NAME = "Müller^Hans 19540312"
PRIVATE = ("Müller", "Hans", "hans.mueller", "19540312")


@pytest.fixture(autouse=True)
def _new_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_events()
    monkeypatch.setattr(log, "REPEAT_SECONDS", -1.0)
    caplog.set_level(logging.DEBUG, logger="MedSAMSlicer")


@pytest.fixture
def patient(make_effect_fixture: Callable[[str], EffectFixture]) -> EffectFixture:
    """The effect on a volume, a segmentation and a segment that are named like a patient."""
    return name_all(make_effect_fixture("CrashingService"))


def name_all(fixture: EffectFixture) -> EffectFixture:
    fixture.volume.SetName(NAME)
    fixture.segmentation.SetName(NAME)
    fixture.segmentation.GetSegmentation().GetSegment("tumour").SetName(NAME)
    return fixture


def copied(fixture: EffectFixture) -> str:
    assert fixture.ui.problemFrame.visible
    fixture.host.user.click(fixture.ui.copyDetailsButton)
    return str(slicer.app.clipboard().text())


def test_a_run_and_its_application_are_logged_without_names(
    patient: EffectFixture, caplog: pytest.LogCaptureFixture
) -> None:
    assert not patient.ui.problemFrame.visible
    patient.drag()
    patient.effect.apply()
    for part in (
        "inference process starts",
        f"run begins: {DEFAULT_MODEL} on 20 slices of 60 x 80 pixels, spacing 2 x 1 x 1 mm; key slices: 1; extent: open",
        f"run finished: {DEFAULT_MODEL} on cpu with test; 20 slices of 60 x 80 pixels",
        "result written: ",
    ):
        assert part in caplog.text
    assert not any(part in caplog.text for part in PRIVATE)
    patient.effect.copyDetails()
    text = slicer.app.clipboard().text()
    assert "in 3D Slicer 5.13.0" in text and f"Model: {DEFAULT_MODEL}" in text and "Device: auto, auto" in text
    assert "Last error:\nnone" in text
    last_run = text.split("Last run:")[1].split("Last error:")[0]
    assert f"run begins: {DEFAULT_MODEL} on 20 slices" in last_run and "slices in" in last_run


def test_a_process_that_dies_is_in_the_details(patient: EffectFixture, caplog: pytest.LogCaptureFixture) -> None:
    patient.signal_on(13)
    patient.drag()
    assert "ended unexpectedly with status 3" in patient.ui.problemLabel.text
    text = copied(patient)
    assert "copied" in slicer.util.mainWindow().statusBar().currentMessage()
    assert "ERROR inference process ended unexpectedly with status 3" in text
    assert "inference process: driver: device lost" in text and "run failed: 20 slices" in text
    for shown in (text, caplog.text):
        assert not any(part in shown for part in PRIVATE)


def bend_volume(fixture: EffectFixture, scene: SceneBuilder) -> None:
    fixture.volume.SetAndObserveTransformNodeID(scene.warp())
    scene.scene.GetNodeByID(fixture.volume.GetTransformNodeID()).SetName(NAME)
    fixture.effect.run()


def empty_volume(fixture: EffectFixture, _scene: SceneBuilder) -> None:
    fixture.volume.SetAndObserveImageData(None)
    fixture.effect.run()


def cut_volume(fixture: EffectFixture, _scene: SceneBuilder) -> None:
    slicer.util.updateVolumeFromArray(fixture.volume, np.eye(20, dtype=np.int16)[None].repeat(6, axis=0) * 255)
    fixture.effect.run()


def run_in_roi_outside(fixture: EffectFixture, scene: SceneBuilder) -> None:
    roi = scene.roi(center=(900.0, 900.0, 900.0), size=(10.0, 10.0, 10.0))
    roi.SetName(NAME)
    fixture.contouring.parameters.set_reference("ROI", roi)
    fixture.effect.runInROI()


def put_roi_around_nothing(fixture: EffectFixture, _scene: SceneBuilder) -> None:
    fixture.segmentation.GetSegmentation().GetSegment("tumour").RemoveAllRepresentations()
    fixture.effect.putROIAroundSegment()


def set_window_to_a_name(fixture: EffectFixture, _scene: SceneBuilder) -> None:
    fixture.effect.scriptedEffect.setParameter("Window", NAME)
    fixture.effect.run()


def hide_weights(fixture: EffectFixture, _scene: SceneBuilder) -> None:
    fixture.serve("MedSAMSlicerLib.engine.serving.service:SegmentationService")
    fixture.effect._controller.client.close()
    fixture.effect.scriptedEffect.setParameter("Model", "sam_vit_h")
    fixture.effect.run()


@pytest.mark.parametrize(
    "break_it",
    [
        bend_volume,
        empty_volume,
        cut_volume,
        run_in_roi_outside,
        put_roi_around_nothing,
        set_window_to_a_name,
        hide_weights,
    ],
)
def test_an_error_that_names_nodes_is_logged_by_its_place_in_the_code(
    patient: EffectFixture,
    scene_builder: SceneBuilder,
    break_it: Callable[[EffectFixture, SceneBuilder], None],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = tmp_path / "home" / "hans.mueller"
    monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", str(weights))
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(weights))
    patient.drag()
    caplog.clear()
    break_it(patient, scene_builder)
    patient.finish()
    assert patient.ui.problemLabel.text
    # What the inference process has logged comes through another pipe than its answer, perhaps later.
    patient.host.wait_until(lambda: any(record.exc_text for record in caplog.records))
    failures = [record for record in caplog.records if record.exc_text]
    assert any("MedSAMSlicerLib." in (record.exc_text or "") for record in failures)
    text = copied(patient)
    assert "Last error:\nnone" not in text and "Traceback (most recent call last):" in text
    for shown in (text, caplog.text):
        assert not any(part in shown for part in PRIVATE)


def test_a_segment_that_is_gone_and_a_volume_that_was_deleted_are_not_named(
    make_effect_fixture: Callable[[str], EffectFixture], caplog: pytest.LogCaptureFixture
) -> None:
    fixture = name_all(make_effect_fixture("SlowService"))
    fixture.start()
    fixture.host.scene.RemoveNode(fixture.volume)
    fixture.host.wait_until(lambda: fixture.effect._controller.client.idle)
    fixture.host.clock.advance(200)
    assert NAME in fixture.ui.problemLabel.text
    text = copied(fixture)
    for shown in (text, caplog.text):
        assert "run failed: 20 slices" in shown or "run cancelled: 20 slices" in shown
        assert not any(part in shown for part in PRIVATE)
