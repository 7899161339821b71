"""The hint where to drag: an outline that cannot be moved, until the user has drawn."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.scene.display.drag_hint import DragHint
from support.scene_builder import SceneBuilder, new_scene

import slicer  # isort: skip


@pytest.fixture
def builder() -> SceneBuilder:
    return SceneBuilder(new_scene())


class Shown:
    """A hint over a volume, and whether the user has drawn."""

    def __init__(self, builder: SceneBuilder) -> None:
        self.scene = builder.scene
        self.volume = builder.volume(np.zeros((6, 30, 40), np.int16), (2.0, 3.0, 4.0), origin=(0.0, 0.0, 0.0))
        self.editor_node = self.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.drawn = False
        self.hint = DragHint()

    def show(self) -> None:
        self.hint.show("Drag here", self.volume, 5, Box(10, 12, 20, 18), self.editor_node, lambda: self.drawn)

    def parameters_change(self) -> None:
        self.editor_node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    @property
    def curves(self) -> list[slicer.vtkMRMLMarkupsClosedCurveNode]:
        count = self.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsClosedCurveNode")
        return [self.scene.GetNthNodeByClass(n, "vtkMRMLMarkupsClosedCurveNode") for n in range(count)]


@pytest.fixture
def shown(builder: SceneBuilder) -> Shown:
    return Shown(builder)


def test_the_outline_is_the_rectangle_in_the_world_with_the_text_at_one_corner(shown: Shown) -> None:
    shown.show()
    [curve] = shown.curves
    corners = np.array([curve.GetNthControlPointPositionWorld(n) for n in range(curve.GetNumberOfControlPoints())])
    np.testing.assert_allclose(corners, [[20, 36, 20], [40, 36, 20], [40, 54, 20], [20, 54, 20]])
    assert [curve.GetNthControlPointLabel(n) for n in range(4)] == ["Drag here", "", "", ""]
    assert curve.GetCurveLengthWorld() == pytest.approx(2 * (20 + 18))
    assert curve.GetLocked() and curve.GetHideFromEditors()
    assert not curve.GetSaveWithScene() and not curve.GetDisplayNode().GetSaveWithScene()


def test_no_view_sees_half_of_it(shown: Shown) -> None:
    seen = []
    event = slicer.vtkMRMLScene.NodeAddedEvent
    shown.scene.AddObserver(event, lambda *_: seen.extend(curve.GetNumberOfControlPoints() for curve in shown.curves))
    shown.show()
    assert set(seen) == {4}


def test_it_stays_until_the_user_has_drawn(shown: Shown) -> None:
    shown.show()
    shown.parameters_change()
    assert len(shown.curves) == 1
    shown.drawn = True
    shown.parameters_change()
    assert shown.curves == []
    shown.show()
    assert shown.curves == [], "there is nothing to hint at"


def test_there_is_one_at_a_time(shown: Shown) -> None:
    shown.show()
    shown.show()
    assert len(shown.curves) == 1
    shown.hint.hide()
    shown.hint.hide()
    assert shown.curves == []


def test_a_scene_that_closes_takes_it_along(shown: Shown) -> None:
    shown.show()
    shown.scene.Clear(0)
    shown.hint.hide()
    assert shown.curves == []
