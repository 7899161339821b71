"""A task of the engine in a process of its own: Slicer goes on answering while gigabytes are read or devices timed.

A timer that works in pieces would do for a download, but not for checksums or networks, and torch must never come into
Slicer's process; so all of them go the same way.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.child_log import ChildLog, is_log_line
from ..engine.errors import one_line
from ..engine.log import get_logger
from ..scene.worker.transports import worker_environment

Line = Mapping[str, Any]
_log = get_logger(__name__)
CANCEL_MILLISECONDS = 2000
"""How long a cancelled process may take to remove what it has written in part."""
_STDERR_BYTES = 4096
_LONGEST_LINE = 1 << 20


class JobProcess:
    """Starts ``python -m MODULE ARGUMENTS --attached`` and hands on its lines.

    Args:
        on_line: gets each line but the last one.
        on_end: gets why the task failed, in one line; '' when it was done, None when it was cancelled. Called once,
            unless `close` comes first.
    """

    def __init__(self, on_line: Callable[[Line], None], on_end: Callable[[str | None], None]) -> None:
        self._on_line, self._on_end = on_line, on_end
        self._process: qt.QProcess | None = None
        self._spent: qt.QProcess | None = None
        self._received = b""
        self._stderr = b""
        self._child_log = ChildLog(__name__, "job")
        self._last: Line | None = None
        self._cancelled = False

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def cancelling(self) -> bool:
        """Whether it has been asked to stop and has not stopped yet."""
        return self.running and self._cancelled

    def start(self, module: str, arguments: Sequence[str]) -> None:
        """Start the task. One task at a time."""
        if self.running:
            raise RuntimeError("a task is running already")
        self._received = self._stderr = b""
        self._child_log = ChildLog(__name__, "job")
        self._last, self._cancelled = None, False
        _log.info("job %s starts", module.rpartition(".")[2])
        process = qt.QProcess()
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in worker_environment().items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.connect("readyReadStandardOutput()", self._read_lines)
        process.connect("readyReadStandardError()", self._read_errors)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._error_occurred)
        self._process = process
        process.start(sys.executable, ["-m", module, "--attached", *arguments])

    def cancel(self) -> None:
        """Ask the process to stop and clean up; end it if it has not stopped soon."""
        if self._process is None or self._cancelled:
            return
        self._cancelled = True
        self._process.closeWriteChannel()
        process = self._process
        qt.QTimer.singleShot(CANCEL_MILLISECONDS, lambda: self._kill(process))

    def close(self) -> None:
        """End the process at once; nothing is heard of it any more."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(CANCEL_MILLISECONDS)

    def _kill(self, process: qt.QProcess) -> None:
        if self._process is not None and self._process is process:
            self._process.kill()

    def _read_lines(self) -> None:
        if self._process is None:
            return
        self._received += self._process.readAllStandardOutput().data()
        *whole, self._received = self._received.split(b"\n")
        for text in whole:
            self._take(text)
        if len(self._received) > _LONGEST_LINE:
            self._received = b""

    def _take(self, text: bytes) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            return  # the last line decides, and a process that never sends one has failed
        if not isinstance(line, dict):
            return
        if line.get("kind") in ("done", "failed", "cancelled"):
            self._last = line
        elif self._process is not None and not self._cancelled:
            self._on_line(line)

    def _read_errors(self) -> None:
        if self._process is not None:
            data = self._process.readAllStandardError().data()
            self._stderr = (self._stderr + data)[-_STDERR_BYTES:]
            self._child_log.feed(data)

    def _finished(self, status: int, _how: int) -> None:
        if self._process is None:
            return
        self._read_lines()
        self._read_errors()
        self._child_log.close()
        kind = self._last.get("kind") if self._last else None
        level = logging.INFO if kind in ("done", "failed", "cancelled") or self._cancelled else logging.ERROR
        _log.log(level, "job ended with status %d", status)
        self._end(self._outcome(status))

    def _error_occurred(self, error: int) -> None:
        if self._process is not None and error == qt.QProcess.FailedToStart:
            _log.error("job could not be started")
            self._end(
                _("{program} could not be started: reinstall Slicer, or check that nothing blocks this program").format(
                    program=sys.executable
                )
            )

    def _outcome(self, status: int) -> str | None:
        kind = self._last.get("kind") if self._last else None
        if kind == "done":
            return ""
        if self._cancelled or kind == "cancelled":
            return None
        if kind == "failed":
            return str(self._last.get("message", "")) if self._last else ""
        lines = self._stderr.decode(errors="replace").splitlines()
        said = one_line(next((line for line in reversed(lines) if line.strip() and not is_log_line(line)), ""), 200)
        return _("the process ended unexpectedly (exit status {status}){said}: try again").format(
            status=status, said=f": {said}" if said else ""
        )

    def _end(self, outcome: str | None) -> None:
        # Kept: this is a slot of the process, which must not be destroyed before the slot has returned.
        self._spent, self._process = self._process, None
        self._on_end(outcome)
