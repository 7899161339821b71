"""Falls back from a graphics device that runs out of memory to the processor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..diagnostics.log import get_logger
from ..errors import is_out_of_memory

if TYPE_CHECKING:
    from .runtime import Runtime

Result = TypeVar("Result")
_log = get_logger(__name__)
Make = Callable[[str], "tuple[Runtime, list[str]]"]
"""Takes a device, returns a runtime on it and notes for the user, to which the runtime may append."""


class DeviceFallback:
    """Runs work on a device, and on the next one once the device has too little memory for a single slice.

    A device is not tried again: if it fails for one slice it fails for the next, and each attempt takes time.

    Args:
        make: returns a runtime on a device. It is called for the first device at once.
        devices: devices in the order in which they are tried.
        release: frees the cached memory of a device that is no longer used.

    Raises:
        Whatever `make` raises, except an out-of-memory error if there is another device.
    """

    def __init__(self, make: Make, devices: Sequence[str], release: Callable[[], None] = lambda: None) -> None:
        self._make, self._release = make, release
        self._device, *self._further = devices
        self._notes: list[list[str]] = []
        self._lock = threading.Lock()
        self._cache_tags: list[str] = []
        self._runtime = self._first()
        self._cache_tags.append(cache_tag(self._runtime))

    @classmethod
    def of(cls, runtime: Runtime) -> DeviceFallback:
        """Wrap a single runtime that exists already."""
        return cls(lambda _device: (runtime, []), [runtime.device])

    @property
    def runtime(self) -> Runtime:
        """The runtime in use."""
        return self._runtime

    @property
    def notes(self) -> list[str]:
        """Notes for the user, the oldest first."""
        return [note for notes in self._notes for note in notes]

    @property
    def cache_tags(self) -> list[str]:
        """Cache tags of all runtimes whose embeddings can still be used, beginning with the one in use."""
        return [cache_tag(self._runtime), *(tag for tag in self._cache_tags if tag != cache_tag(self._runtime))]

    def run(self, work: Callable[[Runtime], Result]) -> tuple[Result, str]:
        """Run work on the runtime in use, or on the next one if it runs out of memory.

        Args:
            work: called with the runtime; called again from the start with the next one.

        Returns:
            The result of `work`, and the cache tag of the runtime that computed it.

        Raises:
            Whatever `work` raises; an out-of-memory error only on the last device.
        """
        while True:
            runtime = self._runtime
            try:
                return work(runtime), cache_tag(runtime)
            except Exception as error:
                if not is_out_of_memory(error) or self._is_last(runtime):
                    raise
                _log.warning("%s has not enough memory", runtime.device, exc_info=error)
            self._step_down(runtime)
            # Drop the last reference, so that its memory can be freed.
            del runtime
            self._release()

    def _first(self) -> Runtime:
        while True:
            try:
                return self._made()
            except Exception as error:
                if not is_out_of_memory(error) or not self._further:
                    raise
                _log.warning("%s has not enough memory for the model", self._device, exc_info=error)
            self._next_device()

    def _is_last(self, failed: Runtime) -> bool:
        # The lock waits for another thread that is replacing the runtime that failed.
        with self._lock:
            return failed is self._runtime and not self._further

    def _step_down(self, failed: Runtime) -> None:
        with self._lock:
            # If two threads fail on the same runtime, the second one finds it replaced.
            if self._runtime is failed and self._further:
                self._next_device()
                self._runtime = self._first()
                self._cache_tags.append(cache_tag(self._runtime))

    def _next_device(self) -> None:
        left, self._device = self._device, self._further.pop(0)
        further = "the processor" if self._device == "cpu" else self._device
        self._notes.append(
            [f"the device {left} has not enough memory: {further} goes on, until the model is loaded again"]
        )

    def _made(self) -> Runtime:
        runtime, notes = self._make(self._device)
        self._notes.append(notes)
        return runtime


def cache_tag(runtime: Runtime) -> str:
    """Tag of embeddings in the cache: device, runtime and precision, because each gives slightly different numbers."""
    return f"{runtime.device}|{runtime.name} {runtime.version}"
