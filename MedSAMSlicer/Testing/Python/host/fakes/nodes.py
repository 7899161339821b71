"""qMRMLWidget and qMRMLNodeComboBox on the real scene."""

from __future__ import annotations

import weakref
from typing import Any

import slicer
import vtk

from ..doubles import Double, double, implements

following: weakref.WeakSet[Any] = weakref.WeakSet()


@implements("qSlicerWidget", "qMRMLWidget")
class SceneHolder(Double):
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self.__dict__.get("_scene"):
            self.__dict__["_scene"] = scene
            self.mrmlSceneChanged.emit(scene)


@implements("qMRMLNodeComboBox")
class NodeComboBox(Double):
    """Follows the scene. Without `noneEnabled` it takes the first node that fits, as Slicer's does."""

    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__.update(_scene=None, _node_id="", _required=[], _tags=[])
        self.__dict__["_values"].update(
            addEnabled=True, removeEnabled=True, editEnabled=False, renameEnabled=False, showChildNodeTypes=True,
            selectNodeUponCreation=True, noneDisplay="None", nodeTypes=(), hideChildNodeTypes=(),
        )  # fmt: skip

    def setMRMLScene(self, scene: Any) -> None:
        self._unobserve()
        self.__dict__["_scene"] = scene
        if scene is not None:
            self._observe(scene)
        self._settle()

    def _observe(self, scene: Any) -> None:
        following.add(self)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_scene: Any, _event: str, node: Any = None) -> None:
            if node is not None and self._fits(node):
                self.nodeAdded.emit(node)
            self._settle()

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def leaving(_scene: Any, _event: str, node: Any = None) -> None:
            if node is not None and self._fits(node):
                self.nodeAboutToBeRemoved.emit(node)

        events = slicer.vtkMRMLScene
        self.__dict__["_tags"] = [
            scene.AddObserver(events.NodeAddedEvent, added),
            scene.AddObserver(events.NodeAboutToBeRemovedEvent, leaving),
            scene.AddObserver(events.NodeRemovedEvent, lambda *_: self._settle()),
            scene.AddObserver(events.EndBatchProcessEvent, lambda *_: self._settle()),
        ]

    def _end(self) -> None:
        self._unobserve()
        following.discard(self)

    def _unobserve(self) -> None:
        for tag in self.__dict__["_tags"]:
            self.__dict__["_scene"].RemoveObserver(tag)
        self.__dict__["_tags"] = []

    def _fits(self, node: Any) -> bool:
        exact = any(node.GetClassName() == kind for kind in self.nodeTypes)
        kind_fits = exact or (self.showChildNodeTypes and any(node.IsA(kind) for kind in self.nodeTypes))
        hidden = (node.GetHideFromEditors() and not self.showHidden) or any(
            node.IsA(kind) for kind in self.hideChildNodeTypes
        )
        attributes = all(
            node.GetAttribute(name) == value if value is not None else node.GetAttribute(name) is not None
            for kind, name, value in self.__dict__["_required"]
            if node.IsA(kind)
        )
        return bool(kind_fits and not hidden and attributes)

    def _nodes(self) -> list[Any]:
        scene = self.__dict__["_scene"]
        nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())] if scene is not None else []
        return [node for node in nodes if self._fits(node)]

    def _settle(self) -> None:
        """The current node is one that is there, or none."""
        scene = self.__dict__["_scene"]
        if scene is not None and scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        if not any(node.GetID() == self.__dict__["_node_id"] for node in nodes):
            self._select(nodes[0] if nodes and not self.noneEnabled else None)

    def _select(self, node: Any) -> None:
        identifier = node.GetID() if node is not None else ""
        if identifier != self.__dict__["_node_id"]:
            self.__dict__["_node_id"] = identifier
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(identifier)

    def currentNode(self) -> Any:
        scene = self.__dict__["_scene"]
        return scene.GetNodeByID(self.__dict__["_node_id"]) if scene is not None and self.__dict__["_node_id"] else None

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            node = self.__dict__["_scene"].GetNodeByID(node)
        self._select(node if node is not None and self._fits(node) else None)

    def on_nodeTypes(self, _kinds: Any) -> None:
        self._settle()

    def on_noneEnabled(self, _enabled: bool) -> None:
        self._settle()
