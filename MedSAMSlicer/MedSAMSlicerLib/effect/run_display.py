"""Shows what a run has found so far, and how far it has come, while the application stays responsive."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..scene.editing.contour_editor import ContourEditor
from .overlays import Overlays

SECONDS_BETWEEN_DRAWINGS = 0.1
LONGEST_PAUSE = 1.0
PAUSE_PER_DRAWING = 2.0
"""Pause after a drawing as a multiple of its duration, if that is longer than a tenth of a second. Without a graphics card the views
are rendered by the processor's cores, and would take most of them from the engine."""


class RunDisplay:
    """Draws results at most ten times a second, and only in views that show a changed slice.

    Rendering a view takes a fifth of a second on a computer without a graphics card. So each call of `step` has at most
    one view rendered: between two calls the application takes the mouse, keys, and what the inference process has sent.

    Args:
        overlays: draws in the views.
        show_progress: updates the options frame, if it shows another progress.
        clock: monotonic seconds.
    """

    def __init__(
        self, overlays: Overlays, show_progress: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._overlays, self._show_progress, self._clock = overlays, show_progress, clock
        self._next_text = self._next_drawing = 0.0
        self._begun: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether `step` has to be called because of the views."""
        return self._overlays.waiting

    def step(self, editor: ContourEditor | None) -> None:
        """Draw what is new. To be called from a timer, several times a second, after all messages were read."""
        now = self._clock()
        if editor is not None and now >= self._next_text:
            self._next_text = now + SECONDS_BETWEEN_DRAWINGS
            self._show_progress()
        image = None if editor is None else editor.state.current.image
        if self._overlays.waiting:
            # Counted from the last view.
            self._begun = now if self._begun is None else self._begun
            pause = min(LONGEST_PAUSE, PAUSE_PER_DRAWING * (now - self._begun))
            self._next_drawing = now + max(SECONDS_BETWEEN_DRAWINGS, pause)
        elif image is not None and image.changed and now >= self._next_drawing:
            self._begun = now
            self._overlays.result_grew(image)
        self._overlays.render_next(editor)
        if not self._overlays.waiting:
            # No step may follow before there is something new.
            self._begun = None
