"""What an expression of product code stands for, as far as can be told without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """Nothing is known: a value of Python's or of the project's own."""


UNKNOWN = Kind()


@dataclass(frozen=True)
class Module(Kind):
    """`qt`, `ctk`, `slicer`, `slicer.util`, `slicer.modules`, `vtk`, ..."""

    name: str


@dataclass(frozen=True)
class QtClass(Kind):
    name: str


@dataclass(frozen=True)
class QtObject(Kind):
    name: str


@dataclass(frozen=True)
class QtMethod(Kind):
    """`owner` is a Qt class's name; `on_class`: asked of the class, not of an object."""

    owner: str
    name: str
    on_class: bool


@dataclass(frozen=True)
class QtSignal(Kind):
    owner: str
    name: str


@dataclass(frozen=True)
class Plain(Kind):
    """A text, number or the like: it has no names of Slicer's and cannot be called."""

    what: str


@dataclass(frozen=True)
class VtkClass(Kind):
    cls: Any


@dataclass(frozen=True)
class VtkObject(Kind):
    """An object of the class or of one of its subclasses."""

    cls: Any


@dataclass(frozen=True)
class VtkMethod(Kind):
    cls: Any
    name: str


@dataclass(frozen=True)
class Function(Kind):
    """A Python function or class of Slicer's: `module` as in slicer_api, such as "slicer.util"."""

    module: str
    name: str


@dataclass(frozen=True)
class Ui(Kind):
    """What slicer.util.childWidgetVariables returns."""


@dataclass(frozen=True)
class Opaque(Kind):
    """Comes from Slicer, but its class is not known. `origin` says from where."""

    origin: str


@dataclass(frozen=True)
class Foreign(Kind):
    """Of a module that is neither Slicer's nor the project's: the standard library, numpy, another extension."""

    origin: str
