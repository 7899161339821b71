"""slicer.app, the main window, and reading and writing of nodes by the real storage nodes and logics."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import slicer

from ..clock import clock
from ..doubles import Double, double, implements
from ..facts import APPLICATION
from ..signals import guarded
from .dialogs import ask
from .timers import exit_all_loops


@implements(APPLICATION)
class Application(Double):
    def made(self, scene: Any, logic: Any) -> None:
        double("QObject").made(self)
        io = double("qSlicerIOManager")()
        settings, window = double("QSettings")(), double("qSlicerMainWindow")()
        window.objectName, window.visible = "qSlicerMainWindow", True
        manager = double("qSlicerLayoutManager")()
        manager._build(scene, logic, window)
        self.__dict__.update(
            _scene=scene, _logic=logic, _io=io, _settings=settings, _window=window, _layout=manager,
            _modules=double("qSlicerModuleManager")(), _cursors=[], _focus=None, _buttons=0,
        )  # fmt: skip
        self.__dict__["_values"].update(
            applicationName="Slicer", majorVersion=5, minorVersion=13, temporaryPath=tempfile.gettempdir(),
            applicationVersion="5.13.0", revision="host", os="linux", platform="linux-amd64",
        )  # fmt: skip

    def applicationLogic(self) -> Any:
        return self.__dict__["_logic"]

    def moduleManager(self) -> Any:
        return self.__dict__["_modules"]

    def layoutManager(self) -> Any:
        return self.__dict__["_layout"] if self.__dict__["_window"] is not None else None

    def coreIOManager(self) -> Any:
        return self.__dict__["_io"]

    def ioManager(self) -> Any:
        return self.__dict__["_io"]

    def topLevelWidgets(self) -> tuple[Any, ...]:
        window = self.__dict__["_window"]
        return () if window is None else (window,)

    def testingEnabled(self) -> bool:
        return False

    def focusWidget(self) -> Any:
        return self.__dict__["_focus"]

    def _focus_on(self, widget: Any) -> None:
        before = self.__dict__["_focus"]
        if widget is not before:
            self.__dict__["_focus"] = widget
            self.focusChanged.emit(before, widget)

    def _hold(self, button: str) -> None:
        """The user presses this button, or lets go of all (an empty text)."""
        self.__dict__["_buttons"] = int(getattr(double("Qt"), f"{button or 'No'}Button"))

    def mouseButtons(self) -> int:
        """What the user holds down; events that a script invents press no button."""
        return int(self.__dict__["_buttons"])

    def processEvents(self, *_flags: int) -> None:
        clock.process()

    def exit(self, code: int = 0) -> None:
        exit_all_loops(code)

    def quit(self) -> None:
        exit_all_loops(0)

    def palette(self, *_widget: Any) -> Any:
        return double("QPalette")()

    def setOverrideCursor(self, cursor: Any) -> None:
        self.__dict__["_cursors"].append(cursor)

    def overrideCursor(self) -> Any:
        cursors = self.__dict__["_cursors"]
        return cursors[-1] if cursors else None

    def restoreOverrideCursor(self) -> None:
        self.__dict__["_cursors"].pop()

    def clipboard(self) -> Any:
        return self.__dict__.setdefault("_clipboard", double("QClipboard")())


@implements("QApplication")
class QtApplication(Double):
    @staticmethod
    def setOverrideCursor(cursor: Any) -> None:
        slicer.app.setOverrideCursor(cursor)

    @staticmethod
    def restoreOverrideCursor() -> None:
        slicer.app.restoreOverrideCursor()

    @staticmethod
    def overrideCursor() -> Any:
        return slicer.app.overrideCursor()

    @staticmethod
    def clipboard() -> Any:
        return slicer.app.clipboard()


@implements("QClipboard")
class Clipboard(Double):
    def setText(self, text: str) -> None:
        self.__dict__["_text"] = text

    def text(self) -> str:
        return str(self.__dict__.get("_text", ""))


@implements("QMainWindow")
class MainWindow(Double):
    def statusBar(self) -> Any:
        return self.__dict__.setdefault("_status", double("QStatusBar")())

    def close(self) -> bool:
        """Closes unless an event filter ignores the event. Slicer's own question, whether to save, is not asked."""
        event = double("QEvent")(double("QEvent").Close)
        if any(guarded(watcher.eventFilter, self, event) is True for watcher in list(self.__dict__["_filters"])):
            return bool(event.isAccepted())
        self.visible = False
        return True


@implements("QStatusBar")
class StatusBar(Double):
    def showMessage(self, message: str, _milliseconds: int = 0) -> None:
        self.__dict__["_message"] = message
        self.messageChanged.emit(message)

    def currentMessage(self) -> str:
        return str(self.__dict__.get("_message", ""))


@implements("qSlicerCoreIOManager")
class IOManager(Double):
    """Volumes and scenes."""

    def loadNodes(self, kind: str, properties: Any, loaded: Any = None, messages: Any = None) -> bool:
        if kind not in READERS:
            raise NotImplementedError(f"the host does not read {kind}: add it to host/fakes/application.py")
        if not Path(properties["fileName"]).is_file():
            return False
        nodes = READERS[kind](properties)
        for node in nodes or ():
            if loaded is not None:
                loaded.AddItem(node)
        return nodes is not None

    def fileWriterFileType(self, node: Any, _format: str = "") -> str:
        return "NodeFile" if node is not None else "SceneFile"

    def saveNodes(self, kind: str, properties: Any, messages: Any = None) -> bool:
        written = self._write(kind, properties, properties["fileName"])
        if written:
            self.fileSaved.emit(dict(properties))
        return written

    @staticmethod
    def _write(kind: str, properties: Any, path: str) -> bool:
        if kind == "SceneFile":
            return write_scene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        return bool(storage.WriteData(node))


@implements("qSlicerIOManager")
class DialogIOManager(Double):
    def openSaveDataDialog(self) -> bool:
        return bool(ask("qSlicerSaveDataDialog", "Save Scene and Unsaved Data", ""))


def write_scene(path: str) -> bool:
    if path.endswith(".mrb"):
        return bool(slicer.mrmlScene.WriteToMRB(path))
    slicer.mrmlScene.SetURL(path)
    return bool(slicer.mrmlScene.Commit())


def read_volume(properties: Any) -> list[Any] | None:
    logic = slicer.modules.volumes.logic()
    options = 1 if properties.get("labelmap") else 0
    name = properties.get("name") or Path(properties["fileName"]).name.split(".")[0]
    node = logic.AddArchetypeVolume(properties["fileName"], name, options)
    return [node] if node is not None else None


def read_scene(properties: Any) -> list[Any] | None:
    if properties["fileName"].endswith(".mrb"):
        return [] if slicer.mrmlScene.ReadFromMRB(properties["fileName"], bool(properties.get("clear"))) else None
    slicer.mrmlScene.SetURL(properties["fileName"])
    done = slicer.mrmlScene.Connect() if properties.get("clear", True) else slicer.mrmlScene.Import()
    return [] if done else None


READERS = {
    "VolumeFile": read_volume,
    "SceneFile": read_scene,
}
