"""Slices are encoded while another is worked on: by a thread that does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

Made = list[tuple[str, np.ndarray]]
"""Keys and embeddings."""


class AheadEncoder:
    """Makes embeddings in the background, those of one call at a time. Runtimes encode one thing at a time, so whoever
    wants to encode another slice has to `settle` first."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode-ahead")
        self._pending: Future[Made] | None = None

    @property
    def busy(self) -> bool:
        """Whether something has been begun and not handed over yet."""
        return self._pending is not None

    def start(self, make: Callable[[], Made]) -> None:
        """Begin with embeddings, unless some are being made already."""
        if self._pending is None:
            self._pending = self._thread.submit(make)

    def settle(self) -> Made:
        """Wait for what is being made, and hand it over; nothing if nothing was begun.

        Raises:
            Whatever the encoder raised.
        """
        pending, self._pending = self._pending, None
        return [] if pending is None else pending.result()
