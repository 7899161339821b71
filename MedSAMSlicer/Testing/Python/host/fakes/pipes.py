"""What a process of the host is made of: pipes that nobody waits for, and its environment."""

from __future__ import annotations

import os
import threading
from typing import Any

from ..doubles import Double, double, implements


class Pipe:
    """Reads a stream in a thread of its own, so that no one ever waits for it."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._lock, self._arrived = stream, threading.Lock(), bytearray()
        self.ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while piece := os.read(self._stream.fileno(), 1 << 20):
            with self._lock:
                self._arrived += piece
        self.ended = True

    def take(self) -> bytes:
        with self._lock:
            taken, self._arrived = bytes(self._arrived), bytearray()
        return taken


class Feeder:
    """Writes to a stream in a thread of its own, in order; closing waits its turn."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._pieces, self._changed = stream, [b""][:0], threading.Condition()
        self._closing = False
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._pieces or self._closing)
                    if not self._pieces:
                        break
                    piece = self._pieces.pop(0)
                self._stream.write(piece)
                self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._pieces.clear()  # the process has ended; Qt drops what is left, too
        finally:
            try:
                self._stream.close()
            except BrokenPipeError:
                self._closing = True

    def put(self, piece: bytes) -> None:
        with self._changed:
            self._pieces.append(piece)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()


@implements("QProcessEnvironment")
class ProcessEnvironment(Double):
    def made(self, other: Any = None) -> None:
        self.__dict__["_variables"] = dict(other.__dict__["_variables"]) if other is not None else {}

    @staticmethod
    def systemEnvironment() -> Any:
        environment = double("QProcessEnvironment")()
        environment.__dict__["_variables"] = dict(os.environ)
        return environment

    def insert(self, name: str, value: str) -> None:
        self.__dict__["_variables"][name] = value
