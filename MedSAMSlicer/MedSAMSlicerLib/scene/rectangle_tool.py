"""The rectangle that is being drawn, and the mask in it that is seen meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.errors import MedSAMError
from ..engine.results import Prediction
from ..engine.runner import Runner
from .drag import Drag
from .effect_parameters import EffectParameters
from .overlay import StackImage
from .preview_queue import PreviewQueue, PreviewRequest
from .slice_reader import SliceReader
from .view_plane import Plane, Stack, ViewGeometry


class RectangleTool:
    """One rectangle at a time.

    Args:
        reader: gives the slice that previews are made of; previews wait until it has a window.
        runner: answers previews.
        parameters: say which model is asked.
        on_change: a preview has come.
        on_failed: there will be none, and why.
    """

    def __init__(
        self,
        reader: SliceReader,
        runner: Runner,
        parameters: EffectParameters,
        on_change: Callable[[], None],
        on_failed: Callable[[MedSAMError], None],
    ) -> None:
        self._reader, self._runner, self._parameters = reader, runner, parameters
        self._on_change, self._on_failed = on_change, on_failed
        self._queue = PreviewQueue(self._ask, self._answered, self._failed)
        self._queue.pause(True)
        self.drag: Drag | None = None
        self.plane = Plane("K")
        """Plane of the rectangle that is being drawn, or was drawn last."""
        self.image: StackImage | None = None
        """The mask on the rectangle's slice; None if there is none to be seen."""
        self.shown: PreviewRequest | None = None
        """What `image` is the answer to."""
        self._stack: Stack | None = None

    @property
    def stack(self) -> Stack:
        """Slices that the rectangle is drawn on. There is none before the first `begin`."""
        assert self._stack is not None
        return self._stack

    @property
    def busy(self) -> bool:
        return self._queue.busy

    def begin(self, plane: Plane, stack: Stack, view: ViewGeometry, xy: tuple[float, float], adds_key: bool) -> None:
        """Raises InputError if `xy` lies outside of the volume."""
        drag = Drag(stack, view, xy, adds_key)
        self.drop()
        self.drag, self.plane, self._stack = drag, plane, stack

    def move(self, xy: tuple[float, float]) -> None:
        """Draw on; a preview is asked for if the box has changed."""
        if self.drag is None:
            return
        before, box = self.drag.box, self.drag.to(xy)
        if box is None:
            self.forget_previews()
        elif box != before:
            self._queue.request(PreviewRequest(self.drag.index, box))

    def end(self, xy: tuple[float, float]) -> Drag | None:
        """The rectangle, done; None if it is too small to mean one. Its preview stays until `drop`."""
        if self.drag is None:
            return None
        drag, self.drag = self.drag, None
        if drag.to(xy) is None:
            self.drop()
            return None
        return drag

    def drop(self) -> bool:
        """Forget rectangle and preview. False if no rectangle was being drawn."""
        self.forget_previews()
        was_drawing, self.drag = self.drag is not None, None
        return was_drawing

    def forget_previews(self) -> None:
        """Show none, and answer none that was asked for up to now."""
        self._queue.drop()
        self.image = self.shown = None

    def pause(self, paused: bool) -> None:
        """Let previews wait, while there is no window."""
        self._queue.pause(paused)

    def _ask(
        self, request: PreviewRequest, on_answer: Callable[[Prediction], None], on_failed: Callable[[MedSAMError], None]
    ) -> None:
        image = self._reader.image(self.plane, self.stack, request.index)
        self._runner.preview(self._parameters.choice, image, request.box, on_answer, on_failed)

    def _answered(self, request: PreviewRequest, prediction: Prediction) -> None:
        if self.image is None or self.shown is None or self.shown.index != request.index:
            self.image = StackImage(self.stack, request.index, 1)
        self.shown = request
        self.image.put(request.index, prediction.mask)
        self._on_change()

    def _failed(self, error: MedSAMError) -> None:
        self.image = self.shown = None
        self._on_failed(error)
