"""The loggers of this package: all below "MedSAMSlicer", with records that hold nothing of the patient.

A module gets its logger by ``_log = get_logger(__name__)`` and uses it as any other. Messages are built from sizes,
counts, seconds, and keys of models and devices: never from names of nodes, segments or files. Exceptions and paths
among the arguments of a message, and tracebacks, are rewritten before any handler sees them; see `exception_text`.

Nothing is printed unless an application installs a handler: Slicer's root logger writes to the error log, the command
line adds handlers for ``--verbose`` and ``--log``, and inference processes write to standard error, which arrives in
the log of the process that started them; see `child_log`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import PurePath

from .errors import Cancelled, MedSAMError, WorkerError
from .exception_text import LEFT_OUT, describe_exception, summarize_exception

ROOT_LOGGER = "MedSAMSlicer"
RUN_LOGGER = "MedSAMSlicerLib.run"
"""Name for `get_logger`: the logger of what runs, see `serving.run_log`."""
REPEAT_SECONDS = 10.0
_PACKAGE = __name__.partition(".")[0]
_last_logged = ("", 0.0)
"""The last error, and when it came, in seconds of a clock that never runs backwards."""

# Without a handler Python would print warnings and errors to standard error.
if not logging.getLogger(ROOT_LOGGER).handlers:
    logging.getLogger(ROOT_LOGGER).addHandler(logging.NullHandler())


def get_logger(module: str) -> logging.Logger:
    """The logger of a module of this package.

    Args:
        module: ``__name__``; "MedSAMSlicerLib.engine.stack" gives the logger "MedSAMSlicer.engine.stack".
    """
    logger = logging.getLogger(ROOT_LOGGER + module.removeprefix(_PACKAGE))
    # A package that is imported again brings its own filter.
    logger.filters[:] = [one for one in logger.filters if getattr(one, "name", None) != _PrivacyFilter.NAME]
    logger.addFilter(_PrivacyFilter())
    return logger


def log_error(logger: logging.Logger, error: BaseException, message: str, *arguments: object) -> None:
    """Log an error with its traceback, unless it was logged before or is a `Cancelled`.

    What a user can mend by other input is a warning; anything else is an error. An error that comes again and again,
    for example with every preview while the mouse moves, is
    logged when `REPEAT_SECONDS` have passed without it.

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
    """Rewrites what could hold names of a patient, before handlers of other packages format it."""

    NAME = "MedSAMSlicer privacy"

    def __init__(self) -> None:
        super().__init__(self.NAME)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            record.exc_text = describe_exception(error)
        record.exc_info = record.stack_info = None
        if isinstance(record.args, Mapping):
            record.args = {name: _without_names(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_without_names, record.args))
        return True


def _without_names(value: object) -> object:
    if isinstance(value, BaseException):
        return summarize_exception(value)
    return LEFT_OUT if isinstance(value, PurePath) else value
