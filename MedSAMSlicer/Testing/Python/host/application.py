"""One running application: scene, logics, views, Segment Editor. Made anew for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer
import vtk

from . import fakes, slicer_python
from .abstract_effect import AbstractScriptedSegmentEditorEffect
from .clock import Clock, renew
from .converter_rules import forget_repeated_rules
from .doubles import double
from .facts import APPLICATION, names
from .signals import escaped
from .user_actions import UserActions

# Name of a module -> class of its logic. The module is in slicer.modules under its name in small letters.
LOGICS = {
    "Units": "vtkSlicerUnitsLogic",
    "Colors": "vtkSlicerColorLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
}


class Modules:
    """slicer.modules. Anything may be set on it, as in Slicer."""

    def __init__(self) -> None:
        self.sampleDataSources: dict[str, list[Any]] = {}


class Host:
    """What a test holds of the application.

    Attributes:
        clock: time and events; `user`: mouse and keys; `editor`: the Segment Editor's widget; `app`: slicer.app.
        escaped: exceptions that left a slot or an effect's method. A test that expects them clears the list.
        answers, shown: what the user answers to the next dialogs; which dialogs opened.
        installed, opened: requirements that would have been installed; addresses that would have been opened.
        settings: content of QSettings.
        rendering: `milliseconds` that it takes to render a view, on the clock of the host; `work`: called with each view
            that is rendered; None: nothing is done.
    """

    def __init__(self) -> None:
        self.clock: Clock = renew()
        self.escaped = escaped
        self.answers, self.shown = fakes.dialogs.answers, fakes.dialogs.shown
        self.installed, self.opened = slicer_python.installed, fakes.files.opened
        self.settings = fakes.settings.stored
        slicer_python.in_progress.clear()
        for kept in (
            escaped,
            fakes.keys.shortcuts,
            self.answers,
            self.shown,
            self.installed,
            self.opened,
            self.settings,
        ):
            kept.clear()
        fakes.scripted_effect.EffectFactory._one.clear()
        self.rendering = fakes.views.rendering
        self.rendering.milliseconds, self.rendering.work = 0.0, None
        self.user = UserActions(self)
        self.editor: Any = None
        self.app: Any = None
        self.modules = Modules()
        self.logics: dict[str, Any] = {}
        self._tags: list[int] = []
        self._remote_io = slicer.vtkMRMLRemoteIOLogic()
        self._cache = tempfile.TemporaryDirectory(prefix="medsam-host-")

    def start(self) -> None:
        """Fills the `slicer` module; the fixture undoes it."""
        self.scene = slicer.vtkMRMLScene()
        logic = slicer.vtkSlicerApplicationLogic()
        with _without_warnings():
            logic.SetMRMLScene(self.scene)
            for name, class_name in LOGICS.items():
                self.logics[name] = part = getattr(slicer, class_name)()
                part.SetMRMLApplicationLogic(logic)
                part.SetMRMLScene(self.scene)
                logic.SetModuleLogic(name, part)
                module = double("qSlicerLoadableModule")()
                module.__dict__.update(_name=name, _logic=part)
                setattr(self.modules, name.lower(), module)
        forget_repeated_rules()
        # Scene bundles are unpacked in the cache.
        self._remote_io.SetMRMLScene(self.scene)
        self._remote_io.GetCacheManager().SetRemoteCacheDirectory(self._cache.name)
        self._remote_io.AddDataIOToScene()
        slicer.mrmlScene, slicer.modules = self.scene, self.modules
        slicer.app = self.app = double(APPLICATION)(self.scene, logic)

    def load_module(self, path: Path) -> Any:
        """Loads a scripted module's file as Slicer does; returns the object of the module's class."""
        module = double("qSlicerScriptedLoadableModule")()
        made = module._load(path)
        setattr(self.modules, path.stem.lower(), module)
        return made

    def hide_main_window(self) -> None:
        """As if Slicer had been started with --no-main-window: there is no main window and no layout manager."""
        self.app.__dict__["_window"] = None

    def complete_startup(self) -> None:
        """Modules are loaded: effects register now."""
        self.app.startupCompleted.emit()

    def open_editor(self) -> Any:
        """The Segment Editor, with its singleton parameter node and Slicer's handling of scenes that close."""
        self.editor = double("qMRMLSegmentEditorWidget")()
        self.editor.setMRMLScene(self.scene)
        self.editor._attach(self.app.__dict__["_window"])
        if self.app.__dict__["_window"] is not None:
            self.editor.installKeyboardShortcuts()
        # Slicer keeps the widget of each scripted module that was opened under this name.
        self.modules.SegmentEditorWidget = SimpleNamespace(editor=self.editor)
        self._give_node()
        self._tags = [
            self.scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, lambda *_: self._closing()),
            self.scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, lambda *_: self._give_node()),
        ]
        return self.editor

    def _closing(self) -> None:
        self.editor.setSegmentationNode(None)
        self.editor.removeViewObservations()

    def _give_node(self) -> None:
        node = self.scene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = self.scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag("SegmentEditor")
            node = self.scene.AddNode(node)
        if node is not self.editor.mrmlSegmentEditorNode():
            self.editor.setMRMLSegmentEditorNode(node)
        self.editor.updateWidgetFromMRML()

    def leave_editor(self) -> None:
        """The user opens another module: what Slicer's module Segment Editor does then (`exit` in SegmentEditor.py)."""
        self.editor.setActiveEffect(None)
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()

    def enter_editor(self) -> None:
        """The user comes back (`enter`); no effect is active then."""
        self.editor.installKeyboardShortcuts()
        self._give_node()

    def edit(self, volume: Any, *segment_names: str) -> Any:
        """A segmentation with empty segments over a volume, chosen in the editor; the first segment is selected."""
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        for name in segment_names:
            node.GetSegmentation().AddEmptySegment(name, name)
        if self.editor is None:
            self.open_editor()
        self.editor.setSegmentationNode(node)
        self.editor.setSourceVolumeNode(volume)
        return node

    def show(self, volume: Any) -> None:
        """The volume in the background of all slice views, each fitted to it."""
        for view in map(self.user.view, self.app.layoutManager().sliceViewNames()):
            view.mrmlSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
            view.sliceLogic().FitSliceToAll()

    def wait_until(self, condition: Any, seconds: float = 60.0) -> None:
        self.clock.wait_until(condition, seconds)

    def stop(self) -> None:
        """Ends what runs, and takes logics off the scene in order: garbage collection would do it in any."""
        for process in list(fakes.process.running):
            process._end()
        for selector in list(fakes.nodes.following):
            selector._unobserve()
        for tag in self._tags:
            self.scene.RemoveObserver(tag)
        if self.editor is not None:
            self.editor._end()
        self.clock.close()
        self._cache.cleanup()
        if self.app is None:
            return
        self._remote_io.RemoveDataIOFromScene()
        manager = self.app.__dict__["_layout"]
        application_logic = self.app.applicationLogic()
        application_logic.GetSliceLogics().RemoveAllItems()
        with _without_warnings():
            for view in map(manager.sliceWidget, manager.sliceViewNames()):
                view.sliceView()._end()
                _detach(view.sliceLogic())
            for logic in reversed(self.logics.values()):
                _detach(logic)
            application_logic.SetMRMLScene(None)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Some logics complain of files that come with the application, whenever they get a scene or lose it."""
    before = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.SetGlobalWarningDisplay(0)
    try:
        yield
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(before)


def _detach(logic: Any) -> None:
    logic.SetMRMLScene(None)
    logic.SetMRMLApplicationLogic(None)


def qt_module(name: str, *groups: str) -> ModuleType:
    """A module like `qt`, that makes each double when it is first asked for."""
    listed = set(names(*groups))
    module = ModuleType(name)

    def missing(attribute: str) -> Any:
        if attribute not in listed:
            raise AttributeError(f"module '{name}' has no attribute '{attribute}'")
        return double(attribute)

    module.__dict__["__getattr__"] = missing
    module.__dict__["__dir__"] = lambda: sorted(listed)
    return module


def replaced_modules() -> dict[str, ModuleType]:
    """Name in sys.modules -> what stands in for it while the host runs."""
    effects = ModuleType("SegmentEditorEffects")
    effects.__dict__["AbstractScriptedSegmentEditorEffect"] = AbstractScriptedSegmentEditorEffect
    return {
        "qt": qt_module("qt", "qt"),
        "ctk": qt_module("ctk", "ctk"),
        "qSlicerSegmentationsEditorEffectsPythonQt": qt_module("qSlicerSegmentationsEditorEffectsPythonQt", "effects"),
        "SegmentEditorEffects": effects,
        **slicer_python.modules(),
    }


def slicer_classes() -> Any:
    """`__getattr__` for the module `slicer`: its Qt classes."""
    return qt_module("slicer", "slicer", "effects").__getattr__


__all__ = ["Host", "qt_module", "replaced_modules", "slicer_classes"]
