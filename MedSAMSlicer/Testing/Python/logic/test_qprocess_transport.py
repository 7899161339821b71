"""Bytes through Qt's event loop, and how processes end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from host.application import Host
from MedSAMSlicerLib.scene.worker.transport import TransportListener

ECHO = "import os\nwhile data := os.read(0, 65536): os.write(1, data)"


@dataclass
class Heard:
    data: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    ends: list[int | None] = field(default_factory=list)

    @property
    def listener(self) -> TransportListener:
        return TransportListener(self.data.extend, self.errors.extend, self.ends.append)


@pytest.fixture
def start(host: Host) -> Callable[..., tuple[Any, Heard]]:
    def begin(*command: str) -> tuple[Any, Heard]:
        from MedSAMSlicerLib.logic.qprocess_transport import QProcessTransport

        transport, heard = QProcessTransport(command or [sys.executable, "-c", ECHO], dict(os.environ)), Heard()
        transport.start(heard.listener)
        return transport, heard

    return begin


def test_large_data_comes_back_byte_for_byte(host: Host, start: Callable[..., Any]) -> None:
    transport, heard = start()
    data = os.urandom(3_000_000) + bytes(range(256))
    transport.write(data[:1000])
    transport.write(data[1000:])
    host.wait_until(lambda: len(heard.data) == len(data))
    assert bytes(heard.data) == data
    process = transport._process
    transport.close()
    host.wait_until(lambda: process.state() == process.NotRunning)
    assert heard.ends == []


def test_the_end_is_told_once_after_the_last_words(host: Host, start: Callable[..., Any]) -> None:
    _transport, heard = start(
        sys.executable, "-c", "import os, sys; os.write(1, b'last'); os.write(2, b'words'); os._exit(7)"
    )
    host.wait_until(lambda: heard.ends)
    host.clock.advance(100)
    assert heard.ends == [7]
    assert (bytes(heard.data), bytes(heard.errors)) == (b"last", b"words")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_is_told_as_a_negative_number(host: Host, start: Callable[..., Any]) -> None:
    _transport, heard = start(sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    host.wait_until(lambda: heard.ends)
    assert heard.ends == [-9]


def test_a_program_that_is_not_there_is_told_as_such(host: Host, start: Callable[..., Any]) -> None:
    transport, heard = start("/no/such/program")
    host.wait_until(lambda: heard.ends)
    assert heard.ends == [None]
    transport.write(b"into the void")
    transport.close()


def test_a_killed_process_says_nothing_more(host: Host, start: Callable[..., Any]) -> None:
    transport, heard = start(sys.executable, "-c", "import time\nwhile True: print('still here', flush=True)")
    host.wait_until(lambda: heard.data)
    process = transport._process
    transport.kill()
    said = len(heard.data)
    host.wait_until(lambda: process.state() == process.NotRunning)
    assert len(heard.data) == said and heard.ends == []


def test_a_process_that_does_not_end_is_ended(host: Host, start: Callable[..., Any]) -> None:
    transport, _heard = start(sys.executable, "-c", "import time; time.sleep(60)")
    process = transport._process
    transport.close()
    host.clock.advance(900)
    assert process.state() != process.NotRunning
    host.wait_until(lambda: process.state() == process.NotRunning, 5)
