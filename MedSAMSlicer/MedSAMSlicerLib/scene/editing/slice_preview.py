"""The mask of one slice that is shown before any run: inside a rectangle that is being drawn, or for clicks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...engine.errors import MedSAMError
from ...engine.prompts import Box, SlicePrompt
from ...engine.results import Prediction
from ...engine.volume.oriented_box import OrientedBox
from ..display.overlay import StackImage
from ..state.segment_state import SegmentState
from ..volume.slice_reader import SliceReader
from ..volume.view_plane import Plane, Stack
from ..worker.progress import Progress
from ..worker.worker_client import WorkerClient


@dataclass(frozen=True)
class PreviewRequest:
    """A request for one mask.

    Attributes:
        index: slice of the stack in use.
        prompt: in slice pixels.
        oriented_box: rotated ROI that the mask is cut to, as a run would cut it.
    """

    index: int
    prompt: SlicePrompt
    oriented_box: OrientedBox | None = None

    @property
    def box(self) -> Box | None:
        """The prompt's box, if it has one."""
        return self.prompt.box


Send = Callable[[PreviewRequest, Callable[[Prediction], None], Callable[[MedSAMError], None]], None]


class PreviewQueue:
    """Sends requests at the pace of the engine: at most one is under way, and only the newest one waits.

    Args:
        send: sends one request; calls exactly one of its two callbacks, unless it raises.
        on_preview: gets each request with its prediction, unless `drop` was called since the request.
        on_failed: gets the error of a request, under the same condition.
    """

    def __init__(
        self,
        send: Send,
        on_preview: Callable[[PreviewRequest, Prediction], None],
        on_failed: Callable[[MedSAMError], None],
    ) -> None:
        self._send, self._on_preview, self._on_failed = send, on_preview, on_failed
        self._waiting: PreviewRequest | None = None
        self._under_way = False
        self._generation = self._sent = 0
        self._paused = False

    @property
    def busy(self) -> bool:
        """Whether a request is under way or waits."""
        return self._under_way or self._waiting is not None

    @property
    def awaited(self) -> bool:
        """Whether an answer is still wanted."""
        return self._waiting is not None or (self._under_way and self._sent == self._generation)

    def request(self, request: PreviewRequest) -> None:
        """Send a request now, or when the one under way is answered. Replaces a request that waits."""
        self._waiting = request
        self._next()

    def drop(self) -> None:
        """Drop the request that waits, and ignore the answer to the one under way."""
        self._waiting = None
        self._generation += 1

    def pause(self, paused: bool) -> None:
        """Hold requests back, or continue with the newest one."""
        self._paused = paused
        self._next()

    def _next(self) -> None:
        if self._under_way or self._paused or self._waiting is None:
            return
        request, self._waiting, self._under_way, self._sent = self._waiting, None, True, self._generation
        try:
            self._send(
                request,
                partial(self._answered, self._generation, request),
                partial(self._failed, self._generation),
            )
        except MedSAMError as error:
            self._failed(self._generation, error)

    def _answered(self, generation: int, request: PreviewRequest, prediction: Prediction) -> None:
        self._under_way = False
        # The next request goes out first: the engine works while this mask is drawn.
        self._next()
        if generation == self._generation:
            self._on_preview(request, prediction)

    def _failed(self, generation: int, error: MedSAMError) -> None:
        self._under_way = False
        waiting, self._waiting = self._waiting, None
        if generation == self._generation:
            self._on_failed(error)
        elif waiting is not None:
            # The error belongs to a request that was dropped.
            self.request(waiting)


class SlicePreview:
    """Shows one mask at a time, whichever tool requests it.

    Attributes:
        plane: plane of the slices that were used last.
        image: the mask on its slice; None if there is none.
        shown: the request that `image` answers.
        tag: identifies the newest request to the tool that made it; None after `forget`.

    Args:
        state: its `problem` is set, and its `changed` or `previewed` is emitted.
        reader: provides slices; requests wait until it has a window.
        client: predicts masks, with the model that the options name.
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
        self._since = clock()
        self._queue = PreviewQueue(self._send, self._answered, self._failed)
        self.plane = Plane("K")
        self.image: StackImage | None = None
        self.shown: PreviewRequest | None = None
        self.tag: tuple[object, ...] | None = None
        self._stack: Stack | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is under way or waits."""
        return self._queue.busy

    @property
    def progress(self) -> Progress | None:
        """What the user waits for: stage, and seconds since the request or the last answer; None if for nothing."""
        if not self._queue.awaited:
            return None
        stage = self._client.stage_for(self._state.parameters.choice)
        return Progress(stage, 0, None, self._clock() - self._since, None)

    def use(self, plane: Plane, stack: Stack) -> None:
        """Use slices of this stack from now on. A preview in another plane is forgotten."""
        if plane != self.plane:
            self.forget()
        self.plane, self._stack = plane, stack

    def request(
        self,
        index: int,
        prompt: SlicePrompt,
        tag: tuple[object, ...] | None = None,
        oriented_box: OrientedBox | None = None,
    ) -> None:
        """Request the mask of a slice of the stack in use; see `PreviewRequest`. Waits for `step` without a window."""
        self.tag = tag
        if not self._queue.awaited:
            self._since = self._clock()
        self.step()
        self._queue.request(PreviewRequest(index, prompt, oriented_box))

    def forget(self) -> None:
        """Show nothing, and ignore the answers to all requests so far."""
        self._queue.drop()
        self.image = self.shown = self.tag = None

    def step(self) -> None:
        """Send the request that waits, if the window is known by now."""
        try:
            searching = self._reader.window is None
        except MedSAMError:
            searching = False  # reading the slice reports it
        self._queue.pause(searching)

    @property
    def _stack_in_use(self) -> Stack:
        assert self._stack is not None, "`use` comes before `request`"
        return self._stack

    def _send(
        self, request: PreviewRequest, on_answer: Callable[[Prediction], None], on_failed: Callable[[MedSAMError], None]
    ) -> None:
        image = self._reader.image(self.plane, self._stack_in_use, request.index)
        self._client.preview(self._state.parameters.choice, image, request.prompt, on_answer, on_failed)

    def _answered(self, request: PreviewRequest, prediction: Prediction) -> None:
        self._since = self._clock()
        if self.image is None or self.shown is None or self.shown.index != request.index:
            self.image = StackImage(self._stack_in_use, request.index, 1)
        self.shown = request
        mask = prediction.mask
        if request.oriented_box is not None:
            slice_to_world = self._stack_in_use.slice_to_world(request.index)
            mask = mask & request.oriented_box.on_slice(slice_to_world, *mask.shape)
        self.image.put(request.index, mask)
        self._state.previewed.emit()

    def _failed(self, error: MedSAMError) -> None:
        self.image = self.shown = None
        self._state.fail(error)
