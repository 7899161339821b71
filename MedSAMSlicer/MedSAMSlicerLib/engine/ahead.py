"""One slice is encoded while another is worked on: by a thread that does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np


class AheadEncoder:
    """Makes one embedding at a time in the background. Runtimes take one slice at a time, so whoever wants to encode
    another one has to `settle` first."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encode-ahead")
        self._key: str | None = None
        self._pending: Future[np.ndarray] | None = None

    def start(self, key: str, make: Callable[[], np.ndarray]) -> None:
        """Begin with an embedding, unless one is being made already."""
        if self._pending is None:
            self._key, self._pending = key, self._thread.submit(make)

    def settle(self) -> tuple[str, np.ndarray] | None:
        """Wait for what is being made, and hand it over with its key; None if there is nothing.

        Raises:
            Whatever the encoder raised.
        """
        pending, self._pending = self._pending, None
        if pending is None or self._key is None:
            return None
        return self._key, pending.result()
