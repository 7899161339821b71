"""The C++ side of an effect: what `self.scriptedEffect` does, on the real Segment Editor logic and node."""

from __future__ import annotations

from typing import Any

import slicer

from ..doubles import Double, double, implements
from ..signals import guarded
from .dialogs import ask

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

    def createCursor(self, view: Any) -> Any:
        return self._call("createCursor", view)

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

    # Parameters, kept in the node's attributes

    def parameterSetNode(self) -> Any:
        return self.__dict__["_node"]

    def setParameterSetNode(self, node: Any) -> None:
        self.__dict__["_node"] = node

    def _own(self, name: str) -> str:
        return f"{self.name}.{name}"

    def setParameter(self, name: str, value: str | int | float) -> None:
        self.setCommonParameter(self._own(name), value)

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

    # Volumes and changes, by the real logic

    def defaultModifierLabelmap(self) -> Any:
        logic = self.__dict__["_logic"]
        return logic.GetModifierLabelmap() if logic.ResetModifierLabelmapToDefault() else None

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
        """Asks whether a hidden segment is to be shown. 'No' counts for the segment until another one is confirmed."""
        node = self.__dict__["_node"]
        segmentation, segment_id = node.GetSegmentationNode(), node.GetSelectedSegmentID()
        display = segmentation.GetDisplayNode()
        shown = display.GetVisibility() and display.GetSegmentVisibility(segment_id)
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if shown or self.__dict__.get("_confirmed") is segment:
            return int(self.ConfirmedWithoutDialog)
        box = double("QMessageBox")
        answer = ask("ctkMessageBox", "Operate on invisible segment?", "The currently selected segment is hidden.")
        if answer == box.Cancel:
            return int(self.NotConfirmed)
        if answer == box.Yes:
            display.SetVisibility(True)
            display.SetSegmentVisibility(segment_id, True)
        else:
            self.__dict__["_confirmed"] = segment
        return int(self.ConfirmedWithDialog)

    def segmentationDisplayableInView(self, node: Any) -> bool:
        return bool(self.__dict__["_logic"].IsSegmentationDisplayableInView(node))

    # Views

    def renderWindow(self, view: Any) -> Any:
        return view.sliceView().renderWindow()

    def renderer(self, view: Any) -> Any:
        return self.renderWindow(view).GetRenderers().GetItemAsObject(0)

    def addActor2D(self, view: Any, actor: Any) -> None:
        self.renderer(view).AddViewProp(actor)
        self.scheduleRender(view)

    def removeActor2D(self, view: Any, actor: Any) -> None:
        self.renderer(view).RemoveViewProp(actor)
        self.scheduleRender(view)

    def scheduleRender(self, view: Any) -> None:
        view.sliceView().scheduleRender()
