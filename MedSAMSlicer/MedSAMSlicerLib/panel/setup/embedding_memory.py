"""Memory for encoded slices: how much inference processes may take, and who is asked to give it back."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from ...engine.environment import EMBEDDINGS_VARIABLE


class KeepsEncodedSlices(Protocol):
    """Whoever has an inference process."""

    def forget_encoded_slices(self) -> None:
        """Have the memory given back, at the latest when a run that is under way has ended."""
        ...


_keepers: weakref.WeakSet[KeepsEncodedSlices] = weakref.WeakSet()


def register(keeper: KeepsEncodedSlices) -> None:
    """Have `keeper` asked whenever the user clears the memory, as long as it lives."""
    _keepers.add(keeper)


def forget_all() -> int:
    """Ask all keepers; how many there were."""
    keepers = list(_keepers)
    for keeper in keepers:
        keeper.forget_encoded_slices()
    return len(keepers)


def limit_to(megabytes: int) -> None:
    """Bound the memory of inference processes that start from now on."""
    os.environ[EMBEDDINGS_VARIABLE] = str(int(megabytes))
