"""How the bytes of a `WorkerClient` travel: what it asks of a transport, and one over `subprocess`."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from ...engine.environment import child_environment
from ...engine.errors import WorkerError, one_line
from ...engine.i18n import tr as _

_CHUNK = 1 << 18
_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class TransportListener:
    """Who is told of what a process does.

    Attributes:
        on_bytes: bytes from its standard output, in whatever pieces they arrive.
        on_stderr: bytes from its standard error.
        on_exit: it has ended; its exit status, negative the number of the signal that ended it, or None if it could
            not be started. Called once, after the last bytes, and not after `kill` or `close`.
    """

    on_bytes: Callable[[bytes], None]
    on_stderr: Callable[[bytes], None]
    on_exit: Callable[[int | None], None]


class Transport(Protocol):
    """One process and the pipes to it. No call blocks for longer than it takes to end a process."""

    def start(self, listener: TransportListener) -> None:
        """Start the process. Raises WorkerError if that cannot be."""
        ...

    def write(self, data: bytes) -> None:
        """Have the bytes written to its standard input, in order, when it is ready to take them."""
        ...

    def pump(self, timeout: float) -> None:
        """Move waiting bytes and call the listener, waiting at most `timeout` seconds for something to move.

        A transport that an event loop drives does nothing here.
        """
        ...

    def kill(self) -> None:
        """End the process at once."""
        ...

    def close(self) -> None:
        """End its standard input, so that it ends by itself; make sure that it does."""
        ...


def worker_command(service: str | None = None) -> list[str]:
    """Program and arguments of the inference process; `service` as its ``--service`` takes it."""
    return [sys.executable, "-m", f"{_PACKAGE}.engine.serving.worker", *(["--service", service] if service else [])]


def worker_environment(search: Sequence[Path] = ()) -> dict[str, str]:
    """Environment of the inference process: this one's, with this package to be found first, then `search`."""
    return child_environment(search)


class SubprocessTransport:
    """A process started by `subprocess`, for where there is no event loop. Its pipes are moved by `pump`.

    For POSIX systems: elsewhere pipes cannot be waited for together, and a `InProcessClient` or Qt's processes serve.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self._command, self._environment = list(command), environment
        self._process: subprocess.Popen[bytes] | None = None
        self._selector = selectors.DefaultSelector()
        self._outgoing: deque[memoryview] = deque()
        self._listener: TransportListener | None = None
        self._open_outputs = 0

    @property
    def pid(self) -> int | None:
        """Number of the process, None before it is started and after it has ended."""
        return None if self._process is None else self._process.pid

    @property
    def waiting_bytes(self) -> int:
        """How many bytes the process has not taken yet."""
        return sum(map(len, self._outgoing))

    def start(self, listener: TransportListener) -> None:
        if os.name != "posix":
            raise WorkerError(
                _("the inference process cannot be reached by pipes on this system: run inference directly")
            )
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment, bufsize=0
            )
        except OSError as error:
            raise WorkerError(
                _("the inference process cannot be started: {error}: check that this program exists").format(
                    error=one_line(str(error))
                )
            ) from error
        self._process, self._listener = process, listener
        assert process.stdin and process.stdout and process.stderr
        for stream in (process.stdin, process.stdout, process.stderr):
            os.set_blocking(stream.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, listener.on_bytes)
        self._selector.register(process.stderr, selectors.EVENT_READ, listener.on_stderr)
        self._open_outputs = 2

    def write(self, data: bytes) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdin.closed:
            return  # its end is about to be reported
        self._outgoing.append(memoryview(data))
        self._flush(self._process.stdin)

    def pump(self, timeout: float) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        # Closed outputs come before the exit status by a moment, in which there is nothing to select.
        ready = self._selector.select(timeout) if self._selector.get_map() else []
        for key, _events in ready:
            # A listener may have ended the process, or pumped by itself.
            if not self._is_current(process):
                return
            if key.fileobj not in self._selector.get_map():
                continue
            if key.fileobj is process.stdin:
                self._flush(process.stdin)
            else:
                self._read(cast("IO[bytes]", key.fileobj), key.data)
        if not self._is_current(process):
            return
        # A process of its own making may hold standard error open after the worker's end.
        if self._open_outputs == 0 or (not ready and process.poll() is not None):
            self._notice_exit(process, timeout)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._end(1.0)

    def close(self) -> None:
        if self._process is None:
            return
        process = self._process
        if process.stdin is not None:
            self._forget_stdin(process.stdin)
        try:
            # What it still writes has no reader: it must not wait for one.
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
        self._end(1.0)

    def _is_current(self, process: subprocess.Popen[bytes]) -> bool:
        return self._process is process

    def _read(self, stream: IO[bytes], deliver: Callable[[bytes], None]) -> bool:
        """Deliver what waits; False when there is nothing."""
        try:
            data = os.read(stream.fileno(), _CHUNK)
        except BlockingIOError:
            return False
        if data:
            deliver(data)
            return True
        self._selector.unregister(stream)
        self._open_outputs -= 1
        return False

    def _flush(self, stdin: IO[bytes]) -> None:
        try:
            # A full pipe stops the loop; `pump` goes on when there is room again.
            with contextlib.suppress(BlockingIOError):
                while self._outgoing:
                    written = os.write(stdin.fileno(), self._outgoing[0])
                    self._outgoing[0] = self._outgoing[0][written:]
                    if not self._outgoing[0]:
                        self._outgoing.popleft()
        except OSError:
            # It reads no more. Why, its exit will tell.
            self._forget_stdin(stdin)
            return
        registered = stdin in self._selector.get_map()
        if self._outgoing and not registered:
            self._selector.register(stdin, selectors.EVENT_WRITE)
        elif registered and not self._outgoing:
            self._selector.unregister(stdin)

    def _forget_stdin(self, stdin: IO[bytes]) -> None:
        self._outgoing.clear()
        if not stdin.closed and stdin in self._selector.get_map():
            self._selector.unregister(stdin)
        stdin.close()

    def _notice_exit(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return
        # Its last words may have come after the last look.
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not process.stdin:
                stream = cast("IO[bytes]", key.fileobj)
                while self._is_current(process) and self._read(stream, key.data):
                    continue
        listener = self._listener
        if self._is_current(process) and listener is not None:
            self._end(0.0)
            listener.on_exit(status)

    def _end(self, patience: float) -> None:
        process, self._process, self._listener = self._process, None, None
        self._outgoing.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()
        self._open_outputs = 0
        if process is None:
            return
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
