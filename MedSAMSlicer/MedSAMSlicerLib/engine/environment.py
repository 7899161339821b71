"""Environment variables that configure the engine, and the environment of its child processes.

- ``MEDSAM_SLICER_CACHE``: folder for downloads, embeddings and everything else that can be made again.
- ``MEDSAM_SLICER_WEIGHTS``: further folders that are searched for weights, separated as in ``PATH``.
- ``MEDSAM_SLICER_THREADS``: number of computing threads.
- ``MEDSAM_SLICER_EMBEDDINGS_MB``: memory for embeddings of slices, in megabytes.
- ``MEDSAM_SLICER_EMBEDDINGS_DISK_MB``: disk space for embeddings of slices, in megabytes; 0 stores none.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Sequence
from ctypes import wintypes
from pathlib import Path

from .errors import InputError
from .i18n import tr as _

CACHE_VARIABLE = "MEDSAM_SLICER_CACHE"
WEIGHTS_VARIABLE = "MEDSAM_SLICER_WEIGHTS"
THREADS_VARIABLE = "MEDSAM_SLICER_THREADS"
EMBEDDINGS_VARIABLE = "MEDSAM_SLICER_EMBEDDINGS_MB"
EMBEDDINGS_DISK_VARIABLE = "MEDSAM_SLICER_EMBEDDINGS_DISK_MB"

DEFAULT_MODEL = "litemedsam_plus"
"""Key of the model that is used unless another one is chosen."""
NICENESS = 10
"""What `lower_priority` adds on POSIX systems. On Linux, a process at 0 gets nine times the processor time then."""
_BELOW_NORMAL_PRIORITY_CLASS = 0x4000
DEFAULT_EMBEDDINGS_MB = 144
"""Embeddings of 36 slices of LiteMedSAM, so that another prompt in a 3D box of the same 130 slices encodes nothing: every fourth
is predicted there. Together with the 440 MB of a process that runs OpenVINO: less than 600 MB."""
_MMAP_THRESHOLD, _RETURNED_BYTES = -3, 1 << 22
"""glibc's number of the option in ``mallopt``, and from how many bytes on freed memory goes back to the system."""


def cache_folder() -> Path:
    """Folder for weights and downloads: ``$MEDSAM_SLICER_CACHE``, or the user's cache folder. It may not exist yet."""
    import platformdirs

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("medsam-slicer", appauthor=False))


def weights_folders() -> list[Path]:
    """Folders that are searched for weights, in this order: those in ``$MEDSAM_SLICER_WEIGHTS``, then the cache."""
    named = os.environ.get(WEIGHTS_VARIABLE, "")
    return [*(Path(part).expanduser() for part in named.split(os.pathsep) if part), cache_folder() / "weights"]


def embeddings_megabytes() -> int:
    """Memory for embeddings of slices: ``$MEDSAM_SLICER_EMBEDDINGS_MB``, or the default.

    Raises:
        InputError: the variable is not a whole number.
    """
    return _megabytes(EMBEDDINGS_VARIABLE, DEFAULT_EMBEDDINGS_MB)


def embeddings_disk_megabytes() -> int:
    """Disk space for embeddings of slices: ``$MEDSAM_SLICER_EMBEDDINGS_DISK_MB``, or 0 for none.

    Raises:
        InputError: the variable is not a whole number.
    """
    return _megabytes(EMBEDDINGS_DISK_VARIABLE, 0)


def _megabytes(variable: str, default: int) -> int:
    text = os.environ.get(variable, "") or str(default)
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            _("${variable} is {text!r}: set it to a whole number of megabytes, such as {example}").format(
                variable=variable, text=text, example=default or 2000
            )
        )
    return int(text)


def computing_threads() -> int:
    """Number of computing threads: ``$MEDSAM_SLICER_THREADS``, or one for each core that this process may use.

    Raises:
        InputError: the variable is not a whole number above 0.
    """
    text = os.environ.get(THREADS_VARIABLE, "") or str(_cores())
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InputError(
            _("${variable} is {text!r}: set it to a whole number above 0, or to nothing").format(
                variable=THREADS_VARIABLE, text=text
            )
        )
    return int(text)


def share_processor() -> None:
    """Let idle computing threads sleep instead of spin, unless the environment already says otherwise.

    Call this before torch is imported: OpenMP reads the variable once, when it is loaded. If other programs need the
    cores too, spinning threads take time from the threads that they wait for: encoding one slice with LiteMedSAM on
    two contended cores took 12.1 s (median of 8) with spinning and 6.4 s without.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def return_memory() -> None:
    """Give freed memory back to the system at once, on Linux.

    glibc keeps blocks of up to 32 MB for later once such blocks have been freed: 90 MB in an inference process, which nothing uses.
    """
    if sys.platform.startswith("linux"):
        # Other C libraries have no such option.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _RETURNED_BYTES)


def lower_priority() -> None:
    """Let other programs have the processor first, above all the user interface, so that all cores can be used."""
    if sys.platform == "win32":
        kernel32 = ctypes.windll.kernel32
        # Without types, ctypes would cut the handle to 32 bits.
        kernel32.GetCurrentProcess.restype = wintypes.HANDLE
        kernel32.SetPriorityClass.argtypes = [wintypes.HANDLE, wintypes.DWORD]
        kernel32.SetPriorityClass(kernel32.GetCurrentProcess(), _BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(NICENESS)


def child_environment(search: Sequence[Path] = ()) -> dict[str, str]:
    """Environment for a child process that runs Python and imports this package.

    Args:
        search: further folders that the child imports from, searched after the folder of this package.
    """
    environment = dict(os.environ)
    inherited = environment.get("PYTHONPATH")
    paths = [str(Path(__file__).resolve().parents[2]), *map(str, search), *([inherited] if inherited else [])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    # Otherwise Python searches the current folder first, where any json.py would replace the standard library's.
    environment["PYTHONSAFEPATH"] = "1"
    if sys.platform.startswith("linux"):
        # A network takes 80 MB anew for each run: in large pages in half of the 40 ms (glibc 2.35; others ignore it).
        given = environment.get("GLIBC_TUNABLES")
        environment["GLIBC_TUNABLES"] = ":".join(["glibc.malloc.hugetlb=1", *([given] if given else [])])
    return environment


def processor_name() -> str:
    """Name of the processor, such as "AMD EPYC"."""
    try:
        # On Linux `platform.processor` is empty or names the architecture.
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or "unknown"
    return platform.processor() or "unknown"


def _cores() -> int:
    # os.cpu_count() would ignore that a container or a job scheduler limits this process to fewer cores.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
