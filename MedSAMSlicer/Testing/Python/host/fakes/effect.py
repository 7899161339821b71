"""The C++ side of an effect: what `self.scriptedEffect` does, on the real Segment Editor logic and node."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from ..doubles import Double, double, implements
from ..signals import guarded

NO_EXTENT = (0, -1, 0, -1, 0, -1)
MODES = ("ModificationModeSet", "ModificationModeAdd", "ModificationModeRemove", "ModificationModeRemoveAll")


@implements("qSlicerSegmentEditorAbstractEffect")
class AbstractEffect(Double):
    def made(self, *arguments: Any) -> None:
        double("QObject").made(self, *arguments)
        frame = double("QFrame")()
        double("QFormLayout")(frame)
        self.__dict__.update(_frame=frame, _node=None, _logic=None, _editor=None, _active=False, _actors=[], _self=None)
        self.__dict__["_values"].update(
            name="UnnamedScriptedEffect", perSegment=True, requireSegments=True,
            showEffectCursorInSliceView=True, showEffectCursorInThreeDView=False,
        )  # fmt: skip

    def _call(self, method: str, *arguments: Any) -> Any:
        """Calls the effect's Python side as Slicer does: only if it has the method, and no exception comes back."""
        python = self.__dict__["_self"]
        return guarded(getattr(python, method), *arguments) if hasattr(python, method) else None

    def read_title(self) -> str:
        return str(self.__dict__["_values"].get("title") or self.name)

    def active(self) -> bool:
        return bool(self.__dict__["_active"])

    def activate(self) -> None:
        self.__dict__["_frame"].visible = True
        self.__dict__["_active"] = True
        self.updateGUIFromMRML()
        self._call("activate")

    def deactivate(self) -> None:
        self.__dict__["_frame"].visible = False
        self.__dict__["_active"] = False
        self._call("deactivate")

    def updateGUIFromMRML(self) -> None:
        if self.active():
            self._call("updateGUIFromMRML")

    def updateMRMLFromGUI(self) -> None:
        self._call("updateMRMLFromGUI")

    def cleanup(self) -> None:
        self._call("cleanup")

    def helpText(self) -> str:
        return str(self._call("helpText") or "")

    def createCursor(self, view: Any) -> Any:
        return self._call("createCursor", view)

    def selectEffect(self, name: str) -> None:
        self.__dict__["_editor"].setActiveEffectByName(name)

    # Options

    def optionsFrame(self) -> Any:
        return self.__dict__["_frame"]

    def optionsLayout(self) -> Any:
        return self.__dict__["_frame"].layout()

    def addOptionsWidget(self, widget: Any) -> None:
        if widget.inherits("QWidget"):
            policy = double("QSizePolicy")
            widget.sizePolicy = policy(policy.Preferred, policy.MinimumExpanding)
        self.optionsLayout().addRow(widget)

    def addLabeledOptionsWidget(self, label: str, widget: Any) -> Any:
        made = double("QLabel")(label)
        self.optionsLayout().addRow(made, widget)
        return made

    # Parameters, kept in the node's attributes

    def parameterSetNode(self) -> Any:
        return self.__dict__["_node"]

    def setParameterSetNode(self, node: Any) -> None:
        self.__dict__["_node"] = node

    def scene(self) -> Any:
        return self.__dict__["_node"].GetScene() if self.__dict__["_node"] else None

    def _own(self, name: str) -> str:
        return f"{self.name}.{name}"

    def parameter(self, name: str) -> str:
        node = self.__dict__["_node"]
        value = node.GetAttribute(self._own(name)) or node.GetAttribute(name)
        return self._said(f"parameter '{name}' cannot be found") if value is None else str(value)

    def _said(self, complaint: str) -> str:
        """Slicer writes an error and goes on with nothing; a test is to see it."""
        raise LookupError(f"effect {self.name}: {complaint}: set its default in setMRMLDefaults")

    def integerParameter(self, name: str) -> int:
        return int(self.parameter(name))

    def doubleParameter(self, name: str) -> float:
        return float(self.parameter(name))

    def parameterDefined(self, name: str) -> bool:
        return self.commonParameterDefined(self._own(name))

    def commonParameterDefined(self, name: str) -> bool:
        return bool(self.__dict__["_node"] and self.__dict__["_node"].GetAttribute(name))

    def setParameter(self, name: str, value: str | int | float) -> None:
        self.setCommonParameter(self._own(name), value)

    def setParameterDefault(self, name: str, value: str | int | float) -> None:
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def setCommonParameter(self, name: str, value: str | int | float) -> None:
        if not isinstance(value, str | int | float):
            raise ValueError(f"a parameter is a text or a number, not {value!r}")
        node = self.__dict__["_node"]
        text = value if isinstance(value, str) else str(int(value)) if isinstance(value, int) else f"{value:.6g}"
        if text == (node.GetAttribute(name) or ""):
            return
        before = node.GetDisableModifiedEvent()
        node.SetDisableModifiedEvent(1)
        node.SetAttribute(name, text)
        node.SetDisableModifiedEvent(before)
        node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def setCommonParameterDefault(self, name: str, value: str | int | float) -> None:
        if not self.commonParameterDefined(name):
            self.setCommonParameter(name, value)

    def nodeReference(self, name: str) -> Any:
        node = self.__dict__["_node"]
        return node.GetNodeReference(self._own(name)) or node.GetNodeReference(name)

    def setNodeReference(self, name: str, node: Any) -> None:
        self.setCommonNodeReference(self._own(name), node)

    def setCommonNodeReference(self, name: str, node: Any) -> None:
        parameters = self.__dict__["_node"]
        if parameters.GetNodeReference(name) is not node:
            parameters.SetNodeReferenceID(name, node.GetID() if node else None)
            parameters.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    # Volumes and changes, by the real logic

    def defaultModifierLabelmap(self) -> Any:
        logic = self.__dict__["_logic"]
        return logic.GetModifierLabelmap() if logic.ResetModifierLabelmapToDefault() else None

    def modifierLabelmap(self) -> Any:
        return self.__dict__["_logic"].GetModifierLabelmap()

    def maskLabelmap(self) -> Any:
        logic = self.__dict__["_logic"]
        return logic.GetMaskLabelmap() if logic.UpdateMaskLabelmap() else None

    def sourceVolumeImageData(self) -> Any:
        logic = self.__dict__["_logic"]
        return logic.GetAlignedSourceVolume() if logic.UpdateAlignedSourceVolume() else None

    def selectedSegmentLabelmap(self) -> Any:
        logic = self.__dict__["_logic"]
        return logic.GetSelectedSegmentLabelmap() if logic.UpdateSelectedSegmentLabelmap() else None

    def referenceGeometryImage(self) -> Any:
        logic = self.__dict__["_logic"]
        return logic.GetReferenceGeometryImage() if logic.UpdateReferenceGeometryImage() else None

    def saveStateForUndo(self) -> None:
        self.__dict__["_logic"].SaveStateForUndo()

    def modifySelectedSegmentByLabelmap(self, labelmap: Any, mode: int, *more: Any) -> None:
        node = self.__dict__["_node"]
        self.modifySegmentByLabelmap(node.GetSegmentationNode(), node.GetSelectedSegmentID(), labelmap, mode, *more)

    def modifySegmentByLabelmap(self, segmentation: Any, segment: str, labelmap: Any, mode: int, *more: Any) -> None:
        """`more`: (), (bypass masking), (extent) or (extent, bypass masking)."""
        logic = self.__dict__["_logic"]
        extent = tuple(more[0]) if more and not isinstance(more[0], bool) else NO_EXTENT
        bypass = bool(more[-1]) if more and isinstance(more[-1], bool) else False
        modes = {int(getattr(self, mode)): mode for mode in MODES}
        real_mode = getattr(slicer.vtkSlicerSegmentEditorLogic, modes[int(mode)])
        logic.ModifySegmentByLabelmap(segmentation, segment, labelmap, real_mode, extent, bool(self.perSegment), bypass)

    def confirmCurrentSegmentVisible(self) -> int:
        display = self.__dict__["_node"].GetSegmentationNode().GetDisplayNode()
        segment = self.__dict__["_node"].GetSelectedSegmentID()
        if not segment or (display.GetVisibility() and display.GetSegmentVisibility(segment)):
            return self.ConfirmedWithoutDialog
        question = double("ctkMessageBox")()
        question.windowTitle, question.text = "Operate on invisible segment?", f"Segment {segment} is hidden."
        answer, buttons = question.exec(), double("QMessageBox")
        if answer == buttons.Yes:
            display.SetVisibility(True)
            display.SetSegmentVisibility(segment, True)
        return self.NotConfirmed if answer == buttons.Cancel else self.ConfirmedWithDialog

    def segmentationDisplayableInView(self, node: Any) -> bool:
        return bool(self.__dict__["_logic"].IsSegmentationDisplayableInView(node))

    # Views

    def renderWindow(self, view: Any) -> Any:
        return view.sliceView().renderWindow()

    def renderer(self, view: Any) -> Any:
        return self.renderWindow(view).GetRenderers().GetItemAsObject(0)

    def viewNode(self, view: Any) -> Any:
        return view.mrmlSliceNode()

    def addActor2D(self, view: Any, actor: Any) -> None:
        self.renderer(view).AddViewProp(actor)
        self.scheduleRender(view)

    def removeActor2D(self, view: Any, actor: Any) -> None:
        self.renderer(view).RemoveViewProp(actor)
        self.scheduleRender(view)

    def scheduleRender(self, view: Any) -> None:
        view.sliceView().scheduleRender()

    def forceRender(self, view: Any) -> None:
        view.sliceView().forceRender()

    def cursorOff(self, view: Any) -> None:
        view.sliceView().setDefaultViewCursor(double("QCursor")(double("Qt").BlankCursor))

    def cursorOn(self, view: Any) -> None:
        view.sliceView().unsetViewCursor()

    def sliceSpacing(self, view: Any) -> float:
        return float(slicer.vtkSlicerSegmentEditorLogic.GetSliceSpacing(view.mrmlSliceNode(), view.sliceLogic()))

    def xyzToRas(self, xyz: Any, view: Any) -> Any:
        ras = [0.0, 0.0, 0.0]
        slicer.vtkSlicerSegmentEditorLogic.XyzToRas([xyz.x(), xyz.y(), xyz.z()], ras, view.mrmlSliceNode())
        return double("QVector3D")(*ras)

    def xyToRas(self, xy: Any, view: Any) -> Any:
        return self.xyzToRas(double("QVector3D")(xy.x(), xy.y(), 0.0), view)

    def xyzToIjk(self, xyz: Any, view: Any, image: Any, transform: Any = None) -> Any:
        ijk = [0, 0, 0]
        xyz = [xyz.x(), xyz.y(), xyz.z()]
        slicer.vtkSlicerSegmentEditorLogic.XyzToIjk(xyz, ijk, view.mrmlSliceNode(), image, transform)
        return double("QVector3D")(*ijk)

    def xyToIjk(self, xy: Any, view: Any, image: Any, transform: Any = None) -> Any:
        return self.xyzToIjk(double("QVector3D")(xy.x(), xy.y(), 0.0), view, image, transform)

    def rasToXy(self, ras: Any, view: Any) -> Any:
        back = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(view.mrmlSliceNode().GetXYToRAS(), back)
        x, y = back.MultiplyPoint((ras.x(), ras.y(), ras.z(), 1.0))[:2]
        return double("QPoint")(round(x), round(y))
