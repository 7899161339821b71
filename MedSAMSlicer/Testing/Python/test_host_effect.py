"""An effect in the host: registered, activated, and driven by mouse and keys as in Slicer's Segment Editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from host.application import Host

pytest_plugins = ["host.fixture"]

EFFECT = '''
import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from vtk.util.numpy_support import vtk_to_numpy


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Records the calls of its methods."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "Pin"
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.recorded = []

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        clone = effects.qSlicerSegmentEditorScriptedEffect(None)
        clone.setPythonSource(__file__)
        return clone

    def helpText(self):
        return "Records."

    def createCursor(self, widget):
        return slicer.util.mainWindow().cursor

    def updateGUIFromMRML(self):
        self.recorded.append("updateGUIFromMRML")

    def activate(self):
        self.recorded.append("activate")

    def deactivate(self):
        self.recorded.append("deactivate")

    def sourceVolumeNodeChanged(self):
        self.recorded.append("sourceVolumeNodeChanged")

    def processViewNodeEvents(self, callerViewNode, eventId, viewWidget):
        self.recorded.append("view " + callerViewNode.GetName())

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        if viewWidget.className() != "qMRMLSliceWidget":
            return False
        if eventId == vtk.vtkCommand.KeyPressEvent:
            self.recorded.append("key " + callerInteractor.GetKeySym())
            return callerInteractor.GetKeySym() == "Delete"
        if eventId != vtk.vtkCommand.LeftButtonPressEvent:
            return False
        self.recorded.append(("press", callerInteractor.GetEventPosition(), bool(callerInteractor.GetShiftKey())))
        return True
'''


@pytest.fixture
def volume(host: Host) -> slicer.vtkMRMLScalarVolumeNode:
    node = slicer.util.addVolumeFromArray(np.zeros((20, 30, 40), np.int16), name="CT")
    host.show(node)
    return node


@pytest.fixture
def pin(host: Host, volume: slicer.vtkMRMLScalarVolumeNode, tmp_path: Path) -> Any:
    """The Python side of the effect, active on segment A of two."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    folder = tmp_path / "PinLib"
    folder.mkdir()
    file = folder / "SegmentEditorEffect.py"
    file.write_text(EFFECT)
    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    assert effect.setPythonSource(str(file))
    effect.self().register()
    host.edit(volume, "A", "B")
    host.editor.setActiveEffectByName("Pin")
    return host.editor.effectByName("Pin").self()


def test_effect_is_told_what_slicer_tells_in_its_order(host: Host, pin: Any) -> None:
    assert pin.recorded.index("updateGUIFromMRML") < pin.recorded.index("activate")
    assert host.editor.activeEffect() is pin.scriptedEffect
    assert pin.scriptedEffect.optionsFrame().visible
    pin.recorded.clear()
    host.editor.setActiveEffect(None)
    assert pin.recorded == ["deactivate"]
    assert not pin.scriptedEffect.optionsFrame().visible


def test_mouse_and_keys_reach_the_effect_and_it_may_keep_them(host: Host, pin: Any) -> None:
    pin.recorded.clear()
    assert host.user.press("Red", (200, 150), shift=True)
    assert not host.user.move("Red", (201, 150))
    assert host.user.key("Delete")
    assert not host.user.key("a")
    assert pin.recorded == [("press", (200, 150), True), "key Delete", "key a"]


def test_what_an_effect_keeps_reaches_no_other_observer(host: Host, pin: Any) -> None:
    heard: list[str] = []
    interactor = host.user.view("Red").sliceView().interactor()
    for event in ("LeftButtonPressEvent", "MouseMoveEvent"):
        interactor.AddObserver(event, lambda _caller, event: heard.append(event), 0.5)
    host.user.press("Red", (200, 150))
    host.user.move("Red", (201, 150))
    assert heard == ["MouseMoveEvent"]


def test_the_editors_own_escape_puts_the_effect_away_before_the_view_hears_of_it(host: Host, pin: Any) -> None:
    pin.recorded.clear()
    assert host.user.key("Escape")
    assert host.editor.activeEffect() is None and pin.recorded == ["deactivate"]
    host.editor.uninstallKeyboardShortcuts()
    host.editor.setActiveEffectByName("Pin")
    pin.recorded.clear()
    assert not host.user.key("Escape")
    assert pin.recorded == ["key Escape"]


def test_an_editor_that_is_deleted_cleans_its_effects_up(host: Host, pin: Any) -> None:
    cleaned: list[str] = []
    pin.cleanup = lambda: cleaned.append("cleanup")
    host.editor.deleteLater()
    host.clock.advance(0)
    assert cleaned == ["cleanup"]
    host.editor = None


def test_inactive_effect_hears_nothing(host: Host, pin: Any) -> None:
    host.editor.setActiveEffect(None)
    pin.recorded.clear()
    assert not host.user.press("Red", (200, 150))
    assert pin.recorded == []


def test_effect_ends_with_its_segment_and_the_scene(host: Host, pin: Any) -> None:
    host.editor.mrmlSegmentEditorNode().GetSegmentationNode().GetSegmentation().RemoveSegment("A")
    assert host.editor.activeEffect() is None
    host.editor.setCurrentSegmentID("B")
    host.editor.setActiveEffectByName("Pin")
    assert host.editor.activeEffect() is pin.scriptedEffect
    host.scene.Clear(0)
    assert host.editor.activeEffect() is None
    assert host.editor.mrmlSegmentEditorNode() is not None


def test_an_exception_in_an_effect_does_not_reach_the_mouse_but_is_not_lost(host: Host, pin: Any) -> None:
    del pin.recorded
    assert not host.user.press("Red", (200, 150))
    assert isinstance(host.escaped[0], AttributeError)
    pin.recorded = []
    host.escaped.clear()


def test_actors_are_in_the_renderer_until_taken_out(host: Host, pin: Any) -> None:
    view, actor = host.user.view("Red"), vtk.vtkActor2D()
    pin.scriptedEffect.addActor2D(view, actor)
    assert pin.scriptedEffect.renderer(view).HasViewProp(actor)
    pin.scriptedEffect.removeActor2D(view, actor)
    assert not pin.scriptedEffect.renderer(view).HasViewProp(actor)
    assert view.sliceView().renders == 2


def test_a_package_without_the_class_is_replaced_by_the_file_as_in_slicer(host: Host, tmp_path: Path) -> None:
    import sys
    from types import ModuleType

    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    folder = tmp_path / "PinLib"
    folder.mkdir()
    (folder / "SegmentEditorEffect.py").write_text(EFFECT)
    package = sys.modules["PinLib"] = ModuleType("PinLib")
    effects.qSlicerSegmentEditorScriptedEffect(None).setPythonSource(str(folder / "SegmentEditorEffect.py"))
    assert sys.modules["PinLib"] is not package
    package.SegmentEditorEffect = sys.modules["PinLib"].SegmentEditorEffect
    sys.modules["PinLib"] = package
    effects.qSlicerSegmentEditorScriptedEffect(None).setPythonSource(str(folder / "SegmentEditorEffect.py"))
    assert sys.modules["PinLib"] is package
