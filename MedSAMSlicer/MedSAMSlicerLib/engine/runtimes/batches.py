"""Batches of slices or prompts on a graphics device, as large as its free memory allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..diagnostics.log import get_logger
from ..errors import is_out_of_memory

if TYPE_CHECKING:
    from .device_memory import DeviceMemory

_log = get_logger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")

# Share of the free memory to use. The rest is for other work at the same time, and for the display.
MEMORY_SHARE = 0.5
LONGEST_SECONDS = 0.25
"""Longest duration of a batch. A batch cannot be interrupted, so previews and cancelling wait for its end."""


class Batches:
    """Divides items into batches that fit into the free memory, and halves a batch that does not.

    The first batch has one item, which measures the memory and the time that an item takes.

    Args:
        what: name of the items for notes, in the plural.
        most: largest number of items in a batch.
        memory: memory of the device.
        notes: list to which a note for the user is appended whenever a batch runs out of memory.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        what: str,
        most: int,
        memory: DeviceMemory,
        notes: list[str],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._what, self._most, self._memory, self._notes, self._clock = what, most, memory, notes, clock
        self._item_bytes = 0
        self._item_seconds = 0.0

    @property
    def size(self) -> int:
        """Items in the next batch, at least 1."""
        size = min(self._most, LONGEST_SECONDS / self._item_seconds) if self._item_seconds else 1
        if self._item_bytes:
            size = min(size, MEMORY_SHARE * self._memory.free() / self._item_bytes)
        return max(1, int(size))

    def run(self, items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Result]]) -> list[Result]:
        """Results for all items, in order.

        Args:
            work: returns one result for each item of a batch.

        Raises:
            Whatever `work` raises; an out-of-memory error only for a batch of one item.
        """
        results: list[Result] = []
        while len(results) < len(items):
            batch = items[len(results) : len(results) + self.size]
            found = self._tried(batch, work)
            if found is None:
                # Not in the exception handler, where the error would still hold references to tensors.
                self._memory.release()
                self._shrink(len(batch))
            else:
                results += found
        return results

    def _tried(
        self, batch: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Result]]
    ) -> Sequence[Result] | None:
        self._memory.begin()
        begin = self._clock()
        try:
            results = work(batch)
        except Exception as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            _log.warning("not enough memory for %d %s at once", len(batch), self._what, exc_info=error)
            return None
        seconds = max(1e-6, (self._clock() - begin) / len(batch))
        # The shortest time, because the first batch on a device takes longer.
        self._item_seconds = min(self._item_seconds or seconds, seconds)
        self._item_bytes = max(self._item_bytes, self._memory.taken() // len(batch))
        return results

    def _shrink(self, failed: int) -> None:
        self._most = max(1, failed // 2)
        self._notes.append(
            f"the graphics device had not enough memory for {failed} {self._what} at once: "
            f"{self._most} at once from here on"
        )
