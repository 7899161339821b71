"""Slice views on real slice logics and nodes, with an interactor that takes events, and the layout manager."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import slicer
import vtk

from ..clock import clock
from ..doubles import Double, double, implements

ORIENTATIONS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
SIZE = (400, 300)
rendering = SimpleNamespace(milliseconds=0.0, work=None)


@implements("qMRMLSliceWidget")
class SliceWidget(Double):
    def _build(self, name: str, scene: Any, application_logic: Any) -> None:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(scene)
        node = logic.AddSliceNode(name)
        node.SetOrientation(ORIENTATIONS[name])
        node.SetDimensions(*SIZE, 1)
        application_logic.GetSliceLogics().AddItem(logic)
        view = double("qMRMLSliceView")(self)
        view._build(logic, application_logic)
        self.__dict__.update(_logic=logic, _view=view, _scene=scene)
        self.objectName = f"qMRMLSliceWidget{name}"
        self.visible = True

    def sliceLogic(self) -> Any:
        return self.__dict__["_logic"]

    def sliceView(self) -> Any:
        return self.__dict__["_view"]

    def mrmlSliceNode(self) -> Any:
        return self.__dict__["_logic"].GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self.__dict__["_logic"].GetSliceCompositeNode()


@implements("qMRMLSliceView")
class SliceView(Double):
    """Its renderer is real and holds the actors; nothing is drawn, unless `off_screen` has it
    drawn. `renders` counts what was
    asked to be drawn, `rendered` has the turn of the event loop in which something was; each takes `rendering.milliseconds`
    of its time.

    What no effect keeps reaches Slicer's own interactor style and displayable managers: markups are hovered over and
    dragged, slices scroll with the wheel, as in Slicer.
    """

    def _build(self, logic: Any, application_logic: Any) -> None:
        node = logic.GetSliceNode()
        # This kind of window asks no display server for anything.
        window, renderer = vtk.vtkGenericOpenGLRenderWindow(), vtk.vtkRenderer()
        window.SetSize(*node.GetDimensions()[:2])
        window.AddRenderer(renderer)
        interactor, style = vtk.vtkGenericRenderWindowInteractor(), vtk.vtkInteractorStyleUser()
        interactor.SetRenderWindow(window)
        interactor.SetInteractorStyle(style)
        managers, observer = slicer.vtkMRMLDisplayableManagerGroup(), slicer.vtkMRMLSliceViewInteractorStyle()
        managers.SetRenderer(renderer)
        for name in ("vtkMRMLCrosshairDisplayableManager", "vtkMRMLMarkupsDisplayableManager"):
            manager = getattr(slicer, name)()
            manager.SetMRMLApplicationLogic(application_logic)
            managers.AddDisplayableManager(manager)
        managers.SetMRMLDisplayableNode(node)
        observer.SetSliceLogic(logic)
        observer.SetDisplayableManagers(managers)
        observer.SetInteractor(interactor)
        self.__dict__.update(
            _node=node, _window=window, _interactor=interactor, _style=style, renders=0, taken=False, drawing=False,
            _managers=managers, _observer=observer, rendered=[], _requested=None,
        )  # fmt: skip

    def _end(self) -> None:
        self.__dict__["_observer"].SetInteractor(None)
        self.__dict__["_observer"].SetDisplayableManagers(None)
        self.__dict__["_managers"].SetMRMLDisplayableNode(None)

    def renderWindow(self) -> Any:
        return self.__dict__["_window"]

    def interactor(self) -> Any:
        return self.__dict__["_interactor"]

    def scheduleRender(self) -> None:
        """As CTK: at most 60 times a second; who asks again when that time is over has it rendered at once."""
        state = self.__dict__
        state["renders"] += 1
        if state["_requested"] is None:
            state["_requested"] = request = (clock.now,)
            clock.post(lambda: state["_requested"] is request and self.forceRender(), 1000 / 60)
        elif clock.now - state["_requested"][0] > 1000 / 60:
            self.forceRender()

    def forceRender(self) -> None:
        state = self.__dict__
        state["_requested"] = None
        if state["drawing"]:
            state["_window"].Render()
        if rendering.work is not None:
            rendering.work(self)
        state["rendered"].append(clock.cycle)
        clock.now += rendering.milliseconds

    def setViewCursor(self, cursor: Any) -> None:
        self.__dict__["_cursor"] = cursor


ALONE = {
    slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView: "Red",
    slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView: "Yellow",
    slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpGreenSliceView: "Green",
}
"""Layouts that show one slice view; all others show all three."""


@implements("qMRMLLayoutManager")
class LayoutManager(Double):
    """Three slice views. The host has no 3D views: `threeDViewCount` is 0."""

    def _build(self, scene: Any, application_logic: Any, window: Any) -> None:
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        application_logic.SetSliceLogics(vtk.vtkCollection())
        self.__dict__.update(_scene=scene, _views={}, _layout=scene.AddNewNodeByClass("vtkMRMLLayoutNode"))
        for name in ORIENTATIONS:
            widget = double("qMRMLSliceWidget")(window)
            widget._build(name, scene, application_logic)
            self.__dict__["_views"][name] = widget

    def read_layout(self) -> int:
        return int(self.__dict__.get("_arrangement", slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView))

    def setLayout(self, layout: int) -> None:
        """Views that a layout does not show stay there, hidden; their size stays as it is."""
        if layout != self.layout:
            self.__dict__["_arrangement"] = layout
            for name, widget in self.__dict__["_views"].items():
                widget.visible = ALONE.get(layout, name) == name
            self.layoutChanged.emit()

    def mrmlSliceLogics(self) -> Any:
        return slicer.app.applicationLogic().GetSliceLogics()

    def sliceViewNames(self) -> tuple[str, ...]:
        """In any order: Slicer keeps its views in a hash table."""
        return tuple(reversed(self.__dict__["_views"]))

    def sliceWidget(self, name: str) -> Any:
        return self.__dict__["_views"].get(name)
