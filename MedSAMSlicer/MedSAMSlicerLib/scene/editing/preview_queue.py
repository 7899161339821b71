"""Previews at the pace of the engine, however fast the mouse is: one is asked for at a time, and the newest next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...engine.errors import MedSAMError
from ...engine.oriented_box import OrientedBox
from ...engine.prompts import Box, SlicePrompt, as_slice_prompt
from ...engine.results import Prediction


@dataclass(frozen=True)
class PreviewRequest:
    """The mask wanted: of `prompt`, in pixels of slice `index`, as far as it lies in `solid`."""

    index: int
    prompt: Box | SlicePrompt
    solid: OrientedBox | None = None

    @property
    def box(self) -> Box | None:
        """The prompt's box, if it has one."""
        return as_slice_prompt(self.prompt).box


Ask = Callable[[PreviewRequest, Callable[[Prediction], None], Callable[[MedSAMError], None]], None]


class PreviewQueue:
    """Keeps at most one request under way and one waiting.

    Args:
        ask: begins one request; exactly one of its two callbacks is called, unless `ask` itself raises.
        on_preview: gets each request with its answer, unless `drop` was called since it was made.
        on_failed: gets the error of a request that failed, under the same condition.
    """

    def __init__(
        self,
        ask: Ask,
        on_preview: Callable[[PreviewRequest, Prediction], None],
        on_failed: Callable[[MedSAMError], None],
    ) -> None:
        self._ask, self._on_preview, self._on_failed = ask, on_preview, on_failed
        self._waiting: PreviewRequest | None = None
        self._under_way = False
        self._generation = 0
        self._paused = False

    @property
    def busy(self) -> bool:
        """Whether something is under way or waits."""
        return self._under_way or self._waiting is not None

    def request(self, request: PreviewRequest) -> None:
        """Ask for a preview now, or when the one under way is answered; one that waited until then is forgotten."""
        self._waiting = request
        self._next()

    def drop(self) -> None:
        """Forget what waits, and the answer that is under way."""
        self._waiting = None
        self._generation += 1

    def pause(self, paused: bool) -> None:
        """Let requests wait, while what they need is not there; the newest goes on after that."""
        self._paused = paused
        self._next()

    def _next(self) -> None:
        if self._under_way or self._paused or self._waiting is None:
            return
        request, self._waiting, self._under_way = self._waiting, None, True
        try:
            self._ask(
                request,
                partial(self._answered, self._generation, request),
                partial(self._failed, self._generation),
            )
        except MedSAMError as error:
            self._failed(self._generation, error)

    def _answered(self, generation: int, request: PreviewRequest, prediction: Prediction) -> None:
        self._under_way = False
        # The next one goes out first: drawing this one takes time in which the engine can work.
        self._next()
        if generation == self._generation:
            self._on_preview(request, prediction)

    def _failed(self, generation: int, error: MedSAMError) -> None:
        self._under_way = False
        waiting, self._waiting = self._waiting, None
        if generation == self._generation:
            self._on_failed(error)
        elif waiting is not None:
            # The error was about something that nobody wants any more.
            self.request(waiting)
