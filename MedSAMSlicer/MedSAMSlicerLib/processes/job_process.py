"""A job of the engine in a child process, so that Slicer stays responsive.

Jobs read gigabytes of weights or time networks on each device. They cannot run in Slicer's process: threads starve
there, and it must never import torch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.diagnostics.child_log import ChildLog, is_log_line
from ..engine.diagnostics.log import get_logger
from ..engine.environment import child_environment
from ..engine.errors import one_line
from ..scene.worker.transport import TransportListener
from .qprocess_transport import QProcessTransport, python_program

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
        self._transport: QProcessTransport | None = None
        self._received = b""
        self._stderr = b""
        self._child_log = ChildLog(__name__, "job")
        self._last: Line | None = None
        self._cancelled = False

    @property
    def running(self) -> bool:
        """Whether a job is running or being cancelled."""
        return self._transport is not None

    def start(self, module: str, arguments: Sequence[str], sent: bytes = b"") -> None:
        """Start a job.

        Args:
            module: full name of the module to run.
            arguments: its command-line arguments.
            sent: what the job reads from its standard input.

        Raises:
            RuntimeError: a job is already running.
        """
        if self.running:
            raise RuntimeError("a job is already running")
        self._received = self._stderr = b""
        self._child_log = ChildLog(__name__, "job")
        self._last, self._cancelled = None, False
        _log.info("job %s starts", module.rpartition(".")[2])
        command = [python_program(), "-m", module, "--attached", *arguments]
        self._transport = QProcessTransport(command, child_environment())
        self._transport.start(TransportListener(self._on_bytes, self._on_stderr, self._on_exit))
        if sent:
            self._transport.write(sent)

    def cancel(self) -> None:
        """Request the job to stop and clean up; kill it after `CANCEL_MILLISECONDS`."""
        if self._transport is None or self._cancelled:
            return
        self._cancelled = True
        self._transport.end_input()
        transport = self._transport
        qt.QTimer.singleShot(CANCEL_MILLISECONDS, lambda: self._kill(transport))

    def close(self) -> None:
        """Kill the process; no callback is called afterwards."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.kill()

    def _kill(self, transport: QProcessTransport) -> None:
        if self._transport is transport:
            self.close()
            self._on_end(None)

    def _on_bytes(self, data: bytes) -> None:
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._handle_line(line)
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
        elif self._transport is not None and not self._cancelled:
            self._on_line(line)

    def _on_stderr(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-_STDERR_BYTES:]
        self._child_log.feed(data)

    def _on_exit(self, status: int | None) -> None:
        self._transport = None
        self._child_log.close()
        level = logging.INFO if self._last is not None or self._cancelled else logging.ERROR
        _log.log(level, "job ended with status %s", status)
        self._on_end(self._outcome(status))

    def _outcome(self, status: int | None) -> str | None:
        kind = self._last.get("kind") if self._last else None
        if kind == "done":
            return ""
        if self._cancelled or kind == "cancelled":
            return None
        if kind == "failed":
            return str(self._last.get("message", "")) if self._last else ""
        if status is None:
            return _(
                "{program} could not be started: check that no security software blocks it, or reinstall Slicer"
            ).format(program=python_program())
        lines = self._stderr.decode(errors="replace").splitlines()
        detail = one_line(next((line for line in reversed(lines) if line.strip() and not is_log_line(line)), ""), 200)
        return _("the process ended unexpectedly (exit status {status}){detail}: try again").format(
            status=status, detail=f": {detail}" if detail else ""
        )
