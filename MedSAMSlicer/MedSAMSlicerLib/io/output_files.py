"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..engine.errors import InputError

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
# Enough of the name to keep any ending; the whole of it could make the temporary name too long for the disk.
_KEPT_OF_NAME = 24


def write_atomically(path: Path | str, writer: Callable[[Path], object]) -> None:
    """Let `writer` fill a temporary file beside `path`, then put it in the place of `path` in one step.

    The temporary file has the ending of `path`. Whatever goes wrong, Ctrl-C included, the temporary file is removed
    and what was at `path` stays as it was. A link is followed: the file that it points to is replaced.

    Args:
        path: file to write.
        writer: is given the temporary path, which does not exist yet, and must create it; what it returns is ignored.

    Raises:
        InputError: the disk is full, the folder not writable, or any other OSError; other exceptions pass through.
    """
    with filled_beside(path, writer) as put:
        put()


@contextmanager
def filled_beside(path: Path | str, writer: Callable[[Path], object]) -> Iterator[Callable[[], None]]:
    """`write_atomically` in two steps: the temporary file is stored on entry, and gone again on exit.

    Args:
        path, writer: as for `write_atomically`.

    Yields:
        What puts the temporary file in the place of `path`.

    Raises:
        InputError: as `write_atomically`, at either step.
    """
    path = Path(path)
    with _told_of(path):
        target = path.resolve()
        temporary = target.with_name(f".{secrets.token_hex(8)}-{target.name[-_KEPT_OF_NAME:]}")

    def put() -> None:
        with _told_of(path):
            os.replace(temporary, target)

    try:
        with _told_of(path):
            writer(temporary)
            _flush(temporary)
        yield put
    finally:
        with _told_of(path):
            temporary.unlink(missing_ok=True)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> InputError:
    """The line that a user reads when `path` could not be written because of `error`."""
    if error.errno in _NO_ROOM:
        return InputError(f"{path} was not written: the disk is full; free some space or choose another folder")
    # Some file systems (/proc, network disks) say that a file they will not make does not exist.
    missing = error.errno == errno.ENOENT
    if missing and not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        return InputError(f"{path} was not written: its folder does not exist; create it or choose another folder")
    if missing or error.errno in _NOT_ALLOWED:
        return InputError(f"{path} was not written: its folder is not writable; choose another folder")
    return InputError(f"{path} was not written ({error.strerror or error}): choose another path")


def _flush(path: Path) -> None:
    """Have the system store the file now: network disks report that they are full only here."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
