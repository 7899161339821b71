"""Requests that have arrived at the inference process and wait to be served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import Cancelled
from .framing import Message


class RequestQueueClosed(Exception):
    """No more requests arrive: the inference process ends."""


class RequestQueue:
    """Thread-safe queue of requests. One thread puts messages into it, another one takes them.

    Cancellations and slices do not wait behind other requests: the run in progress finds them at once. Of the waiting
    previews only the newest is kept, since the user has moved the box on. A preview without an image gets that of the
    preview before: while a box is drawn, its slice is sent once.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: deque[Message] = deque()
        self._preview: Message | None = None
        self._image: Mapping[str, np.ndarray] = {}
        self._superseded: list[int] = []
        self._cancelled: set[int] = set()
        self._slices: dict[tuple[int, int], Message] = {}
        self._closed = False

    def put(self, message: Message) -> None:
        """Add a message. Raises WorkerError if it has no job number or a slice has no index."""
        with self._changed:
            job = message.integer("job")
            if message.kind == "cancel":
                self._cancelled.add(job)
            elif message.kind == "slice":
                self._slices[job, message.integer("index")] = message
            elif message.kind == "preview":
                if self._preview is not None:
                    self._superseded.append(self._preview.integer("job"))
                self._preview = self._with_image(message)
            else:
                self._requests.append(message)
            self._changed.notify_all()

    def close(self) -> None:
        """Make every waiting and later call that takes a message raise `RequestQueueClosed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> Message:
        """Wait for a request and take it. A preview is taken before all other requests. Raises RequestQueueClosed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._preview is not None or self._requests)
            if self._closed:
                raise RequestQueueClosed
            return self._pop_preview() or self._requests.popleft()

    def take_preview(self, choice: object) -> Message | None:
        """Take the waiting preview if its field ``choice`` has this value; None otherwise. Raises RequestQueueClosed."""
        with self._changed:
            if self._closed:
                raise RequestQueueClosed
            if self._preview is None or self._preview.fields.get("choice") != choice:
                return None
            return self._pop_preview()

    def take_superseded(self) -> list[int]:
        """Job numbers of the previews that were dropped since the last call."""
        with self._changed:
            superseded, self._superseded = self._superseded, []
            return superseded

    def take_slice(self, job: int, index: int) -> Message:
        """Wait for one slice of a job. Raises Cancelled if the job is cancelled, RequestQueueClosed if the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or job in self._cancelled or (job, index) in self._slices)
            self._check(job)
            return self._slices.pop((job, index))

    def check(self, job: int) -> None:
        """Raise Cancelled if the job is cancelled, RequestQueueClosed if the queue is closed."""
        with self._changed:
            self._check(job)

    def forget(self, job: int) -> None:
        """Remove the slices and the cancellation of a job that has ended."""
        with self._changed:
            self._cancelled.discard(job)
            for key in [key for key in self._slices if key[0] == job]:
                del self._slices[key]

    def _check(self, job: int) -> None:
        if self._closed:
            raise RequestQueueClosed
        if job in self._cancelled:
            raise Cancelled

    def _with_image(self, preview: Message) -> Message:
        if "image" in preview.arrays:
            self._image = {"image": preview.arrays["image"]}
            return preview
        return replace(preview, arrays={**self._image, **preview.arrays})

    def _pop_preview(self) -> Message | None:
        preview, self._preview = self._preview, None
        return preview
