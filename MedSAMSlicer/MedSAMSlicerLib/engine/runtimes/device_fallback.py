"""From a graphics device that has run out of memory to the processor, where the work goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import is_out_of_memory
from ..log import get_logger

if TYPE_CHECKING:
    from .runtime import Runtime

Answer = TypeVar("Answer")
_log = get_logger(__name__)
Make = Callable[[str], "tuple[Runtime, list[str]]"]
"""Gets a device, returns a runtime on it and lines that the user should read, to which the runtime may add."""


class DeviceFallback:
    """The runtime in use, and those to be made when its device has not enough memory for a single slice.

    There is no way back up: a device that fails for one slice fails for the next, and each try takes time.

    Args:
        make: makes the runtime of a device.
        devices: in the order in which they are tried; the first is begun with at once.
        release: gives back what is still kept of a device's memory when it has been left.

    Raises:
        Whatever `make` raises, but for a want of memory where there is another device.
    """

    def __init__(self, make: Make, devices: Sequence[str], release: Callable[[], None] = lambda: None) -> None:
        self._make, self._release = make, release
        self._device, *self._further = devices
        self._notes: list[list[str]] = []
        self._lock = threading.Lock()
        self._makers: list[str] = []
        self._runtime = self._first()
        self._makers.append(maker_of(self._runtime))

    @classmethod
    def of(cls, runtime: Runtime) -> DeviceFallback:
        """A ladder of one runtime, which is there already."""
        return cls(lambda _device: (runtime, []), [runtime.device])

    @property
    def runtime(self) -> Runtime:
        """The one in use."""
        return self._runtime

    @property
    def notes(self) -> list[str]:
        """Lines that the user should read, the oldest first."""
        return [note for notes in self._notes for note in notes]

    @property
    def makers(self) -> list[str]:
        """What may have made embeddings that are still of use, the runtime in use first; see `maker_of`."""
        return [maker_of(self._runtime), *(maker for maker in self._makers if maker != maker_of(self._runtime))]

    def run(self, work: Callable[[Runtime], Answer]) -> tuple[Answer, str]:
        """The answer of the runtime in use or, where it has not enough memory, of the next one; and who gave it.

        Args:
            work: is given the runtime. Done again from the start where memory was not enough.

        Raises:
            Whatever `work` raised, a want of memory only on the last device.
        """
        while True:
            runtime = self._runtime
            try:
                return work(runtime), maker_of(runtime)
            except Exception as error:
                if not is_out_of_memory(error) or self._is_last(runtime):
                    raise
                _log.warning("%s has not enough memory", runtime.device, exc_info=error)
            self._step_down(runtime)
            # Nothing holds on to it any more, so that its memory can be given back.
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
        # Under the lock: while another thread is making the next runtime, the one that failed is still in its place.
        with self._lock:
            return failed is self._runtime and not self._further

    def _step_down(self, failed: Runtime) -> None:
        with self._lock:
            # Two threads may have failed on the same runtime: the second finds another one in its place.
            if self._runtime is failed and self._further:
                self._next_device()
                self._runtime = self._first()
                self._makers.append(maker_of(self._runtime))

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


def maker_of(runtime: Runtime) -> str:
    """Names what computes, and how precisely: embeddings of another maker are others."""
    return f"{runtime.device}|{runtime.name} {runtime.version}"
