"""Modules of Slicer, and how Slicer loads a scripted one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer

from ..doubles import Double, double, implements


@implements("qSlicerAbstractModule")
class AbstractModule(Double):
    """`logic` is the real logic class."""

    def logic(self) -> Any:
        return self.__dict__.get("_logic")

    def read_name(self) -> str:
        return str(self.__dict__["_name"])

    def read_path(self) -> str:
        return str(self.__dict__.get("_path", ""))


@implements("qSlicerScriptedLoadableModule")
class ScriptedModule(Double):
    def _load(self, path: Path) -> Any:
        """Imports the file under the module's name and makes the module's class, as Slicer does at start-up."""
        self.__dict__.update(_name=path.stem, _path=str(path), _panel=None, _python=None)
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        self.__dict__["_python"] = getattr(module, path.stem)(self)
        return self.__dict__["_python"]

    def widgetRepresentation(self) -> Any:
        if self.__dict__["_panel"] is None:
            panel = double("qSlicerScriptedLoadableModuleWidget")()
            self.__dict__["_panel"] = panel
            panel.setLayout(double("QVBoxLayout")())
            panel.setMRMLScene(slicer.mrmlScene)
            panel._build(self)
        return self.__dict__["_panel"]


@implements("qSlicerScriptedLoadableModuleWidget")
class ScriptedModuleWidget(Double):
    def _build(self, module: Any) -> None:
        self.__dict__["_module"] = module
        file = sys.modules[module.name]
        python = getattr(file, f"{module.name}Widget")(self)
        self.__dict__["_python"] = python
        setattr(slicer.modules, f"{module.name}Widget", python)
        python.setup()

    def self(self) -> Any:
        return self.__dict__["_python"]

    def reload(self) -> None:
        for child in self.children():
            if child is not self.layout():
                child._delete()
        self._build(self.__dict__["_module"])


@implements("qSlicerModuleManager")
class LoadedModules(Double):
    def module(self, name: str) -> Any:
        return getattr(slicer.modules, name.lower(), None)
