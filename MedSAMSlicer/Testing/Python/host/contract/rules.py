"""What is wrong with a use of one of Slicer's names."""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

from ..facts import facts_of
from ..signals import normalised
from . import names
from .kinds import (
    Foreign,
    Function,
    Kind,
    Module,
    Opaque,
    Plain,
    QtClass,
    QtMethod,
    QtObject,
    QtSignal,
    VtkClass,
    VtkObject,
)

if TYPE_CHECKING:
    from .checker import Checker

# Modules of Slicer's or of other extensions that the lists do not cover.
OTHER_MODULES = {"PyTorchUtils", "SampleData"}
SIGNAL_NAMES = {"connect", "disconnect", "emit"}


class Rules:
    def __init__(self, checker: Checker) -> None:
        self.to = checker

    # Names

    def module(self, node: ast.AST, name: str, guarded: bool) -> None:
        """An import of `name`; `guarded`: the code minds that it may be missing."""
        if name.startswith("slicer.") and name not in ("slicer.util", "slicer.app", "slicer.modules"):
            listed = names.python_names(name) if names.python_module(name) else None
            if listed is None and not names.python_module(f"{name}.__init__") and not self._package(name):
                self.to.error(node, f"Slicer has no module {name}")
            elif listed and not guarded:
                self._in_releases(node, name, sorted({r for entry in listed.values() for r in entry["in"]}))

    @staticmethod
    def _package(name: str) -> bool:
        return any(module.startswith(name + ".") for module in names.read("slicer_api.json.gz")["python"])

    def attribute(self, node: ast.AST, base: Kind, name: str, guarded: bool) -> None:
        if isinstance(base, Module):
            self.of_module(node, base.name, name, guarded)
        elif isinstance(base, QtClass | QtObject):
            self.of_qt(node, base.name, name, guarded)
        elif isinstance(base, QtSignal):
            if name not in SIGNAL_NAMES:
                self.to.error(node, f"signal {base.owner}.{base.name} has no '{name}'")
        elif isinstance(base, VtkObject | VtkClass):
            self.of_vtk(node, base, name)
        elif (
            isinstance(base, Opaque)
            and not base.origin.startswith("slicer.modules.")
            or isinstance(base, Foreign)
            and base.origin.split(".")[0] in OTHER_MODULES
        ):
            self.to.unchecked(f"{base.origin}.{name}")

    def of_module(self, node: ast.AST, module: str, name: str, guarded: bool) -> None:
        self.to.looked_up(f"{module}.{name}")
        if module == "slicer.modules":
            if name not in names.module_names() and "medsam" not in name.lower():
                self.to.error(node, f"slicer.modules has no '{name}'")
        elif module.startswith("slicer.modules."):
            if not (names.has_member("qSlicerLoadableModule", name) or "medsam" in module.lower()):
                self.to.error(node, f"a module of Slicer's has no '{name}'")
        elif module.split(".")[0] in ("vtk", "vtkmodules"):
            if not hasattr(importlib.import_module(module), name):
                self.to.error(node, f"{module} has no '{name}'")
        elif module == "slicer" and (name in names.SLICER_NAMES or names.vtk_class(name) is not None):
            return
        elif names.python_module(module):
            self.python_name(node, module, name, guarded)
        elif not names.shown_by(module, name):
            self.to.error(node, f"module {module} has no '{name}'")
        elif module != "qt" and not names.known_to_releases(name):
            self.to.unchecked(f"{module}.{name} in releases")

    def python_name(self, node: ast.AST, module: str, name: str, guarded: bool) -> None:
        """A function or class of one of Slicer's Python modules."""
        self.to.looked_up(f"{module}.{name}")
        entry = names.python_names(module).get(name)
        if entry is None or (module == "slicer.util" and not names.in_runtime_util(name)):
            self.to.error(node, f"{module} has no '{name}'")
        elif not guarded:
            self._in_releases(node, f"{module}.{name}", entry["in"])

    def _in_releases(self, node: ast.AST, what: str, found: list[str]) -> None:
        missing = [release for release in names.releases() if release not in found]
        if missing:
            self.to.error(
                node, f"{what} is not in Slicer {', '.join(missing)}: ask whether it is there before using it"
            )

    def of_qt(self, node: ast.AST, owner: str, name: str, guarded: bool) -> None:
        self.to.looked_up(f"{owner}.{name}")
        if not names.has_member(owner, name):
            self.to.error(node, f"{owner} has no '{name}'")
        elif not names.is_qt_itself(owner, name):
            found = names.releases_of_member(owner, name)
            if found is None:
                self.to.unchecked(f"{owner}.{name} in releases")
            elif not guarded:
                self._in_releases(node, f"{owner}.{name}", found)

    def of_vtk(self, node: ast.AST, base: VtkObject | VtkClass, name: str) -> None:
        self.to.looked_up(f"{base.cls.__name__}.{name}")
        here = set(dir(base.cls)) if isinstance(base, VtkClass) else names.vtk_members(base.cls)
        if name not in here:
            self.to.error(node, f"{base.cls.__name__} has no '{name}'")

    def assignment(self, node: ast.AST, base: Kind, name: str) -> None:
        """`base.name = ...`"""
        if isinstance(base, QtObject):
            self.to.looked_up(f"{base.name}.{name}")
            facts = facts_of(base.name)
            if name not in facts.properties:
                self.to.error(node, f"{base.name} has no property '{name}' to set")
            elif not facts.properties[name].writable:
                self.to.error(node, f"property '{name}' of {base.name} is not writable")
        elif isinstance(base, QtClass | QtSignal | QtMethod | Plain):
            self.to.error(node, f"'{name}' cannot be set there")

    # Calls

    def call(self, node: ast.Call, function: Kind) -> None:
        if isinstance(function, Plain):
            self.to.error(node, f"{function.what} is called, but it is an attribute: leave out the parentheses")
        elif isinstance(function, QtObject) and isinstance(node.func, ast.Attribute):
            self.to.error(node, f"'{node.func.attr}' is a property of class {function.name}: leave out the parentheses")
        elif isinstance(function, QtMethod):
            self.qt_call(node, function)
        elif isinstance(function, Function):
            self.python_call(node, function)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("connect", "disconnect"):
            self.connection(node, self.to.kind(node.func.value))

    def qt_call(self, node: ast.Call, method: QtMethod) -> None:
        form = facts_of(method.owner).methods[method.name]
        if node.keywords:
            self.to.error(node, f"{method.owner}.{method.name} takes no arguments by name")
        given = len(node.args)
        if form.most is None or any(isinstance(argument, ast.Starred) for argument in node.args):
            return
        # A method asked of the class may be given the object first.
        if given > form.most + method.on_class:
            self.to.error(node, f"{method.owner}: {form.form} is given {given} arguments")

    def python_call(self, node: ast.Call, function: Function) -> None:
        spec = names.python_names(function.module).get(function.name, {}).get("spec")
        spec = spec.get("__init__") if isinstance(spec, dict) else spec
        if spec is None or any(isinstance(argument, ast.Starred) for argument in node.args):
            return
        most = names.most_arguments(spec)
        open_ended = "**" in spec or any(name.startswith("**") for name in spec)
        if most is not None and len(node.args) > most:
            self.to.error(node, f"{function.module}.{function.name} takes {most} arguments, not {len(node.args)}")
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in spec and not open_ended:
                self.to.error(node, f"{function.module}.{function.name} has no argument '{keyword.arg}'")

    def connection(self, node: ast.Call, owner: Kind) -> None:
        """`owner.connect('signal(type)', slot)`"""
        first = node.args[0] if node.args else None
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str) and isinstance(owner, QtObject)):
            return
        wanted = normalised(first.value)
        name = wanted.split("(")[0]
        signals = facts_of(owner.name).signals
        self.to.looked_up(f"{owner.name}.{name}")
        if name not in signals:
            self.to.error(node, f"{owner.name} has no signal '{name}'")
        elif "(" not in wanted:
            self.to.error(
                node,
                f"'{wanted}' lacks the signal's arguments: write '{signals[name][0] if signals[name] else wanted + '(...)'}'",
            )
        elif not signals[name]:
            self.to.unchecked(f"arguments of {owner.name}.{wanted}")
        elif wanted not in signals[name]:
            self.to.error(node, f"{owner.name} has no signal {wanted}: it has {', '.join(signals[name])}")
