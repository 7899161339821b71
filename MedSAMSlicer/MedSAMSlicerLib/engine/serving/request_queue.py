"""What has arrived at the inference process and waits for its turn."""

from __future__ import annotations

import threading
from collections import deque

from ..errors import Cancelled
from ..i18n import tr as _
from .framing import Message


class RequestQueueClosed(Exception):
    """Nothing more will arrive: the process is to end."""


class RequestQueue:
    """Requests in order, with cancels and slices where a run in progress finds them.

    One thread puts messages in as they arrive; another takes them out. A cancel is seen at once, whatever waits
    before it. Of the previews that wait only the newest is kept: the box that the user has left is of no interest.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: deque[Message] = deque()
        self._preview: Message | None = None
        self._superseded: list[int] = []
        self._cancelled: set[int] = set()
        self._slices: dict[tuple[int, int], Message] = {}
        self._closed = False

    def put(self, message: Message) -> None:
        """Add what has arrived. Raises WorkerError if a job or slice number is missing."""
        with self._changed:
            if message.kind == "cancel":
                self._cancelled.add(message.integer("job"))
            elif message.kind == "slice":
                self._slices[message.integer("job"), message.integer("index")] = message
            elif message.kind == "preview":
                message.integer("job")
                if self._preview is not None:
                    self._superseded.append(self._preview.integer("job"))
                self._preview = message
            else:
                self._requests.append(message)
            self._changed.notify_all()

    def close(self) -> None:
        """Wake whoever waits, with `RequestQueueClosed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> Message:
        """Wait for a request and take it; a preview comes before all others. Raises RequestQueueClosed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._preview is not None or self._requests)
            if self._closed:
                raise RequestQueueClosed
            if (preview := self._taken_preview()) is not None:
                return preview
            return self._requests.popleft()

    def take_preview(self) -> Message | None:
        """The waiting preview, if there is one, without waiting for it. Raises RequestQueueClosed."""
        with self._changed:
            if self._closed:
                raise RequestQueueClosed
            return self._taken_preview()

    def put_back_preview(self, message: Message) -> None:
        """Keep a taken preview for later, unless a newer one has come meanwhile."""
        with self._changed:
            if self._preview is None:
                self._preview = message
            else:
                self._superseded.append(message.integer("job"))

    def take_superseded(self) -> list[int]:
        """Jobs of the previews that were dropped since the last call."""
        with self._changed:
            dropped, self._superseded = self._superseded, []
            return dropped

    def take_slice(self, job: int, index: int) -> Message:
        """Wait for one slice of a job. Raises Cancelled if the job is cancelled, RequestQueueClosed at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or job in self._cancelled or (job, index) in self._slices)
            self._check(job)
            return self._slices.pop((job, index))

    def check(self, job: int) -> None:
        """Raises Cancelled if the job is to stop, RequestQueueClosed if the process is."""
        with self._changed:
            self._check(job)

    def forget(self, job: int) -> None:
        """Drop what is kept for a job that has ended."""
        with self._changed:
            self._cancelled.discard(job)
            for key in [key for key in self._slices if key[0] == job]:
                del self._slices[key]

    def _check(self, job: int) -> None:
        if self._closed:
            raise RequestQueueClosed
        if job in self._cancelled:
            raise Cancelled(_("cancelled: nothing was written"))

    def _taken_preview(self) -> Message | None:
        preview, self._preview = self._preview, None
        return preview
