"""Details for a problem report: versions, computer, settings, the last run and the last error.

Users paste them into a public forum. They consist of log records, which hold nothing of the patient, and of keys,
numbers and versions.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import time
from collections import deque
from collections.abc import Mapping

from ... import __version__
from ..environment import processor_name
from .log import ROOT_LOGGER, RUN_LOGGER, get_logger

PACKAGES = ("numpy", "scipy", "torch", "torchvision", "openvino", "segment-anything", "SimpleITK", "pydicom")
_MAX_RECORDS = 20
_HANDLER_NAME = "MedSAMSlicer recent events"


class RecentEvents(logging.Handler):
    """Keeps the log records that go into the details: the last run, the last error, the last records.

    Attributes:
        run: the last two records of runs, usually the beginning and the end of one run.
        error: the last error or traceback; '' before the first one.
        lines: the last records, each in one line.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.set_name(_HANDLER_NAME)
        self.run: deque[str] = deque(maxlen=2)
        self.error = ""
        self.lines: deque[str] = deque(maxlen=_MAX_RECORDS)
        self._run_logger = get_logger(RUN_LOGGER).name

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname} {record.getMessage()}"
        self.lines.append(line)
        if record.levelno >= logging.ERROR or record.exc_text:
            self.error = f"{line}\n{record.exc_text}" if record.exc_text else line
        elif record.name == self._run_logger:
            self.run.append(line)


def record_events() -> RecentEvents:
    """Start to keep the recent events of this process for `details`; further calls return the same handler.

    Records of level INFO and above are then passed to the application's handlers too, unless another level was set.
    """
    root = logging.getLogger(ROOT_LOGGER)
    if root.level == logging.NOTSET:
        root.setLevel(logging.INFO)
    for handler in list(root.handlers):
        if isinstance(handler, RecentEvents):
            return handler
        if handler.get_name() == _HANDLER_NAME:
            root.removeHandler(handler)  # of an earlier import of this package
    events = RecentEvents()
    root.addHandler(events)
    return events


def details(settings: Mapping[str, str], application: str = "") -> str:
    """Compose the details for a report, in several lines.

    Args:
        settings: names and values of settings, such as the device. They must hold nothing of the patient.
        application: name and version of the application that runs this package; empty if there is none.
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
        f"Processor: {processor_name()}, {os.cpu_count()} cores",
        f"Packages: {', '.join(f'{name} {_version(name)}' for name in PACKAGES)}",
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
