"""From an expression to its kind: the one place that knows how Slicer's objects hang together."""

from __future__ import annotations

import ast
from typing import Any

from ..application import LOGICS
from ..facts import APPLICATION
from . import names
from .kinds import (
    UNKNOWN,
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
    Ui,
    VtkClass,
    VtkMethod,
    VtkObject,
)

MODULES = {"qt", "ctk", "slicer", "vtk", "vtkmodules", "qSlicerSegmentationsEditorEffectsPythonQt"}
# Arguments that Slicer hands to methods of an effect or a module; their names are Slicer's custom.
ARGUMENTS: dict[str, Kind] = {
    "scriptedEffect": QtObject("qSlicerSegmentEditorScriptedEffect"),
    "callerInteractor": VtkObject(names.vtk_class("vtkRenderWindowInteractor")),
    "viewWidget": QtObject("qMRMLSliceWidget"),
    "callerViewNode": VtkObject(names.vtk_class("vtkMRMLAbstractViewNode")),
    "ui": Ui(),
    "interactionNode": VtkObject(names.vtk_class("vtkMRMLInteractionNode")),
}
NODE_MAKERS = {"AddNewNodeByClass", "CreateNodeByClass", "GetFirstNodeByClass", "GetNthNodeByClass", "GetSingletonNode"}
# Attributes that product classes get from Slicer's base classes.
INHERITED: dict[str, dict[str, Kind]] = {
    names.PYTHON_EFFECT: {"scriptedEffect": ARGUMENTS["scriptedEffect"]},
    "ScriptedLoadableModuleWidget": {
        "layout": QtObject("QVBoxLayout"),
        "parent": QtObject("qSlicerScriptedLoadableModuleWidget"),
    },
    "ScriptedLoadableModule": {"parent": QtObject("qSlicerScriptedLoadableModule")},
}
ANNOTATED_PLAIN = {"str", "int", "float", "bool", "bytes"}


def of_qt_type(text: str | None) -> Kind:
    """Kind of a type as the lists write it: `PythonQt.QtGui.QWidget`, `QString`, `str`, ..."""
    if not text:
        return UNKNOWN
    name = text.replace("*", "").rsplit(".", 1)[-1].strip()
    if names.qt_facts(name) is not None:
        return QtObject(name)
    if name in ("str", "int", "float", "bool", "QString", "double", "uint"):
        return Plain(name)
    return UNKNOWN


def attribute(base: Kind, name: str) -> Kind:
    """Kind of `base.name`; whether the name exists is for the checker."""
    if isinstance(base, Module):
        return _of_module(base.name, name)
    if isinstance(base, QtClass | QtObject):
        return _of_qt(base, name)
    if isinstance(base, QtSignal):
        return UNKNOWN
    if isinstance(base, VtkObject | VtkClass):
        member = getattr(base.cls, name, None)
        if isinstance(member, type):
            return UNKNOWN
        return VtkMethod(base.cls, name) if callable(member) else UNKNOWN
    if isinstance(base, Opaque | Foreign):
        return type(base)(f"{base.origin}.{name}")
    return UNKNOWN


def _of_module(module: str, name: str) -> Kind:
    if module == "slicer":
        if name == "app":
            return QtObject(APPLICATION)
        if name == "mrmlScene":
            return VtkObject(names.vtk_class("vtkMRMLScene"))
        if name in names.SLICER_NAMES:
            return Module(f"slicer.{name}")
    if module == "slicer.modules":
        return Module(f"slicer.modules.{name}")
    if module.startswith("slicer.modules."):
        return Opaque(f"{module}.{name}")
    if module in ("slicer", "vtk") or module.startswith("vtkmodules"):
        cls = names.vtk_class(name)
        if cls is not None:
            return VtkClass(cls)
    if names.python_module(module) and (name in names.python_names(module) or module == "slicer.util"):
        return Function(module, name)
    if module in MODULES and names.qt_facts(name) is not None:
        return QtClass(name)
    return UNKNOWN


