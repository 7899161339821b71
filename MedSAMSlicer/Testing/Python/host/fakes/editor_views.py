"""Events of the views, as the Segment Editor hands them to the active effect."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from ..doubles import Double

EVENTS = [
    f"{button}Button{what}Event" for button in ("Left", "Right", "Middle") for what in ("Press", "Release", "DoubleClick")
] + [f"MouseWheel{way}Event" for way in ("Forward", "Backward", "Left", "Right")] + [
    "MouseMoveEvent", "KeyPressEvent", "KeyReleaseEvent", "EnterEvent", "LeaveEvent",
]  # fmt: skip


class EditorViews(Double):
    def setupViewObservations(self) -> None:
        self.removeViewObservations()
        manager = slicer.app.layoutManager()
        views = [manager.sliceWidget(name) for name in manager.sliceViewNames()]
        for view in views:
            if not self.__dict__["_logic"].IsSegmentationDisplayableInView(view.mrmlSliceNode()):
                continue
            interactor, node = view.sliceView().interactor(), view.mrmlSliceNode()

            tags: dict[str, int] = {}

            def on_interaction(caller: Any, event: str, view: Any = view, tags: dict[str, int] = tags) -> None:
                if self._interaction(caller, event, view):
                    # No other observer gets the event: neither Slicer's own, nor another Segment Editor.
                    caller.GetCommand(tags[event]).SetAbortFlag(1)

            def on_view(caller: Any, _event: str, view: Any = view) -> None:
                if (effect := self.__dict__["_active"]) is not None:
                    effect._call("processViewNodeEvents", caller, vtk.vtkCommand.ModifiedEvent, view)

            tags.update((event, interactor.AddObserver(event, on_interaction, 1.0)) for event in EVENTS)
            self.__dict__["_observed"] += [
                *((interactor, tag) for tag in tags.values()),
                (node, node.AddObserver("ModifiedEvent", on_view, 1.0)),
            ]

    def removeViewObservations(self) -> None:
        for subject, tag in self.__dict__["_observed"]:
            subject.RemoveObserver(tag)
        self.__dict__["_observed"] = []

    def _interaction(self, interactor: Any, event: str, view: Any) -> bool:
        effect, scene = self.__dict__["_active"], self.__dict__["_scene"]
        if effect is None or scene.IsClosing() or self.__dict__["_node"] is None:
            return False
        number = getattr(vtk.vtkCommand, event)
        taken = effect._call("processInteractionEvents", interactor, number, view) is True
        view.sliceView().__dict__["taken"] |= taken
        return taken

    def _layout_changed(self) -> None:
        if self.__dict__["_observed"]:
            self.setupViewObservations()
            for effect in self.__dict__["_effects"]:
                effect._call("layoutChanged")
