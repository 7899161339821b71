"""The loggers of this package, all below "MedSAMSlicer"; their records hold nothing of the patient.

A module calls ``_log = get_logger(__name__)`` and uses the logger as any other. Messages hold sizes, counts, seconds, and
keys of models and devices, never names of nodes, segments or files. Tracebacks, and exceptions and paths among the
arguments of a message, are rewritten before any handler sees the record; see `exception_text`.

Nothing is printed unless an application installs a handler: Slicer's root logger writes to the error log, the command
line adds handlers for ``--verbose`` and ``--log``, and child processes write to standard error, which arrives in the log
of their parent; see `child_log`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import PurePath

from ..errors import Cancelled, MedSAMError, WorkerError
from .exception_text import LEFT_OUT, describe_exception, summarize_exception, without_folders

ROOT_LOGGER = "MedSAMSlicer"
RUN_LOGGER = "MedSAMSlicerLib.run"
"""Name for `get_logger`: the logger of what runs, see `serving.run_log`."""
REPEAT_SECONDS = 10.0
_PACKAGE = __name__.partition(".")[0]
_last_logged = ("", 0.0)
"""Text of the last error, and the monotonic time of its last occurrence in seconds."""

# Without a handler Python would print warnings and errors to standard error.
if not logging.getLogger(ROOT_LOGGER).handlers:
    logging.getLogger(ROOT_LOGGER).addHandler(logging.NullHandler())


def get_logger(module: str) -> logging.Logger:
    """The logger of a module of this package.

    Args:
        module: ``__name__``; "MedSAMSlicerLib.engine.stack" gives the logger "MedSAMSlicer.engine.stack".
    """
    logger = logging.getLogger(ROOT_LOGGER + module.removeprefix(_PACKAGE))
    # A second import of this package replaces the filter of the first one.
    logger.filters[:] = [one for one in logger.filters if getattr(one, "name", None) != _PrivacyFilter.NAME]
    logger.addFilter(_PrivacyFilter())
    return logger


def log_error(logger: logging.Logger, error: BaseException, message: str, *arguments: object) -> None:
    """Log an error with its traceback, unless it was logged before or is a `Cancelled`.

    Errors that other input avoids are logged as warnings, all others as errors. An error that repeats, for example with
    every preview while the mouse moves, is logged again only after `REPEAT_SECONDS` without it.

    Args:
        message, arguments: what failed, as for `logging.Logger.log`.
    """
    level = logging.ERROR
    if isinstance(error, MedSAMError):
        if error.logged or isinstance(error, Cancelled):
            return
        error.logged = True
        if not isinstance(error, WorkerError):
            level = logging.WARNING
    if not _is_repetition(message % arguments, error):
        logger.log(level, message, *arguments, exc_info=error)


def _is_repetition(message: str, error: BaseException) -> bool:
    global _last_logged
    before, _last_logged = _last_logged, (f"{message}\n{describe_exception(error)}", time.monotonic())
    return before[0] == _last_logged[0] and _last_logged[1] - before[1] < REPEAT_SECONDS


class _PrivacyFilter(logging.Filter):
    """Rewrites the parts of a record that may hold names, before handlers of other packages format it."""

    NAME = "MedSAMSlicer privacy"

    def __init__(self) -> None:
        super().__init__(self.NAME)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            record.exc_text = describe_exception(error)
        record.exc_info = record.stack_info = None
        # Slicer's log shows it, and the package may lie in a folder that is named after its user.
        record.pathname = without_folders(record.pathname)
        if isinstance(record.args, Mapping):
            record.args = {name: _without_names(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_without_names, record.args))
        return True


def _without_names(value: object) -> object:
    if isinstance(value, BaseException):
        return summarize_exception(value)
    return LEFT_OUT if isinstance(value, PurePath) else value
