"""How the engine's processes share the processor."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from subprocess import PIPE
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library of Linux")
def test_freed_memory_goes_back_to_the_system() -> None:
    """Small blocks between large ones hold what is freed, unless large ones are apart from the heap."""
    script = """
import sys
import numpy as np
from MedSAMSlicerLib.engine.environment import return_memory

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

if sys.argv[1] == "return":
    return_memory()
for _ in range(2):
    before, large, small = used(), [], []
    for _ in range(16):
        large.append(np.ones(6 << 17))
        small.append(np.ones(1 << 10))
    del large
print((used() - before) >> 20)
"""
    path = os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH")]))
    environ = {**os.environ, "PYTHONPATH": path}
    left = {
        how: int(subprocess.run([sys.executable, "-c", script, how], env=environ, stdout=PIPE, check=True).stdout)
        for how in ("keep", "return")
    }
    assert left["return"] <= 2, left


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


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_child_processes_take_large_pages_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert environment.child_environment()["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    # The last one counts.
    assert environment.child_environment()["GLIBC_TUNABLES"].endswith(":glibc.malloc.hugetlb=0")
