"""How many slices or prompts go through a network at once on a graphics device."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import is_out_of_memory
from ..log import get_logger

if TYPE_CHECKING:
    from .device_memory import DeviceMemory

_log = get_logger(__name__)
Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Of the free memory: the rest is for the work beside it, and for what the computer's screen needs.
MEMORY_SHARE = 0.5
LONGEST_SECONDS = 0.25
"""A batch cannot be interrupted: a longer one would keep a preview or a cancel waiting."""


class Batches:
    """Cuts work into batches that fit into the memory that is free, and into smaller ones where that was wrong.

    The first batch is of one item, from which it is learnt what an item takes.

    Args:
        what: the items' name for people, in the plural.
        most: items in a batch.
        memory: of the device.
        notes: gets a line whenever memory was not enough.
        clock: seconds.
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
        # Nothing is known before the first.
        size = min(self._most, LONGEST_SECONDS / self._item_seconds) if self._item_seconds else 1
        if self._item_bytes:
            size = min(size, MEMORY_SHARE * self._memory.free() / self._item_bytes)
        return max(1, int(size))

    def run(self, items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Answer]]) -> list[Answer]:
        """The answers of all items, in order.

        Args:
            work: answers a batch, item by item.

        Raises:
            Whatever `work` raised; a want of memory only where it was raised for one item alone.
        """
        answers: list[Answer] = []
        while len(answers) < len(items):
            batch = items[len(answers) : len(answers) + self.size]
            found = self._tried(batch, work)
            if found is None:
                # Outside of the handler: the error held on to what had been computed.
                self._memory.release()
                self._shrink(len(batch))
            else:
                answers += found
        return answers

    def _tried(
        self, batch: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Answer]]
    ) -> Sequence[Answer] | None:
        self._memory.begin()
        begin = self._clock()
        try:
            answers = work(batch)
        except Exception as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            _log.warning("not enough memory for %d %s at once", len(batch), self._what, exc_info=error)
            return None
        seconds = max(1e-6, (self._clock() - begin) / len(batch))
        # The least: the first work on a device takes longer than all that follows.
        self._item_seconds = min(self._item_seconds or seconds, seconds)
        self._item_bytes = max(self._item_bytes, self._memory.taken() // len(batch))
        return answers

    def _shrink(self, failed: int) -> None:
        self._most = max(1, failed // 2)
        self._notes.append(
            f"the graphics device had not enough memory for {failed} {self._what} at once: "
            f"{self._most} at once from here on"
        )
