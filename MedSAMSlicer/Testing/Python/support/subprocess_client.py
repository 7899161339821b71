"""Worker clients for tests and benchmarks, which have no event loop: a transport over `subprocess` that a client drives."""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import subprocess
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from MedSAMSlicerLib.engine.environment import child_environment
from MedSAMSlicerLib.scene.worker.transport import Transport, TransportListener, worker_command
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.forked_worker import ForkedWorker, start_process
from support.threshold_service import FOLDER

_CHUNK = 1 << 18


class SubprocessTransport:
    """A `Transport` whose listener is called by `pump`, as Qt's event loop calls the listener of `QProcessTransport`.

    Attributes:
        written, read: number of bytes written to standard input and read from standard output.

    Args:
        command: program and arguments.
        folder: folder that the process imports from, besides the package.
    """

    def __init__(self, command: Sequence[str], folder: Path = FOLDER) -> None:
        self._command, self._environment = list(command), child_environment([folder])
        self._process: subprocess.Popen[bytes] | ForkedWorker | None = None
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.written = self.read = 0

    @property
    def pid(self) -> int | None:
        """Number of the process; None before it is started and after it has ended."""
        return None if self._process is None else self._process.pid

    def start(self, listener: TransportListener) -> None:
        try:
            process = start_process(self._command, self._environment)
        except OSError:
            listener.on_exit(None)
            return
        self._process = process
        for work in (partial(self._receive, process, listener), partial(self._transmit, process.stdin)):
            threading.Thread(target=work, daemon=True).start()

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._outgoing.put(data)

    def pump(self, timeout: float) -> None:
        """Call the listener with everything that has arrived; wait up to `timeout` seconds if nothing has."""
        with contextlib.suppress(queue.Empty):
            event = self._events.get(timeout=timeout)
            while self._process is not None:
                event()
                event = self._events.get_nowait()

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        self._outgoing.put(None)

    def close(self) -> None:
        self._outgoing.put(None)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        self.kill()

    def _receive(self, process: subprocess.Popen[bytes] | ForkedWorker, listener: TransportListener) -> None:
        assert process.stdout is not None and process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
            for stream in (process.stdout, process.stderr):
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = [key.fileobj for key, _ in selector.select()]
                output = os.read(process.stdout.fileno(), _CHUNK) if process.stdout in ready else None
                # After standard output, so that what the process logged before a message is delivered before it.
                try:
                    errors = os.read(process.stderr.fileno(), _CHUNK) if process.stderr in selector.get_map() else None
                except BlockingIOError:
                    errors = None
                for stream, data, deliver in (
                    (process.stderr, errors, listener.on_stderr),
                    (process.stdout, output, partial(self._count, listener)),
                ):
                    if data:
                        self._events.put(partial(deliver, data))
                    elif data is not None:
                        selector.unregister(stream)
        status = process.wait()

        def report() -> None:
            self._process = None
            listener.on_exit(status)

        self._events.put(report)

    def _count(self, listener: TransportListener, data: bytes) -> None:
        self.read += len(data)
        listener.on_bytes(data)

    def _transmit(self, stdin: IO[bytes]) -> None:
        # A process that has ended reads nothing more; `_receive` reports its end.
        with contextlib.suppress(BrokenPipeError), stdin:
            while (data := self._outgoing.get()) is not None:
                stdin.write(data)
                stdin.flush()


class SubprocessClient(WorkerClient):
    """A `WorkerClient` whose `step` also moves the bytes, as Qt's event loop does in Slicer."""

    def step(self) -> None:
        if isinstance(self.transport, SubprocessTransport):
            self.transport.pump(0.02)
        super().step()


def subprocess_client(service: str | None = None, command: Sequence[str] | None = None, **options: Any) -> WorkerClient:
    """Make a client of real processes.

    Args:
        service: factory of the service as ``module:function``, importable from the folder of the tests; None for the
            segmentation service.
        command: another program to start in place of the worker.
        options: of the client.
    """

    def make_transport() -> Transport:
        return SubprocessTransport(worker_command(service) if command is None else command)

    return SubprocessClient(make_transport, **options)
