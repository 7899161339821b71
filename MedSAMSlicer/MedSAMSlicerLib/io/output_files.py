"""Output files: checked before the computation, and written whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..engine.errors import InputError

Writer = Callable[[Path], object]

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
# Enough of the name to keep any ending; the whole of it could make the temporary name too long for the disk.
_KEPT_OF_NAME = 24
_log = logging.getLogger(__name__)


def check_output(path: Path | str, inputs: Iterable[Path | str], endings: tuple[str, ...]) -> None:
    """Check, before a long computation, that an output can be written and replaces no input.

    Args:
        path: file that will be written; it may exist.
        inputs: files and DICOM folders that are read.
        endings: endings that `path` may have.

    Raises:
        InputError: `path` has another ending, is a folder, is write-protected, is also an input, lies in a folder that
            is read, or its folder is missing or not writable.
    """
    path = Path(path)
    if not path.name.lower().endswith(endings):
        raise InputError(f"{path} has an ending that is not known for this output: use {', '.join(endings)}")
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: give the name of a file")
        folder = path.resolve().parent
        if not folder.is_dir():
            raise InputError(f"{folder}, the folder of {path.name}, does not exist: create it or choose another folder")
        for source in map(Path, inputs):
            if source.is_dir() and folder.samefile(source):
                raise InputError(f"{path} lies in the folder that is read ({source}): choose another folder")
            if path.exists() and source.exists() and path.samefile(source):
                raise InputError(f"{path} is the same file as the input {source}: choose another name")
        if path.exists() and not os.access(path, os.W_OK):
            raise InputError(f"{path} is write-protected: choose another name")
        # Permissions are not reliable on network disks and for administrators: create a nameless file.
        with tempfile.TemporaryFile(dir=folder):
            _log.debug("%s is writable", folder)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_apart(outputs: Mapping[str, Path | str | None]) -> None:
    """Check that no two outputs are the same file.

    Args:
        outputs: option of the command line -> its path, or None if the option is not given.

    Raises:
        InputError: two options name the same file, also by different paths to it.
    """
    named = [(option, Path(path)) for option, path in outputs.items() if path]
    for number, (option, path) in enumerate(named):
        for earlier, other in named[:number]:
            if path.resolve() == other.resolve():
                raise InputError(f"{earlier} and {option} name the same file, {path}: give each its own")


def write_together(files: Mapping[str, Writer]) -> None:
    """Write several files, all or none: temporary files are complete before the first one gets its final name.

    Args:
        files: path -> writer, called in this order with the path of a temporary file (see `write_atomically`).

    Raises:
        InputError: a file cannot be written; the message names its path, and all existing files are unchanged.
    """
    with ExitStack() as stack:
        for put in [stack.enter_context(filled_beside(path, _named(path, writer))) for path, writer in files.items()]:
            put()


def _named(path: str, writer: Writer) -> Writer:
    def write(temporary: Path) -> None:
        try:
            writer(temporary)
        except InputError as error:  # the writer knows only the name of the temporary file
            raise InputError(str(error).replace(str(temporary), path)) from error

    return write


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
