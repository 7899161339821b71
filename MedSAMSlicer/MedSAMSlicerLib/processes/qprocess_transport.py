"""Transport to a child process with QProcess."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

import qt

from ..engine.environment import child_environment
from ..scene.worker.transport import TransportListener, worker_command

CLOSE_MILLISECONDS = 1000
"""Time that a process has to end by itself after its standard input is closed."""
# A QProcess must outlive its running slots and its process: released ones are kept here until they have ended.
_ending: list[qt.QProcess] = []


def python_program() -> str:
    """Slicer's Python interpreter, for child processes.

    Slicer puts it into `sys.executable` only when it has started, but the module that it opens first may need it before.
    """
    return shutil.which("PythonSlicer") or sys.executable


def inference_process() -> QProcessTransport:
    """Transport to a new inference process, with the limits of the user's settings."""
    return QProcessTransport(worker_command(program=python_program()), child_environment())


class QProcessTransport:
    """A `Transport` that transfers bytes in Qt's event loop.

    Args:
        command: program and arguments.
        environment: variables to add to the environment of this process, or to replace in it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._process: qt.QProcess | None = None
        self._listener: TransportListener | None = None

    def start(self, listener: TransportListener) -> None:
        process = qt.QProcess()
        environment = qt.QProcessEnvironment.systemEnvironment()
        for name, value in self._environment.items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.connect("readyReadStandardOutput()", self._read)
        process.connect("readyReadStandardError()", self._read_errors)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._error_occurred)
        self._process, self._listener = process, listener
        process.start(self._command[0], self._command[1:])

    def write(self, data: bytes) -> None:
        if self._process is not None:
            self._process.write(qt.QByteArray(data))

    def end_input(self) -> None:
        """Close the standard input of the process, and continue to listen."""
        if self._process is not None:
            self._process.closeWriteChannel()

    def kill(self) -> None:
        process = self._release()
        if process is not None:
            process.kill()

    def close(self) -> None:
        process = self._release()
        if process is not None:
            process.closeWriteChannel()
            qt.QTimer.singleShot(CLOSE_MILLISECONDS, process.kill)

    def _release(self) -> qt.QProcess | None:
        """Ignore the process from now on, and return it; None if there is none."""
        process, self._process, self._listener = self._process, None, None
        if process is not None:
            _ending[:] = [other for other in _ending if other.state() != qt.QProcess.NotRunning]
            _ending.append(process)
        return process

    def _read(self) -> None:
        if self._process is None or self._listener is None:
            return
        data = self._process.readAllStandardOutput().data()
        if data:
            self._listener.on_bytes(data)

    def _read_errors(self) -> None:
        if self._process is not None and self._listener is not None:
            self._listener.on_stderr(self._process.readAllStandardError().data())

    def _finished(self, code: int, exit_kind: int) -> None:
        # Read the last bytes before the exit is reported.
        self._read()
        self._read_errors()
        listener = self._listener
        self._release()
        if listener is not None:
            crashed = exit_kind == qt.QProcess.CrashExit
            # On POSIX systems, `code` is the signal number after a crash.
            listener.on_exit(-code if crashed and os.name == "posix" else code)

    def _error_occurred(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            listener = self._listener
            self._release()
            if listener is not None:
                listener.on_exit(None)
