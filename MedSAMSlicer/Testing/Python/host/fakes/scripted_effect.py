"""How Slicer makes an effect of a Python file, and which effects it knows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer

from ..doubles import Double, double, implements
from ..signals import guarded


@implements("qSlicerSegmentEditorEffectFactory")
class EffectFactory(Double):
    _one: list[Any] = []

    @staticmethod
    def instance() -> Any:
        if not EffectFactory._one:
            EffectFactory._one.append(double("qSlicerSegmentEditorEffectFactory")())
        return EffectFactory._one[0]

    def registerEffect(self, effect: Any) -> bool:
        known = self.__dict__.setdefault("_known", {})
        if not effect.name or effect.name in known:
            return False
        known[effect.name] = effect
        self.effectRegistered.emit(effect.name)
        return True

    def registeredEffects(self) -> tuple[Any, ...]:
        return tuple(self.__dict__.get("_known", {}).values())


@implements("qSlicerSegmentEditorScriptedEffect")
class ScriptedEffect(Double):
    def self(self) -> Any:
        return self.__dict__["_self"]

    def setPythonSource(self, path: str) -> bool:
        """Loads the class as Slicer does: the folder's name is the name of the module that it looks in.

        Only if a module of that name has no attribute of the class's name is the file loaded, and then *in the place*
        of that module: a package whose `__init__` does not have the class is replaced by the file.
        """
        if not path.endswith((".py", ".pyc")):
            return False
        file = Path(path)
        module_name, class_name = file.parent.name, file.stem
        class_name = class_name if class_name.endswith("Effect") else class_name + "Effect"
        module = sys.modules.get(module_name)
        if module is None or not hasattr(module, class_name):
            spec = importlib.util.spec_from_file_location(module_name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            if guarded(lambda: spec.loader.exec_module(module) or True) is None:
                return False
        if not hasattr(module, class_name):
            raise RuntimeError(f"class {class_name} was not found in {path}")
        made = guarded(getattr(module, class_name), self)
        if made is None:
            return False
        self.__dict__.update(_self=made, _source=path)
        setattr(slicer, module_name, made)
        return True
