"""Transfer of bytes in Qt's event loop, and the end of processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from host.application import Host
from MedSAMSlicerLib.scene.worker.transport import TransportListener

ECHO = "import os\nwhile data := os.read(0, 65536): os.write(1, data)"


@dataclass
class Recorder:
    data: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    ends: list[int | None] = field(default_factory=list)

    @property
    def listener(self) -> TransportListener:
        return TransportListener(self.data.extend, self.errors.extend, self.ends.append)


@pytest.fixture
def start(host: Host) -> Callable[..., tuple[Any, Recorder]]:
    def begin(*command: str) -> tuple[Any, Recorder]:
        from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport

        transport, recorder = QProcessTransport(command or [sys.executable, "-c", ECHO], dict(os.environ)), Recorder()
        transport.start(recorder.listener)
        return transport, recorder

    return begin


def test_large_data_is_transferred_unchanged(host: Host, start: Callable[..., Any]) -> None:
    transport, recorder = start()
    data = os.urandom(3_000_000) + bytes(range(256))
    transport.write(data[:1000])
    transport.write(data[1000:])
    host.wait_until(lambda: len(recorder.data) == len(data))
    assert bytes(recorder.data) == data
    process = transport._process
    transport.close()
    host.wait_until(lambda: process.state() == process.NotRunning)
    assert recorder.ends == []


def test_the_exit_is_reported_once_after_the_last_output(host: Host, start: Callable[..., Any]) -> None:
    _transport, recorder = start(
        sys.executable, "-c", "import os, sys; os.write(1, b'last'); os.write(2, b'words'); os._exit(7)"
    )
    host.wait_until(lambda: recorder.ends)
    host.clock.advance(100)
    assert recorder.ends == [7]
    assert (bytes(recorder.data), bytes(recorder.errors)) == (b"last", b"words")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_is_reported_as_a_negative_number(host: Host, start: Callable[..., Any]) -> None:
    _transport, recorder = start(sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    host.wait_until(lambda: recorder.ends)
    assert recorder.ends == [-9]


def test_a_missing_program_is_reported(host: Host, start: Callable[..., Any]) -> None:
    transport, recorder = start("/no/such/program")
    host.wait_until(lambda: recorder.ends)
    assert recorder.ends == [None]
    transport.write(b"into the void")
    transport.close()


def test_no_callback_follows_a_kill(host: Host, start: Callable[..., Any]) -> None:
    transport, recorder = start(sys.executable, "-c", "import time\nwhile True: print('still here', flush=True)")
    host.wait_until(lambda: recorder.data)
    process = transport._process
    transport.kill()
    received = len(recorder.data)
    host.wait_until(lambda: process.state() == process.NotRunning)
    assert len(recorder.data) == received and recorder.ends == []


def test_a_process_that_does_not_end_is_killed(host: Host, start: Callable[..., Any]) -> None:
    transport, _recorder = start(sys.executable, "-c", "import time; time.sleep(60)")
    process = transport._process
    transport.close()
    host.clock.advance(900)
    assert process.state() != process.NotRunning
    host.wait_until(lambda: process.state() == process.NotRunning, 5)


def test_processes_run_slicers_python_even_before_slicer_has_named_it(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A module that Slicer opens first may start a process while `sys.executable` is still another program."""
    from MedSAMSlicerLib.processes.job_process import JobProcess
    from MedSAMSlicerLib.processes.qprocess_transport import inference_process

    python, before = tmp_path / "PythonSlicer", sys.executable
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/started\nexec {before} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "executable", "/nowhere/SlicerApp-real")
    started = tmp_path / "started"
    ends: list[Any] = []
    job = JobProcess(lambda _line: None, ends.append)
    job.start("json.tool", ["/nowhere"])
    host.wait_until(lambda: ends)
    assert started.read_text() == "-m json.tool --attached /nowhere\n"
    transport, recorder = inference_process(), Recorder()
    transport.start(recorder.listener)
    transport.close()
    host.wait_until(lambda: "serving.worker" in started.read_text())
