"""QProcess with a real process underneath: what it sends arrives when events are processed."""

from __future__ import annotations

import subprocess
import time
import weakref
from typing import Any

from support.forked_worker import start_process

from ..clock import clock
from ..doubles import Double, double, implements
from .objects import is_a
from .pipes import Feeder, Pipe

running: weakref.WeakSet[Any] = weakref.WeakSet()


@implements("QProcess")
class Process(Double):
    def made(self, *arguments: Any) -> None:
        double("QObject").made(self, *arguments)
        self.__dict__.update(
            _process=None, _out=bytearray(), _error=bytearray(), _program="", _arguments=(), _environment=None,
            _folder=None, _channels=0, _failure=double("QProcess").UnknownError, _exit=(0, 0), _state=0,
        )  # fmt: skip

    def setProcessEnvironment(self, environment: Any) -> None:
        self.__dict__["_environment"] = dict(environment.__dict__["_variables"])

    def start(self, *arguments: Any) -> None:
        state = self.__dict__
        if self.state() != double("QProcess").NotRunning:
            raise RuntimeError("QProcess.start: the process runs already, and Qt ignores the second start")
        if arguments and isinstance(arguments[0], str):
            state["_program"] = arguments[0]
            state["_arguments"] = tuple(arguments[1]) if len(arguments) > 1 else ()
        if not all(isinstance(argument, str) for argument in state["_arguments"]):
            raise ValueError(f"QProcess.start: arguments are texts, not {state['_arguments']!r}")
        self._become(double("QProcess").Starting)
        channels = {1: subprocess.STDOUT, 2: None, 4: None}
        try:
            command, environment = [state["_program"], *state["_arguments"]], state["_environment"]
            if state["_channels"]:
                state["_process"] = process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=None if state["_channels"] == 2 else subprocess.PIPE,
                    stderr=channels.get(state["_channels"], subprocess.PIPE),
                    cwd=state["_folder"] or None,
                    env=environment,
                )
            else:
                state["_process"] = process = start_process(command, environment, state["_folder"] or None)
        except OSError:
            clock.post(lambda: self._failed(double("QProcess").FailedToStart, to_start=True))
            return
        state["_pipes"] = [Pipe(stream) if stream else None for stream in (process.stdout, process.stderr)]
        state["_feeder"] = Feeder(process.stdin)
        running.add(self)
        weak = weakref.ref(self)
        clock.post(lambda: (alive := weak()) is not None and alive._started(process))
        clock.pump(lambda: (alive := weak()) is not None and alive._pump(process))

    def _become(self, state: int) -> None:
        self.__dict__["_state"] = state
        self.stateChanged.emit(state)

    def _started(self, process: Any) -> None:
        if self.__dict__["_process"] is process and self.state() == double("QProcess").Starting:
            self._become(double("QProcess").Running)
            self.started.emit()

    def _failed(self, error: int, to_start: bool = False) -> None:
        self.__dict__["_failure"] = error
        if to_start:
            self._become(double("QProcess").NotRunning)
        self.errorOccurred.emit(error)

    def _pump(self, process: Any) -> bool:
        """Brings news of the process; False when there will be no more."""
        if self.__dict__["_dead"] or self.__dict__["_process"] is not process:
            return False
        self._started(process)
        pipes = self.__dict__["_pipes"]
        ended = process.poll() is not None and all(pipe is None or pipe.ended for pipe in pipes)
        for pipe, kept, signal in zip(
            pipes, ("_out", "_error"), (self.readyReadStandardOutput, self.readyReadStandardError), strict=True
        ):
            if pipe is not None and (news := pipe.take()):
                self.__dict__[kept] += news
                if kept == "_out":
                    self.readyRead.emit()
                signal.emit()
        if ended and self.__dict__["_process"] is process:
            self._ended(process)
        return not ended

    def _ended(self, process: Any) -> None:
        running.discard(self)
        self.__dict__["_process"] = None
        self.__dict__["_feeder"].close()
        crashed = process.returncode < 0
        self.__dict__["_exit"] = (abs(process.returncode), int(crashed))
        if crashed:
            self._failed(double("QProcess").Crashed)
        self._become(double("QProcess").NotRunning)
        status = double("QProcess").CrashExit if crashed else double("QProcess").NormalExit
        self.finished.emit(self.__dict__["_exit"][0], status)

    def _wait(self, condition: Any, milliseconds: int) -> bool:
        """Brings news in real time until the condition holds. As in Qt, other events wait."""
        limit = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
        while not condition():
            process = self.__dict__["_process"]
            if process is None or (limit is not None and time.monotonic() > limit):
                return bool(condition())
            self._pump(process)
            time.sleep(0.001)
        return True

    def waitForFinished(self, milliseconds: int = 30000) -> bool:
        if self.__dict__["_process"] is None:
            return False
        return self._wait(lambda: self.__dict__["_process"] is None, milliseconds)

    def write(self, data: Any) -> int:
        if not is_a(data, "QByteArray"):
            raise ValueError(f"QProcess.write takes a QByteArray, not {type(data).__name__}: other types end at a zero")
        if self.__dict__["_process"] is None:
            return -1
        self.__dict__["_feeder"].put(data.data())
        return data.size()

    def closeWriteChannel(self) -> None:
        if self.__dict__["_process"] is not None:
            self.__dict__["_feeder"].close()

    def _taken(self, kept: str) -> Any:
        taken, self.__dict__[kept] = bytes(self.__dict__[kept]), bytearray()
        return double("QByteArray")(taken)

    def readAllStandardOutput(self) -> Any:
        return self._taken("_out")

    def readAllStandardError(self) -> Any:
        return self._taken("_error")

    def processId(self) -> int:
        return self.__dict__["_process"].pid if self.__dict__["_process"] else 0

    def state(self) -> int:
        return self.__dict__["_state"]

    def kill(self) -> None:
        if self.__dict__["_process"] is not None:
            self.__dict__["_process"].kill()

    def _end(self) -> None:
        """Destroying a QProcess kills the process."""
        process = self.__dict__["_process"]
        if process is not None:
            process.kill()
            process.wait()
            self.__dict__["_process"] = None
            # Its thread would wait for more as long as the tests run.
            self.__dict__["_feeder"].close()
