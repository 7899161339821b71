"""Several files that belong together: named apart before the work, and written all or none after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from ..engine.errors import InputError
from .output_files import filled_beside

Writer = Callable[[Path], object]


def check_apart(outputs: Mapping[str, Path | str | None]) -> None:
    """Refuse two outputs that are one file.

    Args:
        outputs: option of the command line -> what it names; None where it was not given.

    Raises:
        InputError: two options name the same file, be it by another way to it.
    """
    named = [(option, Path(path)) for option, path in outputs.items() if path]
    for number, (option, path) in enumerate(named):
        for earlier, other in named[:number]:
            if path.resolve() == other.resolve():
                raise InputError(f"{earlier} and {option} name the same file, {path}: give each its own")


def write_together(files: Mapping[str, Writer]) -> None:
    """Fill and store every file beside its place before the first one is put there, so that all appear or none.

    Args:
        files: path -> writer, called in this order with a path to write to (see `write_atomically`).

    Raises:
        InputError: one of them could not be written; the message names its path, and all are as they were.
    """
    with ExitStack() as stack:
        for put in [stack.enter_context(filled_beside(path, _named(path, writer))) for path, writer in files.items()]:
            put()


def _named(path: str, writer: Writer) -> Writer:
    def write(temporary: Path) -> None:
        try:
            writer(temporary)
        except InputError as error:  # the writer knows the temporary name only
            raise InputError(str(error).replace(str(temporary), path)) from error

    return write
