"""Files and folders that are replaced as a whole: a reader finds the old content or the new one, never a part.

No maintained package does this for a *path*: ``atomicwrites`` has been archived by its author, and others hand out an
open file, which SimpleITK, matplotlib and OpenVINO cannot write to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

PART_PREFIX = ".part-"
"""Names of temporary files and folders begin with it."""
ABANDONED_SECONDS = 3600.0
"""A temporary file that has not been written to for so long belongs to a process that died."""
# The end of the name keeps any file extension; the whole name could exceed the limit of the file system.
_KEPT_CHARACTERS = 24


@contextlib.contextmanager
def replace_atomically(path: Path, flush: bool = True) -> Iterator[Path]:
    """Replace a file or a folder in one step when the block ends, or leave it as it is if the block raises.

    Whatever the block raises, Ctrl-C included, what it wrote is removed.

    Args:
        path: what to replace. The target of a symbolic link is replaced, not the link. A folder that is not empty
            cannot be replaced: this raises an OSError.
        flush: store the new content on the disk before it gets its name, so that it survives a power failure.

    Yields:
        Path of the temporary file or folder, which the block creates. It lies beside `path` and has its extension.

    Raises:
        OSError: the temporary file does not exist when the block ends, or cannot be stored or renamed.
    """
    target = path.resolve()
    temporary = target.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}-{target.name[-_KEPT_CHARACTERS:]}")
    try:
        yield temporary
        if flush:
            flush_to_disk(temporary)
        os.replace(temporary, target)
    finally:
        _remove(temporary)


def flush_to_disk(path: Path) -> None:
    """Store a file, or all files of a folder, on the disk now. Network disks report only here that they are full."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if not file.is_dir():
            descriptor = os.open(file, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` that were left by processes that died."""
    for part in folder.glob(f"{PART_PREFIX}*"):
        # Another process may remove it at the same time, or have it open, which on Windows keeps it from being removed.
        with contextlib.suppress(OSError):
            written = max(path.stat().st_mtime for path in (part, *part.rglob("*")))
            if time.time() - written > ABANDONED_SECONDS:
                _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
