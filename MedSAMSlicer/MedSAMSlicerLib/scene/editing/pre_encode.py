"""Which slices to encode ahead while nothing else is to be done."""

from __future__ import annotations

from collections.abc import Callable

EMBEDDING_BYTES = 4 << 20
"""Largest embedding of the models here: 256 x 64 x 64 numbers of 4 bytes."""
CACHE_SHARE = 0.25
"""Share of the engine's cache that slices encoded ahead may fill, so that they don't push out those of a run."""


class PreEncoder:
    """Encodes the slices around the one in view, nearest first, one at a time.

    Args:
        encode: has one slice encoded; called only from `step`.
        cache_bytes: size of the engine's cache of embeddings.
    """

    def __init__(self, encode: Callable[[int], None], cache_bytes: int) -> None:
        self._encode = encode
        self.limit = int(cache_bytes * CACHE_SHARE) // EMBEDDING_BYTES
        self._plan: list[int] = []
        self._done: list[int] = []

    @property
    def waiting(self) -> int:
        """How many slices are still to be encoded."""
        return len(self._plan)

    def look_at(self, index: int, slices: int) -> None:
        """The view shows slice `index` of a stack of so many: from now on the slices around it are encoded."""
        around = sorted(range(slices), key=lambda other: (abs(other - index), -other))
        wanted = around[: self.limit]
        # What lies further away now may have been pushed out of the cache; if not, encoding it again costs nothing.
        self._done = [done for done in self._done if done in wanted]
        self._plan = [one for one in wanted if one not in self._done]

    def step(self) -> bool:
        """Encode the next slice of the plan; False if there is none. To be called when the engine has nothing to do."""
        if not self._plan:
            return False
        index = self._plan.pop(0)
        self._done.append(index)
        self._encode(index)
        return True

    def stop(self) -> None:
        """Encode nothing more until `look_at` is called again."""
        self._plan = []

    def forget(self) -> None:
        """As `stop`; slices look different from now on, or the engine has lost what it had."""
        self._plan, self._done = [], []
