"""``--verbose`` and ``--log FILE`` of every subcommand."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..engine.diagnostics.log import ROOT_LOGGER, get_logger
from ..engine.errors import InputError
from ..io.output_files import cannot_write

LOG_ENDINGS = (".log", ".txt")
"""The log is appended to an existing file: these endings keep it out of images."""
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_HANDLER_NAME = "medsam-slicer"
_log = get_logger(__name__)


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Add both options. A command and its actions may both have them."""
    parser.add_argument(
        "--verbose", action="store_true", default=argparse.SUPPRESS, help="print the log on standard error"
    )
    parser.add_argument(
        "--log",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="add the log to FILE (.log or .txt); it holds no names of files, images or segments",
    )


@contextmanager
def logging_to(verbose: bool, file: str | None, inputs: Iterable[str | None] = ()) -> Iterator[None]:
    """Log what is done within the context, beginning with the versions.

    Args:
        verbose: whether to print the log on standard error.
        file: file to append the log to; None: no file.
        inputs: files that the command reads, which the log must not be appended to.

    Raises:
        InputError: the file is an input, or cannot be written. Raised at the end of the context if writing fails only
            then.
    """
    for source in filter(None, inputs):
        if file is not None and os.path.exists(file) and os.path.exists(source) and os.path.samefile(file, source):
            raise InputError(f"--log {file} is the same file as the input {source}: choose another name")
    log_file = start_logging(verbose, file)
    try:
        if verbose or log_file is not None:
            from ..engine.diagnostics.details import environment_lines

            for line in environment_lines():
                _log.info("%s", line)
        _check(log_file)
        yield
        _check(log_file)
    finally:
        stop_logging()


def start_logging(verbose: bool, file: str | None) -> LogFile | None:
    """Print the log of this process, or append it to a file, which several processes may share.

    Without `verbose`, standard error shows warnings only, and no tracebacks.

    Raises:
        InputError: the file has another ending, or cannot be opened.
    """
    root = logging.getLogger(ROOT_LOGGER)
    log_file = None if file is None else _open(Path(file))
    terminal = logging.StreamHandler(sys.stderr)
    if verbose:
        terminal.setFormatter(logging.Formatter(_FORMAT))
    else:
        terminal.setLevel(logging.WARNING)
        terminal.addFilter(lambda record: not record.exc_text)
    handlers: list[logging.Handler] = [terminal] if log_file is None else [terminal, log_file]
    for handler in handlers:
        handler.set_name(_HANDLER_NAME)
        root.addHandler(handler)
    if verbose or log_file is not None:
        root.setLevel(logging.DEBUG)
    return log_file


def stop_logging() -> None:
    """Remove the handlers of `start_logging`."""
    root = logging.getLogger(ROOT_LOGGER)
    for handler in [handler for handler in root.handlers if handler.get_name() == _HANDLER_NAME]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.NOTSET)


class LogFile(logging.FileHandler):
    """Appends records to a file.

    Attributes:
        failure: the error that stopped writing; None if there was none.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "a", "utf-8")
        self.path = path
        self.failure: OSError | None = None
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        if self.failure is None:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.failure = error
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            # Closing tries once more to write what is left in the buffer.
            self.failure = self.failure or error


def _open(path: Path) -> LogFile:
    if not path.name.lower().endswith(LOG_ENDINGS):
        raise InputError(f"--log {path} has another ending than {' or '.join(LOG_ENDINGS)}: choose another name")
    try:
        return LogFile(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def _check(log_file: LogFile | None) -> None:
    if log_file is not None and log_file.failure is not None:
        raise cannot_write(log_file.path, log_file.failure) from log_file.failure
