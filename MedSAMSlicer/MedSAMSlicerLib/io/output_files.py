"""Output files: checked before the computation, and written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..engine.atomic_files import flush_to_disk, replace_atomically
from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError

Writer = Callable[[Path], object]

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_log = get_logger(__name__)


def check_output(path: Path | str, inputs: Iterable[Path | str], endings: tuple[str, ...]) -> None:
    """Check, before a long computation, that an output can be written and replaces no input.

    Args:
        path: file that will be written; it may exist.
        inputs: files and DICOM folders that are read.
        endings: endings that `path` may have.

    Raises:
        InputError: `path` has another ending, is a folder, is write-protected, is also an input, lies in a folder that
            is read or below it, or its folder is missing or not writable.
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
            # DICOM folders are read with all folders in them.
            if source.is_dir() and any(parent.samefile(source) for parent in (folder, *folder.parents)):
                raise InputError(f"{path} lies in the folder that is read ({source}): choose another folder")
            if path.exists() and source.exists() and path.samefile(source):
                raise InputError(f"{path} is the same file as the input {source}: choose another name")
        if path.exists() and not os.access(path, os.W_OK):
            raise InputError(f"{path} is write-protected: choose another name")
        # Permissions are not reliable on network disks and for administrators: create a nameless file.
        with tempfile.TemporaryFile(dir=folder):
            _log.debug("the folder of an output is writable")
    except OSError as error:
        raise cannot_write(path, error) from error


def with_suffix(path: str, suffix: str) -> str:
    """The path with `suffix` before its ending: "tumour.seg.nrrd" and "_1" become "tumour_1.seg.nrrd"."""
    folder, name = os.path.split(path)
    lower = name.lower()
    length = next((len(ending) for ending in (".seg.nrrd", ".nii.gz") if lower.endswith(ending)), 0)
    stem = name[:-length] if length else os.path.splitext(name)[0]
    return os.path.join(folder, stem + suffix + name[len(stem) :])


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
        for path, writer in files.items():
            stack.enter_context(_reported_for(path))
            # Every file is on the disk before the first one gets its name.
            temporary = stack.enter_context(replace_atomically(Path(path), flush=False))
            with _reported_for(path):
                _call(writer, temporary, path)
                flush_to_disk(temporary)


def write_atomically(path: Path | str, writer: Writer) -> None:
    """Write a file, whole or not at all; see `replace_atomically`.

    Args:
        path: file to write. An existing file is unchanged if writing fails.
        writer: creates the file at the path that it is given, which has the extension of `path`.

    Raises:
        InputError: an OSError, such as a full disk or a folder that is not writable. Other exceptions pass through.
    """
    write_together({str(path): writer})


def _call(writer: Writer, temporary: Path, path: str) -> None:
    try:
        writer(temporary)
    except InputError as error:  # the writer knows only the name of the temporary file
        raise InputError(str(error).replace(str(temporary), path)) from error


@contextmanager
def _reported_for(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(Path(path), error) from error


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
