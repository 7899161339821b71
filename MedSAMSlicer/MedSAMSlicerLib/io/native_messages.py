"""Keeps the output of C++ libraries off the terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..engine.diagnostics.log import get_logger

_STDERR = 2
_log = get_logger(__name__)


@contextmanager
def native_messages_logged() -> Iterator[None]:
    """Capture what native code prints to standard error in the body; only the number of lines is logged.

    ITK, MetaIO, niftilib and GDCM print in addition to raising an exception, but an error is one line. The file
    descriptor belongs to the whole process: keep the body short.
    """
    try:
        terminal = os.dup(_STDERR)
    except OSError:  # the process has no standard error
        yield
        return
    with tempfile.TemporaryFile() as kept:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(kept.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(terminal, _STDERR)
            os.close(terminal)
            kept.seek(0)
            # Their texts name files, and may quote what is in them.
            if lines := kept.read().splitlines():
                _log.debug("native code printed %d lines", len(lines))
