"""What a report of a problem needs: versions, computer, settings, the last run and the last error.

The text is made for pasting into a public forum. It is put together from the log, which holds nothing of the patient,
and from keys, numbers and versions.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from .. import __version__
from .log import ROOT_LOGGER, RUN_LOGGER, get_logger

PACKAGES = ("numpy", "scipy", "torch", "torchvision", "openvino", "segment-anything", "SimpleITK", "pydicom")
_MOST_RECORDS = 20
_HANDLER_NAME = "MedSAMSlicer recent events"


class RecentEvents(logging.Handler):
    """Keeps what of the log goes into the details: the last run, the last error, the last records.

    Attributes:
        run: the last two records of a run, its beginning and its end.
        error: the last error or traceback; '' before the first one.
        lines: the last records, each in one line.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.set_name(_HANDLER_NAME)
        self.run: deque[str] = deque(maxlen=2)
        self.error = ""
        self.lines: deque[str] = deque(maxlen=_MOST_RECORDS)
        self._run_logger = get_logger(RUN_LOGGER).name

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname} {record.getMessage()}"
        self.lines.append(line)
        if record.levelno >= logging.ERROR or record.exc_text:
            self.error = f"{line}\n{record.exc_text}" if record.exc_text else line
        elif record.name == self._run_logger:
            self.run.append(line)


def record_events() -> RecentEvents:
    """Keep the recent events of this process from now on, for `details`. Called again, it returns the same handler."""
    root = logging.getLogger(ROOT_LOGGER)
    if root.level == logging.NOTSET:
        root.setLevel(logging.INFO)
    for handler in list(root.handlers):
        if isinstance(handler, RecentEvents):
            return handler
        if handler.get_name() == _HANDLER_NAME:
            root.removeHandler(handler)  # of a package that was imported before this one
    events = RecentEvents()
    root.addHandler(events)
    return events


def details(settings: Mapping[str, str], application: str = "") -> str:
    """Several lines of text for a report.

    Args:
        settings: the names and values of what is chosen, such as the device. Must hold nothing of the patient.
        application: name and version of the program that runs this package, if one does.
    """
    events = record_events()
    lines = [
        *environment_lines(application),
        *(f"{name}: {value}" for name, value in settings.items()),
        "",
        "Last run:",
        *(events.run or ["none"]),
        "",
        "Last error:",
        *(events.error or "none").splitlines(),
        "",
        "Log:",
        *(events.lines or ["empty"]),
    ]
    return "\n".join(lines) + "\n"


def environment_lines(application: str = "") -> list[str]:
    """Versions, operating system and processor, one line each."""
    return [
        f"MedSAMSlicer {__version__}{f' in {application}' if application else ''}",
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}",
        f"Processor: {_processor()}, {os.cpu_count()} cores",
        f"Packages: {', '.join(f'{name} {_version(name)}' for name in PACKAGES)}",
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _processor() -> str:
    """Linux names the processor in a file only."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or "unknown"
    return platform.processor() or "unknown"
