"""The scene changes under the effect: volumes that it refuses, other frames of a sequence, and scenes that close."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from support.frames import Frames, voxels

REFUSED = {"line": (1, 20, 1), "vectors": (5, 20, 20, 2), "empty": None}


def refused_volume(kind: str) -> Any:
    shape = REFUSED[kind]
    if shape is None:
        return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    node_class = "vtkMRMLVectorVolumeNode" if len(shape) == 4 else None
    return slicer.util.addVolumeFromArray(np.zeros(shape, np.uint8), name=kind, nodeClassName=node_class)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_scene_with_a_refused_volume_closes_quietly(effect_fixture: Any, kind: str) -> None:
    host = effect_fixture.host
    volume = refused_volume(kind)
    host.editor.setSourceVolumeNode(volume)
    assert effect_fixture.contouring is None and effect_fixture.ui.problemLabel.text
    volume.Modified()
    host.scene.Clear(0)
    host.clock.advance(200)
    assert effect_fixture.contouring is None and not host.escaped


def test_an_exception_in_an_observer_fails_the_test(host: Any) -> None:
    def broken(*_arguments: Any) -> None:
        raise ValueError("in an observer")

    tag = host.scene.AddObserver(vtk.vtkCommand.UserEvent, broken)
    host.scene.InvokeEvent(vtk.vtkCommand.UserEvent)
    host.scene.RemoveObserver(tag)
    assert [str(error) for error in host.escaped] == ["in an observer"]
    host.escaped.clear()


@pytest.fixture
def frames(effect_fixture: Any) -> Frames:
    """The volume shows frame 0 of a sequence; in frame 1 the ball lies elsewhere."""
    return Frames(effect_fixture.volume, np.roll(voxels(effect_fixture.volume), 3, axis=2))


def test_a_result_is_hidden_on_another_frame_and_shown_again_on_its_own(effect_fixture: Any, frames: Frames) -> None:
    effect_fixture.drag()
    assert effect_fixture.visible("result")
    frames.show(1)
    assert not effect_fixture.visible("result")
    assert effect_fixture.ui.resultLabel.text.startswith("Outdated: ")
    assert "another frame" in effect_fixture.ui.noteLabel.text
    frames.show(0)
    assert effect_fixture.visible("result") and "another frame" not in effect_fixture.ui.noteLabel.text
    effect_fixture.host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()


@pytest.mark.parametrize("applied_before", [False, True])
def test_before_a_result_is_applied_to_another_frame_the_user_is_asked(
    effect_fixture: Any, frames: Frames, applied_before: bool
) -> None:
    import qt

    host = effect_fixture.host
    effect_fixture.drag()
    if applied_before:
        effect_fixture.effect.apply()
        host.editor.undo()
    frames.show(1)
    host.answers.append(qt.QMessageBox.No)
    host.user.click(effect_fixture.ui.applyButton)
    assert "another frame" in host.shown[-1].text and not effect_fixture.voxels().any()
    host.answers.append(qt.QMessageBox.Yes)
    host.user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()


def test_where_nobody_can_be_asked_a_result_is_not_applied_to_another_frame(
    effect_fixture: Any, frames: Frames
) -> None:
    effect_fixture.drag()
    frames.show(1)
    effect_fixture.host.hide_main_window()
    effect_fixture.effect.apply()
    assert "another frame" in effect_fixture.ui.problemLabel.text and effect_fixture.nothing_is_written
    effect_fixture.effect.run()
    effect_fixture.finish()
    effect_fixture.effect.apply()
    assert effect_fixture.ui.problemLabel.text == ""
    assert (effect_fixture.voxels() == (voxels(effect_fixture.volume) > 100)).all()


def test_a_result_of_another_frame_is_not_applied_at_once(effect_fixture: Any, frames: Frames) -> None:
    effect_fixture.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    effect_fixture.start()
    frames.show(1)
    effect_fixture.finish()
    effect_fixture.host.clock.advance(200)
    assert effect_fixture.nothing_is_written and "another frame" in effect_fixture.ui.noteLabel.text
