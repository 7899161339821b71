"""PySide6 with PythonQt's manners: properties are attributes, and `connect` takes a signal's signature."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets


class Shown:
    """A QObject as PythonQt shows it."""

    def __init__(self, real: QtCore.QObject) -> None:
        object.__setattr__(self, "real", real)

    def __getattr__(self, name: str) -> Any:
        if self.real.metaObject().indexOfProperty(name) >= 0:
            return shown(self.real.property(name))
        found = getattr(self.real, name)
        return _method(found) if callable(found) else shown(found)

    def __setattr__(self, name: str, value: Any) -> None:
        if not self.real.setProperty(name, plain(value)):
            raise AttributeError(f"{self.real.metaObject().className()} has no property '{name}' to set")

    def connect(self, signal: str, slot: Callable[..., Any]) -> bool:
        name, arguments = signal.rstrip(")").split("(")
        count = len(arguments.split(",")) if arguments else 0
        getattr(self.real, name).connect(lambda *values: slot(*map(shown, values[:count])))
        return True


def shown(value: Any) -> Any:
    return Shown(value) if isinstance(value, QtCore.QObject) else value


def plain(value: Any) -> Any:
    return value.real if isinstance(value, Shown) else value


def _method(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: shown(real(*map(plain, arguments)))


class _Class:
    """A class of Qt: makes objects, and has the enumerators and static methods."""

    def __init__(self, real: type) -> None:
        self.real = real

    def __call__(self, *arguments: Any) -> Any:
        return shown(self.real(*map(plain, arguments)))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        return found if isinstance(found, type) or not callable(found) else _method(found)


def qt_module() -> ModuleType:
    """The module `qt`."""
    module = ModuleType("qt")

    def missing(name: str) -> _Class:
        for part in (QtWidgets, QtGui, QtCore):
            if hasattr(part, name):
                return _Class(getattr(part, name))
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    module.__dict__["__getattr__"] = missing
    return module
