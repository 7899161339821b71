"""QProcess in the host is a real process: bytes go through it whole, and its end is told as Qt tells it."""

from __future__ import annotations

import sys
import time
from types import ModuleType
from typing import Any

import pytest

from host.application import Host

pytest_plugins = ["host.fixture"]

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
FOREVER = "import time; time.sleep(60)"


@pytest.fixture
def qt(host: Host) -> ModuleType:
    return sys.modules["qt"]


class Listener:
    """Connects to all signals of a process and writes down what it hears."""

    def __init__(self, process: Any) -> None:
        self.heard: list[Any] = []
        self.output = b""
        self.process = process
        process.connect("started()", lambda: self.heard.append("started"))
        process.connect("readyReadStandardOutput()", self.read)
        process.finished.connect(lambda code, status: self.heard.append(("finished", code, int(status))))
        process.connect("errorOccurred(QProcess::ProcessError)", lambda error: self.heard.append(("error", int(error))))

    def read(self) -> None:
        self.output += self.process.readAllStandardOutput().data()


def test_bytes_come_back_whole_while_events_are_processed(host: Host, qt: ModuleType) -> None:
    process = qt.QProcess()
    listener = Listener(process)
    sent = bytes(range(256)) * 8192
    process.start(sys.executable, ["-c", ECHO])
    assert process.state() == qt.QProcess.Starting
    assert process.write(qt.QByteArray(sent)) == len(sent)
    process.closeWriteChannel()
    host.wait_until(lambda: process.state() == qt.QProcess.NotRunning)
    assert listener.output == sent
    assert listener.heard == ["started", ("finished", 0, qt.QProcess.NormalExit)]


def test_nothing_is_heard_before_events_are_processed(host: Host, qt: ModuleType) -> None:
    process = qt.QProcess()
    listener = Listener(process)
    process.start(sys.executable, ["-c", "print('x', flush=True)"])
    time.sleep(0.3)
    assert listener.heard == []
    assert listener.output == b""
    host.wait_until(lambda: ("finished", 0, 0) in listener.heard)
    assert listener.output.split() == [b"x"]


def test_write_takes_a_qbytearray_only(host: Host, qt: ModuleType) -> None:
    process = qt.QProcess()
    process.start(sys.executable, ["-c", ECHO])
    with pytest.raises(ValueError, match="QByteArray"):
        process.write(b"ab\0cd")
    process.kill()
    assert process.waitForFinished(5000)


def test_a_killed_process_is_told_as_crashed(host: Host, qt: ModuleType) -> None:
    process = qt.QProcess()
    listener = Listener(process)
    process.start(sys.executable, ["-c", FOREVER])
    host.wait_until(lambda: process.state() == qt.QProcess.Running)
    process.kill()
    assert process.waitForFinished(5000)
    assert listener.heard == ["started", ("error", qt.QProcess.Crashed), ("finished", 9, qt.QProcess.CrashExit)]


def test_a_program_that_is_not_there_fails_to_start(host: Host, qt: ModuleType) -> None:
    process = qt.QProcess()
    listener = Listener(process)
    process.start("/no/such/program", [])
    host.clock.process()
    assert listener.heard == [("error", qt.QProcess.FailedToStart)]
    assert process.state() == qt.QProcess.NotRunning


def test_standard_error_is_kept(host: Host, qt: ModuleType) -> None:
    process = qt.QProcess()
    process.start(sys.executable, ["-c", "import sys; sys.stderr.write('out of memory'); sys.exit(7)"])
    assert process.waitForFinished(5000)
    assert process.readAllStandardError().data() == b"out of memory"


def test_the_environment_is_handed_over(host: Host, qt: ModuleType) -> None:
    process, environment = qt.QProcess(), qt.QProcessEnvironment.systemEnvironment()
    environment.insert("MEDSAM_TEST", "yes")
    process.setProcessEnvironment(environment)
    process.start(sys.executable, ["-c", "import os; print(os.environ['MEDSAM_TEST'])"])
    assert process.waitForFinished(5000)
    assert process.readAllStandardOutput().data().decode().split() == ["yes"]
