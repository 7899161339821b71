"""Embedding caches of the inference processes: their size limit, and clearing them on request."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from ...engine.environment import EMBEDDINGS_VARIABLE


class CacheOwner(Protocol):
    """An object that starts an inference process when it needs one."""

    def clear_embedding_cache(self) -> bool:
        """Free the embeddings of the process, at the latest when its current run has ended.

        Returns:
            Whether there is a process; without one, nothing is kept.
        """
        ...


_owners: weakref.WeakSet[CacheOwner] = weakref.WeakSet()


def register(owner: CacheOwner) -> None:
    """Include `owner` in `clear_all`. Only a weak reference is kept."""
    _owners.add(owner)


def clear_all() -> int:
    """Clear the caches of all registered owners. Returns the number of their processes."""
    return sum(owner.clear_embedding_cache() for owner in list(_owners))


def set_limit(megabytes: int) -> None:
    """Limit the cache of each inference process that starts from now on."""
    os.environ[EMBEDDINGS_VARIABLE] = str(int(megabytes))
