"""Carries the log of a child process to its parent, through standard error.

The child writes each record as one line, ``LEVEL:logger:text``, with line breaks in the text escaped. The parent logs
each line with its level and logger. Other lines, which libraries print, are logged as warnings, without paths.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from io import BufferedReader, BufferedWriter

from .exception_text import without_paths
from .log import ROOT_LOGGER, get_logger

_RECORD = re.compile(rf"(?P<level>DEBUG|INFO|WARNING|ERROR):(?P<logger>{ROOT_LOGGER}[\w.]*):(?P<text>.*)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\([\\nr])")
_MAX_LINE_BYTES = 1 << 16
_MAX_CHARACTERS = 1000
"""Characters that are kept of a line that is not a record."""


def claim_standard_streams() -> tuple[BufferedReader, BufferedWriter]:
    """Reserve standard input and output of this process for messages to and from the parent.

    Afterwards everything that Python code or compiled libraries print goes to standard error, and so into the parent's
    log. They find standard input empty.

    Returns:
        Streams of the former standard input and standard output.
    """
    received, sent = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return open(received, "rb"), open(sent, "wb")


def log_to_stderr() -> None:
    """Write this process's records of level INFO and above to standard error, for the parent to read."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter("%(levelname)s:%(name)s:%(message)s"))
    root = logging.getLogger(ROOT_LOGGER)
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    root.propagate = False


def is_log_line(line: str) -> bool:
    """Whether a line of standard error is a log record."""
    return _RECORD.fullmatch(line) is not None


class ChildLog:
    """Logs the standard error of one child process.

    Args:
        module: ``__name__`` of the caller, whose logger gets the lines that are not records.
        source: name of the process in the log.
    """

    def __init__(self, module: str, source: str) -> None:
        self._log, self._source = get_logger(module), source
        self._incomplete = b""

    def feed(self, data: bytes) -> None:
        """Log the lines that `data` completes; an incomplete line waits for its rest."""
        *lines, self._incomplete = (self._incomplete + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._incomplete) > _MAX_LINE_BYTES:
            self.close()

    def close(self) -> None:
        """Log the incomplete line that is left when the process has ended."""
        line, self._incomplete = self._incomplete, b""
        self._take(line)

    def _take(self, data: bytes) -> None:
        line = data.decode("utf-8", "replace").rstrip()
        found = _RECORD.fullmatch(line)
        if found is not None:
            _log_again(found["level"], found["logger"], found["text"])
        elif line:
            self._log.warning("%s: %s", self._source, without_paths(line[:_MAX_CHARACTERS]))


def _log_again(level: str, name: str, text: str) -> None:
    unescaped = _ESCAPED.sub(lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text)
    message, _, details = unescaped.partition("\n")
    logger = logging.getLogger(name)
    number = getattr(logging, level)
    if logger.isEnabledFor(number):
        record = logger.makeRecord(name, number, "(child process)", 0, message, (), None)
        record.exc_text = details or None
        logger.handle(record)


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "".join(_ESCAPES.get(character, character) for character in super().format(record))
