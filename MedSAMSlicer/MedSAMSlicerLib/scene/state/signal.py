"""A signal that others connect callbacks to, without Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """Calls every connected callback on `emit`, in the order in which they were connected.

    Callbacks are held strongly: disconnect them, or call `disconnect_all`, to release their owners.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[..., object]] = []

    def connect(self, callback: Callable[..., object]) -> None:
        self._callbacks.append(callback)

    def disconnect(self, callback: Callable[..., object]) -> None:
        """Raises ValueError if the callback is not connected."""
        self._callbacks.remove(callback)

    def disconnect_all(self) -> None:
        self._callbacks.clear()

    def emit(self, *arguments: Any) -> None:
        """Call the callbacks that are connected now; an exception of one of them is not caught."""
        for callback in tuple(self._callbacks):
            callback(*arguments)
