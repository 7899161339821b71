"""Encoding of slices in a background thread while the caller works on another slice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

Embeddings = list[tuple[str, np.ndarray]]
"""Cache keys and float32 (channels, h, w) embeddings."""


class BackgroundEncoder:
    """Computes embeddings in a background thread, one call at a time.

    Runtimes are not thread-safe: `collect` the pending embeddings before encoding anything else.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="background-encoder")
        self._pending: Future[Embeddings] | None = None

    @property
    def busy(self) -> bool:
        """Whether embeddings are pending that have not been collected."""
        return self._pending is not None

    def start(self, encode: Callable[[], Embeddings]) -> None:
        """Start a function that computes embeddings. Does nothing if embeddings are pending."""
        if self._pending is None:
            self._pending = self._thread.submit(encode)

    def collect(self) -> Embeddings:
        """Wait for the pending embeddings and return them; an empty list if none are pending.

        Raises:
            Exception: whatever the function raised.
        """
        pending, self._pending = self._pending, None
        return [] if pending is None else pending.result()
