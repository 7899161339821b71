"""Keeps what C++ libraries print away from the user's terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..engine.log import get_logger

_STDERR = 2
_log = get_logger(__name__)


@contextmanager
def native_messages_logged() -> Iterator[None]:
    """Within it, what native code prints to standard error is only counted, in this module's debug log.

    ITK, MetaIO, niftilib and GDCM print by themselves, next to the exception that they raise; a user is to read one
    line. The descriptor belongs to the whole process: keep the block short.
    """
    try:
        terminal = os.dup(_STDERR)
    except OSError:  # a process without standard error has nothing to keep clean
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
