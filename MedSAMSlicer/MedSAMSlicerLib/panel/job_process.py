"""A job of the engine in a child process, so that Slicer stays responsive.

Jobs read gigabytes of weights or time networks on each device. They cannot run in Slicer's process: threads starve
there, and it must never import torch.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.diagnostics.child_log import ChildLog, is_log_line
from ..engine.diagnostics.log import get_logger
from ..engine.environment import child_environment
from ..engine.errors import one_line

Line = Mapping[str, Any]
_log = get_logger(__name__)
CANCEL_MILLISECONDS = 2000
"""Time that a cancelled process has to remove its partial output."""
_STDERR_BYTES = 4096
_LONGEST_LINE = 1 << 20


class JobProcess:
    """Runs ``python -m MODULE --attached ARGUMENTS`` and delivers the lines that it prints.

    Args:
        on_line: called with each line, a JSON object, except the last one.
        on_end: called once when the job ends, unless `close` is called first. Its argument is the error message, one
            line, if the job failed; '' if it succeeded; None if it was cancelled.
    """

    def __init__(self, on_line: Callable[[Line], None], on_end: Callable[[str | None], None]) -> None:
        self._on_line, self._on_end = on_line, on_end
        self._process: qt.QProcess | None = None
        self._finished_process: qt.QProcess | None = None
        self._received = b""
        self._stderr = b""
        self._child_log = ChildLog(__name__, "job")
        self._last: Line | None = None
        self._cancelled = False

    @property
    def running(self) -> bool:
        """Whether a job is running or being cancelled."""
        return self._process is not None

    @property
    def cancelling(self) -> bool:
        """Whether the job has been cancelled but has not ended yet."""
        return self.running and self._cancelled

    def start(self, module: str, arguments: Sequence[str]) -> None:
        """Start a job.

        Args:
            module: full name of the module to run.
            arguments: its command-line arguments.

        Raises:
            RuntimeError: a job is already running.
        """
        if self.running:
            raise RuntimeError("a job is already running")
        self._received = self._stderr = b""
        self._child_log = ChildLog(__name__, "job")
        self._last, self._cancelled = None, False
        _log.info("job %s starts", module.rpartition(".")[2])
        process = qt.QProcess()
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in child_environment().items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.connect("readyReadStandardOutput()", self._read_lines)
        process.connect("readyReadStandardError()", self._read_errors)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._error_occurred)
        self._process = process
        process.start(sys.executable, ["-m", module, "--attached", *arguments])

    def cancel(self) -> None:
        """Request the job to stop and clean up; kill it after `CANCEL_MILLISECONDS`."""
        if self._process is None or self._cancelled:
            return
        self._cancelled = True
        self._process.closeWriteChannel()
        process = self._process
        qt.QTimer.singleShot(CANCEL_MILLISECONDS, lambda: self._kill(process))

    def close(self) -> None:
        """Kill the process; no callback is called afterwards."""
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
            self._handle_line(text)
        if len(self._received) > _LONGEST_LINE:
            self._received = b""

    def _handle_line(self, text: bytes) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            return  # ignored: without a valid last line the job counts as failed
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

    def _finished(self, status: int, _exit_kind: int) -> None:
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
                _(
                    "{program} could not be started: check that no security software blocks it, or reinstall Slicer"
                ).format(program=sys.executable)
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
        detail = one_line(next((line for line in reversed(lines) if line.strip() and not is_log_line(line)), ""), 200)
        return _("the process ended unexpectedly (exit status {status}){detail}: try again").format(
            status=status, detail=f": {detail}" if detail else ""
        )

    def _end(self, outcome: str | None) -> None:
        # This runs in a slot of the process, which must not be destroyed before the slot returns.
        self._finished_process, self._process = self._process, None
        self._on_end(outcome)
