"""How the engine's processes share the processor."""

from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from MedSAMSlicerLib.engine import environment


def test_all_cores_are_used_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.THREADS_VARIABLE, raising=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert environment.computing_threads() == cores
    monkeypatch.setenv(environment.THREADS_VARIABLE, "3")
    assert environment.computing_threads() == 3


def test_the_priority_is_lowered_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, Any]] = []

    def current() -> int:
        return -1

    def set_class(handle: int, priority: int) -> int:
        given.append((handle, priority))
        return 1

    kernel32 = SimpleNamespace(GetCurrentProcess=current, SetPriorityClass=set_class)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32), raising=False)
    environment.lower_priority()
    assert given == [(-1, 0x4000)]
    assert current.restype is ctypes.c_void_p  # a handle has 64 bits
