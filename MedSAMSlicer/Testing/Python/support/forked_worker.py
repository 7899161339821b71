"""Inference processes for tests that begin at once: forks of one process that has imported what their services need.

A test that draws one rectangle would otherwise wait longer for Python to start than for everything else. Only for the
services of the tests, and on Linux; the real service, and other programs, are started as anywhere else.

As a program it forks the processes: ``python -m support.forked_worker SOCKET``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

FOLDER = Path(__file__).resolve().parents[1]
WORKER = "MedSAMSlicerLib.engine.serving.worker"
SERVICES = ("support.component_service", "support.effect_services", "support.threshold_service")


def start_process(
    command: Sequence[str], environment: Mapping[str, str] | None, folder: str | None = None
) -> subprocess.Popen[bytes] | ForkedWorker:
    """Start a program with pipes for its standard streams. Raises OSError, as `subprocess.Popen` does."""
    begin = [sys.executable, "-m", WORKER, "--service"]
    services = command[4:5] if list(command[:4]) == begin and len(command) == 5 else []
    if sys.platform == "linux" and environment is not None:
        if any(service.partition(":")[0] in SERVICES for service in services):
            return ForkedWorker(command, environment, folder)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd=folder)


@cache
def _nursery() -> socket.socket:
    """Connection to the process that forks, which ends when the connection does."""
    from MedSAMSlicerLib.engine.environment import child_environment

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        # Without threads: they do not live on in a fork.
        environment = {**child_environment([FOLDER]), "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()])
    return ours


class ForkedWorker:
    """What the transports use of `subprocess.Popen`, for an inference process that is forked."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: str | None) -> None:
        self._command = list(command)
        request = {"arguments": command[3:], "environment": dict(environment), "folder": folder}
        (stdin, feed), (output, stdout), (errors, stderr), (self._status, status) = (os.pipe() for _ in range(4))
        passed = [stdin, stdout, stderr, status]
        try:
            socket.send_fds(_nursery(), [json.dumps(request).encode()], passed)
        finally:
            for one in passed:
                os.close(one)
        self.stdin, self.stdout, self.stderr = os.fdopen(feed, "wb"), os.fdopen(output, "rb"), os.fdopen(errors, "rb")
        self.returncode: int | None = None
        self._waiting = threading.Lock()
        self.pid = int.from_bytes(os.read(self._status, 4), "little")

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        # In several threads: the first one to see the end closes the pipe.
        if not self._waiting.acquire(timeout=-1 if timeout is None else timeout):
            raise subprocess.TimeoutExpired(self._command, timeout or 0)
        try:
            if self.returncode is None:
                if not select.select([self._status], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(self._command, timeout or 0)
                self.returncode = int.from_bytes(os.read(self._status, 4), "little", signed=True)
                os.close(self._status)
            return self.returncode
        finally:
            self._waiting.release()

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _serve(connection: socket.socket) -> None:
    """Fork a worker for each request, and tell its number and its end through the pipe that comes with the request."""
    for module in (WORKER, *SERVICES):
        importlib.import_module(module)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is connection:
                    request, descriptors, *_ = socket.recv_fds(connection, 1 << 20, 4)
                    if not request:
                        return
                    pid = os.fork()
                    if pid == 0:
                        _become_worker(json.loads(request), descriptors)
                    os.write(descriptors[3], pid.to_bytes(4, "little"))
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, descriptors.pop()))
                    for one in descriptors:
                        os.close(one)
                else:
                    pid, pipe = key.data
                    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    # Nobody may be interested any more.
                    with contextlib.suppress(BrokenPipeError):
                        os.write(pipe, status.to_bytes(4, "little", signed=True))
                    selector.unregister(key.fileobj)
                    for one in (key.fd, pipe):
                        os.close(one)


def _become_worker(request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
    status = 1
    try:
        for n, one in enumerate(descriptors[:3]):
            os.dup2(one, n)
        os.closerange(3, 4096)
        os.environ.clear()
        os.environ.update(request["environment"])
        if request["folder"]:
            os.chdir(request["folder"])
        status = importlib.import_module(WORKER).main(request["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
