"""The scene changes under the effect: volumes that it refuses, and scenes that close."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

REFUSED = {"flat": (1, 20, 20), "colour": (5, 20, 20, 3), "empty": None}


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
