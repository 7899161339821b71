"""qMRMLSegmentEditorWidget: effects, the active one, undo, on the real Segment Editor logic."""

from __future__ import annotations

from typing import Any

import slicer

from ..doubles import double, implements
from .editor_keys import EditorKeys
from .editor_views import EditorViews
from .scripted_effect import EffectFactory


@implements("qMRMLSegmentEditorWidget")
class SegmentEditorWidget(EditorKeys, EditorViews):
    """Nothing is drawn; the part of the widget that an effect lives by is there."""

    def made(self, *arguments: Any) -> None:
        double("qMRMLWidget").made(self, *arguments)
        self.__dict__.update(
            _logic=slicer.vtkSlicerSegmentEditorLogic(), _node=None, _effects=[], _active=None, _observed=[],
            _node_tags=[], _scene_tags=[], _segment_tags=[], _seen=(None, None, None), _updating=False,
        )  # fmt: skip
        self.__dict__["_logic"].SetMaximumNumberOfUndoStates(10)

    def _end(self) -> None:
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().layoutChanged.disconnect(self._layout_changed)
        self.removeViewObservations()
        for effect in self.__dict__["_effects"]:
            effect._call("cleanup")
        self.__dict__["_effects"] = []
        for kind in ("_node_tags", "_scene_tags", "_segment_tags"):
            for subject, tag in self.__dict__[kind]:
                subject.RemoveObserver(tag)
            self.__dict__[kind] = []
        self.__dict__["_logic"].SetSegmentEditorNode(None)
        self.__dict__["_logic"].SetMRMLScene(None)
        self.__dict__["_logic"].SetMRMLApplicationLogic(None)

    # Scene and parameter node

    def setMRMLScene(self, scene: Any) -> None:
        self.__dict__["_scene"] = scene
        self.__dict__["_logic"].SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self.__dict__["_logic"].SetMRMLScene(scene)
        events = slicer.vtkMRMLScene
        # Placing a markup and drawing in an effect exclude each other.
        mode = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self.__dict__["_mode"] = mode
        self.__dict__["_scene_tags"] = [
            (mode, mode.AddObserver("ModifiedEvent", lambda *_: self._mode_changed())),
            (scene, scene.AddObserver(events.EndCloseEvent, lambda *_: self._scene_closed())),
            (scene, scene.AddObserver(events.EndBatchProcessEvent, lambda *_: self.updateWidgetFromMRML())),
        ]
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.layoutChanged.connect(self._layout_changed)
        self.updateEffectList()

    def _mode_changed(self) -> None:
        active = self.__dict__["_active"]
        viewing = self.__dict__["_mode"].GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.ViewTransform
        if active is None:
            return
        if hasattr(active.self(), "interactionNodeModified"):
            active._call("interactionNodeModified", self.__dict__["_mode"])
        elif not viewing:
            self.setActiveEffect(None)

    def _scene_closed(self) -> None:
        self._initialise()
        self.updateWidgetFromMRML()

    def mrmlSegmentEditorNode(self) -> Any:
        return self.__dict__["_node"]

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        for subject, tag in self.__dict__["_node_tags"]:
            subject.RemoveObserver(tag)
        self.__dict__.update(_node=node, _node_tags=[])
        self.__dict__["_logic"].SetSegmentEditorNode(node)
        if node is None:
            return
        parameter = slicer.vtkMRMLSegmentEditorNode.EffectParameterModified
        self.__dict__["_node_tags"] = [
            (node, node.AddObserver("ModifiedEvent", lambda *_: self.updateWidgetFromMRML())),
            (node, node.AddObserver(parameter, lambda *_: self._parameter_changed())),
        ]
        self._initialise()
        self.updateWidgetFromMRML()

    def _parameter_changed(self) -> None:
        for effect in self.__dict__["_effects"]:
            effect.updateGUIFromMRML()

    def _initialise(self) -> None:
        node = self.__dict__["_node"]
        if node is None:
            return
        before = node.StartModify()
        for effect in self.__dict__["_effects"]:
            effect.setParameterSetNode(node)
            effect._call("setMRMLDefaults")
        node.EndModify(before)

    def updateWidgetFromMRML(self) -> None:
        scene, node, state = self.__dict__.get("_scene"), self.__dict__["_node"], self.__dict__
        if scene is None or node is None or scene.IsClosing() or scene.IsBatchProcessing() or state["_updating"]:
            return
        state["_updating"] = True
        try:
            self._follow(node)
        finally:
            state["_updating"] = False
        if node.GetActiveEffectName() != (state["_active"].name if state["_active"] else "") and self._wanted(node):
            self.updateWidgetFromMRML()  # an effect chose another while it was being chosen

    def _follow(self, node: Any) -> None:
        segmentation, volume, segment = self.__dict__["_seen"]
        now = (node.GetSegmentationNode(), node.GetSourceVolumeNode(), node.GetSelectedSegmentID() or "")
        if now[0] is not segmentation:
            if now[0] is not None:
                now[0].CreateDefaultDisplayNodes()
                reference = now[0].GetNodeReference(now[0].GetReferenceImageGeometryReferenceRole())
                if reference is not None and now[1] is None:
                    node.SetAndObserveSourceVolumeNode(reference)
                if not now[2] and now[0].GetSegmentation().GetNumberOfSegments():
                    node.SetSelectedSegmentID(now[0].GetSegmentation().GetNthSegmentID(0))
            self.segmentationNodeChanged.emit(now[0])
            self._watch_segments(now[0])
        self._drop_missing_segment(node)
        now = (now[0], node.GetSourceVolumeNode(), node.GetSelectedSegmentID() or "")
        self.__dict__["_seen"] = now
        if now[1] is not volume:
            self.sourceVolumeNodeChanged.emit(now[1])
            for effect in self.__dict__["_effects"]:
                effect._call("sourceVolumeNodeChanged")
                effect._call("masterVolumeNodeChanged")
        if now[2] != (segment or ""):
            self.currentSegmentIDChanged.emit(now[2])
        self._follow_effect(node)

    def _watch_segments(self, segmentation: Any) -> None:
        for subject, tag in self.__dict__["_segment_tags"]:
            subject.RemoveObserver(tag)
        self.__dict__["_segment_tags"] = []
        if segmentation is not None:
            removed = slicer.vtkSegmentation.SegmentRemoved
            tag = segmentation.AddObserver(removed, lambda *_: self.updateWidgetFromMRML())
            self.__dict__["_segment_tags"] = [(segmentation, tag)]

    def _drop_missing_segment(self, node: Any) -> None:
        """A selected segment that is gone is selected no longer, and an effect on it ends."""
        segmentation, segment = node.GetSegmentationNode(), node.GetSelectedSegmentID()
        if segment and (segmentation is None or segmentation.GetSegmentation().GetSegment(segment) is None):
            node.SetSelectedSegmentID(None)
            active = self.__dict__["_active"]
            if active is not None and active.perSegment:
                self.setActiveEffect(None)

    def _wanted(self, node: Any) -> Any:
        return self.effectByName(node.GetActiveEffectName() or "")

    def _follow_effect(self, node: Any) -> None:
        wanted, active = self._wanted(node), self.__dict__["_active"]
        if wanted is active:
            return
        if active is not None:
            active.deactivate()
        if wanted is not None:
            self.setupViewObservations()
            self.__dict__["_mode"].SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)
            wanted.activate()
        else:
            self.removeViewObservations()
        self.__dict__["_active"] = wanted
        self.setEffectCursor(wanted)

    def setSegmentationNode(self, node: Any) -> None:
        self.__dict__["_logic"].SetSegmentationNode(node)

    def setSourceVolumeNode(self, node: Any) -> None:
        self.__dict__["_logic"].SetSourceVolumeNode(node)

    def setCurrentSegmentID(self, segment: str) -> None:
        self.__dict__["_node"].SetSelectedSegmentID(segment)

    # Effects

    def updateEffectList(self) -> None:
        known = EffectFactory.instance().__dict__.get("_known", {})
        for name, registered in known.items():
            if self.effectByName(name) is not None:
                continue
            effect = registered._call("clone")
            if effect is None:
                continue
            effect.__dict__.update(_logic=self.__dict__["_logic"], _editor=self)
            if self.__dict__["_node"] is not None:
                effect.setParameterSetNode(self.__dict__["_node"])
                effect._call("setMRMLDefaults")
            effect._call("icon")
            self.__dict__["_effects"].append(effect)
            effect._call("setupOptionsFrame")
            effect.optionsFrame().visible = False
            effect.optionsFrame()._attach(self)

    def effectByName(self, name: str) -> Any:
        return next((effect for effect in self.__dict__["_effects"] if effect.name == name), None)

    def availableEffectNames(self) -> tuple[str, ...]:
        return tuple(effect.name for effect in self.__dict__["_effects"])

    def activeEffect(self) -> Any:
        return self.__dict__["_active"]

    def setActiveEffect(self, effect: Any) -> None:
        if self.__dict__["_node"] is not None:
            self.__dict__["_node"].SetActiveEffectName(effect.name if effect is not None else "")

    def setActiveEffectByName(self, name: str) -> None:
        self.setActiveEffect(self.effectByName(name))

    def setEffectCursor(self, effect: Any) -> None:
        manager = slicer.app.layoutManager()
        for view in map(manager.sliceWidget, manager.sliceViewNames()):
            cursor = effect.createCursor(view) if effect is not None and effect.showEffectCursorInSliceView else None
            if effect is not None and effect.showEffectCursorInSliceView and not isinstance(cursor, double("QCursor")):
                raise TypeError(f"createCursor of effect {effect.name} returned {cursor!r}: return a QCursor")
            view.sliceView().setViewCursor(cursor)

    # Undo

    def segmentationNode(self) -> Any:
        return self.__dict__["_node"].GetSegmentationNode()

    def sourceVolumeNode(self) -> Any:
        return self.__dict__["_node"].GetSourceVolumeNode()

    def currentSegmentID(self) -> str:
        return str(self.__dict__["_node"].GetSelectedSegmentID() or "")

    def saveStateForUndo(self) -> None:
        self.__dict__["_logic"].SaveStateForUndo()

    def undo(self) -> None:
        self.__dict__["_logic"].Undo()

    def redo(self) -> None:
        self.__dict__["_logic"].Redo()
