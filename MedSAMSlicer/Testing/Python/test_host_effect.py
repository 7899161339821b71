"""An effect in the host: registered, driven by mouse, writing with undo, as in Slicer's Segment Editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from host.application import Host

pytest_plugins = ["host.fixture"]

EFFECT = '''
import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from vtk.util.numpy_support import vtk_to_numpy


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Sets the voxel under the mouse; writes down what it is told."""

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
        return "Pins a voxel."

    def setupOptionsFrame(self):
        self.size = qt.QSpinBox()
        self.size.objectName = "PinSize"
        self.scriptedEffect.addLabeledOptionsWidget("Size:", self.size)
        self.size.connect("valueChanged(int)", lambda value: self.scriptedEffect.setParameter("Size", value))

    def setMRMLDefaults(self):
        self.scriptedEffect.setParameterDefault("Size", 1)

    def createCursor(self, widget):
        return slicer.util.mainWindow().cursor

    def updateGUIFromMRML(self):
        self.recorded.append("updateGUIFromMRML")
        self.size.value = self.scriptedEffect.integerParameter("Size")

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
            return callerInteractor.GetKeySym() == "Escape"
        if eventId != vtk.vtkCommand.LeftButtonPressEvent:
            return False
        self.recorded.append(("press", callerInteractor.GetEventPosition(), bool(callerInteractor.GetShiftKey())))
        labelmap = self.scriptedEffect.defaultModifierLabelmap()
        i, j, k = self.xyToIjk(callerInteractor.GetEventPosition(), viewWidget, labelmap)
        voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
        voxels[k, j, i] = 1
        labelmap.Modified()
        self.scriptedEffect.saveStateForUndo()
        self.scriptedEffect.modifySelectedSegmentByLabelmap(
            labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd
        )
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


def voxels_of(host: Host, segment: str) -> list[tuple[int, ...]]:
    """(k, j, i) of the voxels of a segment."""
    node = host.editor.segmentationNode()
    image = node.GetSegmentation().GetSegment(segment).GetRepresentation("Binary labelmap")
    if image is None or min(image.GetDimensions()) == 0:
        return []
    first = image.GetExtent()[::2]
    label = node.GetSegmentation().GetSegment(segment).GetLabelValue()
    scalars = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    return [tuple(int(n + f) for n, f in zip(at, first[::-1], strict=True)) for at in np.argwhere(scalars == label)]


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
    assert host.user.key("Escape")
    assert not host.user.key("a")
    assert pin.recorded == [("press", (200, 150), True), "key Escape", "key a"]


def test_inactive_effect_hears_nothing(host: Host, pin: Any) -> None:
    host.editor.setActiveEffect(None)
    pin.recorded.clear()
    assert not host.user.press("Red", (200, 150))
    assert pin.recorded == []


def test_a_click_writes_the_voxel_under_the_mouse_and_undo_takes_it_back(host: Host, pin: Any) -> None:
    view = host.user.view("Yellow")
    ras = view.mrmlSliceNode().GetXYToRAS().MultiplyPoint((180, 140, 0, 1))
    to_ijk = vtk.vtkMatrix4x4()
    host.editor.sourceVolumeNode().GetRASToIJKMatrix(to_ijk)
    expected = tuple(round(n) for n in to_ijk.MultiplyPoint(ras)[2::-1])
    host.user.press("Yellow", (180, 140))
    assert voxels_of(host, "A") == [expected]
    assert voxels_of(host, "B") == []
    host.editor.undo()
    assert voxels_of(host, "A") == []
    host.editor.redo()
    assert voxels_of(host, "A") == [expected]


def test_another_segment_keeps_its_voxels_if_masking_says_so(host: Host, pin: Any) -> None:
    host.user.press("Red", (200, 150))
    host.editor.setCurrentSegmentID("B")
    node = host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    host.user.press("Red", (200, 150))
    assert len(voxels_of(host, "A")) == 1
    assert voxels_of(host, "B") == []


def test_parameters_live_in_the_scene_and_reach_the_options(host: Host, pin: Any) -> None:
    node = host.editor.mrmlSegmentEditorNode()
    assert node.GetAttribute("Pin.Size") == "1"
    pin.size.value = 7
    assert node.GetAttribute("Pin.Size") == "7"
    pin.scriptedEffect.setParameter("Size", 4)
    assert pin.size.value == 4
    with pytest.raises(LookupError, match="Sise"):
        pin.scriptedEffect.integerParameter("Sise")


def test_effect_ends_with_its_segment_and_the_scene(host: Host, pin: Any) -> None:
    host.editor.segmentationNode().GetSegmentation().RemoveSegment("A")
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


def test_oblique_view_gives_positions_of_its_own_matrix(host: Host, pin: Any) -> None:
    view = host.user.view("Green")
    turn = vtk.vtkTransform()
    turn.RotateX(25)
    turn.RotateZ(-40)
    turn.Translate(3, -8, 11)
    view.mrmlSliceNode().GetSliceToRAS().DeepCopy(turn.GetMatrix())
    view.mrmlSliceNode().UpdateMatrices()
    for xy in ((0, 0), (123, 45), (399, 299)):
        expected = view.mrmlSliceNode().GetXYToRAS().MultiplyPoint((*xy, 0, 1))[:3]
        assert pin.xyToRas(xy, view) == pytest.approx(expected, abs=1e-4)
        assert pin.rasToXy(expected, view) == list(xy)
    assert any(str(recorded).startswith("view") for recorded in pin.recorded)


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


def test_the_example_that_ran_in_a_real_slicer_runs_here(host: Host, shared_dir: Path) -> None:
    voxels = np.zeros((20, 60, 80), np.int16)
    volume = slicer.util.addVolumeFromArray(voxels, name="CT")
    host.show(volume)
    host.load_module(shared_dir / "example_effect" / "SegmentEditorExample.py")
    host.complete_startup()
    segmentation = host.edit(volume, "A")
    host.editor.setActiveEffectByName("Example")
    effect = host.editor.activeEffect().self()
    host.user.press("Red", (120, 100))
    host.user.move("Red", (200, 160))
    host.wait_until(lambda: effect.applyButton.enabled)
    assert host.user.release("Red", (200, 160))
    host.user.click(effect.applyButton)
    assert len(voxels_of(host, "A")) == int(effect.mask[0].sum()) > 50
    host.editor.undo()
    assert voxels_of(host, "A") == []
    process = effect.link.process
    host.editor.setActiveEffect(None)
    assert process.state() == process.NotRunning
    assert effect.outline is None
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
