"""The pytest fixture. `pytest_plugins = ["host.fixture"]` in a test file makes it known."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

import pytest
import slicer
import slicer.util

from . import slicer_python
from .application import Host, replaced_modules, slicer_classes
from .signals import escaped

REPLACED = frozenset(replaced_modules())
# Functions of slicer.util that would change this computer.
UTIL = {"pip_install": slicer_python.pip_install}


@pytest.fixture
def host() -> Iterator[Host]:
    """A running application, gone after the test without a trace. Exceptions that left a slot or an observer fail it."""
    modules_before, names_before, path_before = dict(sys.modules), dict(vars(slicer)), list(sys.path)
    util_before = {name: getattr(slicer.util, name) for name in UTIL}
    replaced = replaced_modules()
    running = Host()
    hook = sys.excepthook
    try:
        sys.excepthook = _observer_failed
        sys.modules.update(replaced)
        for name in replaced:
            if name.startswith("slicer."):
                setattr(slicer, name.removeprefix("slicer."), replaced[name])
        slicer.__getattr__ = slicer_classes()
        for name, function in UTIL.items():
            setattr(slicer.util, name, function)
        running.start()
        yield running
        left = list(running.escaped)
    finally:
        running.stop()
        sys.excepthook = hook
        for name, function in util_before.items():
            setattr(slicer.util, name, function)
        for name in set(vars(slicer)) - set(names_before):
            delattr(slicer, name)
        vars(slicer).update(names_before)
        for name in [name for name in sys.modules if _belongs_to_the_host(name)]:
            if name not in modules_before:
                _forget(name)
            elif sys.modules[name] is not modules_before[name]:
                sys.modules[name] = modules_before[name]
        sys.path[:] = path_before
    if left:
        raise AssertionError(f"{len(left)} exceptions left a slot; in Slicer they would be printed only") from left[0]


def _observer_failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """VTK prints what leaves an observer, and goes on."""
    escaped.append(error)
    traceback.print_exception(kind, error, trace)


def _forget(name: str) -> None:
    module = sys.modules.pop(name)
    parent, _, child = name.rpartition(".")
    if parent in sys.modules and getattr(sys.modules[parent], child, None) is module:
        delattr(sys.modules[parent], child)


def _belongs_to_the_host(name: str) -> bool:
    """Modules that the host put there, and those of the extension, which hold on to them."""
    return name in REPLACED or name == "MedSAMSlicer" or name.split(".")[0] == "MedSAMSlicerLib"
