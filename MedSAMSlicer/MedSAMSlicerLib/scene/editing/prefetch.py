"""Encodes the slices around the one in view while the engine is idle, so that their previews come at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...engine.environment import embeddings_megabytes
from ...engine.errors import Cancelled, MedSAMError
from ..state.segment_state import SegmentState
from ..volume.slice_reader import SliceReader
from ..volume.view_plane import Plane, Stack, ViewGeometry
from ..worker.worker_client import WorkerClient

PAUSE = 0.4
"""Seconds that the view must stand still: slices passed while scrolling are not worth encoding."""
EMBEDDING_BYTES = 4 << 20
"""Size of the largest embedding of the models here: 256 x 64 x 64 numbers of 4 bytes."""
CACHE_SHARE = 0.25
"""Share of the engine's embedding cache that prefetched slices may fill, so that they do not displace those of a run."""


class PrefetchQueue:
    """Orders the slices around the one in view: nearest first, and no more than the cache has room for.

    Args:
        cache_bytes: size of the engine's embedding cache.
    """

    def __init__(self, cache_bytes: int) -> None:
        self.limit = int(cache_bytes * CACHE_SHARE) // EMBEDDING_BYTES
        self._waiting: list[int] = []
        self._done: list[int] = []

    def __len__(self) -> int:
        """Number of slices that are still to be encoded."""
        return len(self._waiting)

    def look_at(self, index: int, slices: int) -> None:
        """Queue the slices around slice `index` of a stack of `slices`, except those already taken."""
        nearest = sorted(range(slices), key=lambda other: (abs(other - index), -other))[: self.limit]
        # Slices farther away may have left the cache meanwhile; if not, encoding them again costs nothing.
        self._done = [done for done in self._done if done in nearest]
        self._waiting = [one for one in nearest if one not in self._done]

    def take(self) -> int | None:
        """The next slice to encode; None if there is none."""
        if not self._waiting:
            return None
        self._done.append(self._waiting.pop(0))
        return self._done[-1]

    def put_back(self, index: int) -> None:
        """Count a slice that was taken as not encoded: something else came first."""
        if index in self._done:
            self._done.remove(index)

    def stop(self) -> None:
        """Empty the queue until the next `look_at`."""
        self._waiting = []

    def forget(self) -> None:
        """Empty the queue, and count no slice as encoded any more."""
        self._waiting, self._done = [], []


class Prefetcher:
    """Follows the view. Errors are ignored: prefetching is not user-initiated, and the next preview or run reports them.

    One slice is encoded at a time. A network cannot be interrupted within a slice, so a request that arrives meanwhile
    waits for that slice: about a second with LiteMedSAM in PyTorch on two CPU cores, several with the larger models.
    Ending the process instead would cost the time to load the model again, which is longer.

    Args:
        state: the segment that is contoured.
        reader: provides slices.
        client: encodes them.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        state: SegmentState,
        reader: SliceReader,
        client: WorkerClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._reader, self._client, self._clock = state, reader, client, clock
        self._queue = PrefetchQueue(embeddings_megabytes() << 20)
        self._looked = clock()
        self._view: ViewGeometry | None = None
        self._stopped = False
        self._stack: tuple[Plane, Stack] | None = None
        self._basis: tuple[object, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether slices are still to be encoded, now or when the work that has stopped it is done."""
        return len(self._queue) > 0 or self._stopped

    def look_at(self, view: ViewGeometry) -> None:
        """Encode the slices around the one that the view shows, from the next `step` on."""
        state = self._state
        self._view, self._stopped = view, False
        try:
            if state.gone or not state.parameters.flag("EncodeAhead"):
                self.look_away()
                return
            plane = state.plane_in(view)
            stack, index = state.stack(plane), state.index_in(view, plane)
            basis = (plane, state.parameters.choice, self._reader.state)
        except MedSAMError:
            self.look_away()
            return
        if basis != self._basis:
            self._queue.forget()
            self._basis = basis
        self._stack, self._looked = (plane, stack), self._clock()
        self._queue.look_at(index, stack.shape[0])

    def step(self) -> None:
        """Encode one slice, if the view stands still and the client is idle; to be called while nothing else is to be done."""
        if not self._state.parameters.flag("EncodeAhead"):
            self.look_away()
        if self._stopped and self._view is not None:
            self.look_at(self._view)
        if self._clock() - self._looked < PAUSE or not self._client.idle or self._stack is None:
            return
        index = self._queue.take()
        if index is None:
            return
        try:
            image = self._reader.image(*self._stack, index)
            self._client.encode(self._state.parameters.choice, image, lambda error: self._failed(error, index))
        except MedSAMError:
            self.forget()

    def _failed(self, error: MedSAMError, index: int) -> None:
        if isinstance(error, Cancelled):
            self._queue.put_back(index)
        else:
            self.forget()

    def stop(self, view: ViewGeometry | None = None) -> None:
        """There is work to do: encode nothing more until `step` is called again. One slice may be under way.

        Args:
            view: the view that the user looks at meanwhile; None: the same as before.
        """
        self._view = view or self._view
        self._stopped = self._view is not None
        self._queue.stop()
        self._client.stop_encoding()

    def look_away(self) -> None:
        """Encode nothing more until the next `look_at`. One slice may be under way."""
        self._view, self._stopped = None, False
        self._queue.stop()

    def forget(self) -> None:
        """As `look_away`, and count no slice as encoded any more: the engine may have lost its cache."""
        self.look_away()
        self._queue.forget()