def _of_qt(base: QtClass | QtObject, name: str) -> Kind:
    facts = names.qt_facts(base.name)
    name = names.SPELLED.get(name, name)
    if facts is None:
        return UNKNOWN
    if name in facts.methods:
        return QtMethod(base.name, name, isinstance(base, QtClass))
    if name in facts.signals:
        return QtSignal(base.name, name)
    if name in facts.properties:
        kind = of_qt_type(facts.properties[name].kind)
        return kind if isinstance(kind, QtObject) else Plain(f"property '{name}'")
    return Plain(f"number '{name}'") if name in facts.enumerators else UNKNOWN


def result(function: Kind, call: ast.Call) -> Kind:
    """Kind of what a call returns."""
    if isinstance(function, QtClass):
        return QtObject(function.name)
    if isinstance(function, VtkClass):
        return VtkObject(function.cls)
    if isinstance(function, QtMethod):
        return _of_qt_call(function)
    if isinstance(function, VtkMethod):
        return _of_vtk_call(function, call)
    if isinstance(function, Function):
        return _of_function(function)
    if isinstance(function, Opaque):
        return _of_opaque(function)
    return Foreign(function.origin) if isinstance(function, Foreign) else UNKNOWN


def _of_qt_call(method: QtMethod) -> Kind:
    if method.name in names.RETURNS:
        return VtkObject(names.vtk_class(names.RETURNS[method.name]))
    facts = names.qt_facts(method.owner)
    kind = of_qt_type(facts.methods[method.name].returns if facts else None)
    return kind if kind is not UNKNOWN else Opaque(f"{method.owner}.{method.name}()")


def _of_vtk_call(method: VtkMethod, call: ast.Call) -> Kind:
    literal = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    if method.name in NODE_MAKERS:
        for text in literal:
            if isinstance(text, str) and text.startswith("vtk") and names.vtk_class(text) is not None:
                return VtkObject(names.vtk_class(text))
    if method.name in ("NewInstance", "SafeDownCast"):
        return VtkObject(method.cls)
    returned = names.vtk_return(method.cls, method.name)
    return VtkObject(returned) if returned is not None else UNKNOWN


def _of_function(function: Function) -> Kind:
    if function.name in names.UTIL_RETURNS:
        return VtkObject(names.vtk_class(names.UTIL_RETURNS[function.name]))
    if function.name in names.QT_RETURNS:
        return QtObject(names.QT_RETURNS[function.name])
    return Ui() if function.name == "childWidgetVariables" else UNKNOWN


def _of_opaque(function: Opaque) -> Kind:
    parts = function.origin.split(".")
    if parts[:2] == ["slicer", "modules"] and parts[-1] == "logic" and parts[2] in LOGICS:
        return VtkObject(names.vtk_class(LOGICS[parts[2]]))
    if parts[:2] == ["slicer", "modules"] and parts[-1] == "widgetRepresentation":
        return QtObject("qSlicerAbstractModuleWidget")
    return Opaque(function.origin + "()")


def of_annotation(node: ast.expr | None, environment: Any) -> Kind:
    """Kind that an annotation promises: `qt.QLabel`, `slicer.vtkMRMLNode | None`, `str`, `"qt.QLabel"`."""
    if node is None:
        return UNKNOWN
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return of_annotation(ast.parse(node.value, mode="eval").body, environment)
        except SyntaxError:
            return UNKNOWN
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [of_annotation(side, environment) for side in (node.left, node.right)]
        kinds = [side for side in sides if side is not UNKNOWN]
        return kinds[0] if len(kinds) == 1 and ast.unparse(node.right) == "None" else UNKNOWN
    if isinstance(node, ast.Name) and node.id in ANNOTATED_PLAIN:
        return UNKNOWN
    kind = environment(node)
    if isinstance(kind, QtClass):
        return QtObject(kind.name)
    return VtkObject(kind.cls) if isinstance(kind, VtkClass) else UNKNOWN
