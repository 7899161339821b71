"""The mask of one slice that is seen before any run: in a rectangle that is being drawn, or of what was clicked."""

from __future__ import annotations

from collections.abc import Callable

from ...engine.errors import MedSAMError
from ...engine.oriented_box import OrientedBox
from ...engine.prompts import Box, SlicePrompt
from ...engine.results import Prediction
from ...engine.serving.inference_client import InferenceClient
from ..display.overlay import StackImage
from ..state.effect_parameters import EffectParameters
from ..volume.view_plane import Plane, Stack
from .preview_queue import PreviewQueue, PreviewRequest
from .slice_reader import SliceReader


class SlicePreview:
    """One at a time, whoever asks: the engine answers only the newest request.

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
        runner: InferenceClient,
        parameters: EffectParameters,
        on_change: Callable[[], None],
        on_failed: Callable[[MedSAMError], None],
    ) -> None:
        self._reader, self._runner, self._parameters = reader, runner, parameters
        self._on_change, self._on_failed = on_change, on_failed
        self.queue = PreviewQueue(self._ask, self._answered, self._failed)
        self.queue.pause(True)
        self.plane = Plane("K")
        """Plane of the slices that were asked for last."""
        self.image: StackImage | None = None
        """The mask on its slice; None if there is none to be seen."""
        self.shown: PreviewRequest | None = None
        """What `image` is the answer to."""
        self.asked: tuple[object, ...] | None = None
        """What whoever asked last calls it, if it is to be known again; None once it is forgotten."""
        self._stack: Stack | None = None

    @property
    def stack(self) -> Stack:
        """Slices that were asked for last. There are none before the first `use`."""
        assert self._stack is not None
        return self._stack

    @property
    def busy(self) -> bool:
        return self.queue.busy

    def use(self, plane: Plane, stack: Stack) -> None:
        """Take slices from this stack from now on; what was seen in another plane goes."""
        if plane != self.plane:
            self.forget()
        self.plane, self._stack = plane, stack

    def request(
        self,
        index: int,
        prompt: Box | SlicePrompt,
        name: tuple[object, ...] | None = None,
        solid: OrientedBox | None = None,
    ) -> None:
        """Have the mask of a slice of the stack in use shown, when its turn comes.

        Args:
            name: what `asked` is from now on.
            solid: the ROI that the mask is cut to, as a run would cut it.
        """
        self.asked = name
        self.queue.request(PreviewRequest(index, prompt, solid))

    def forget(self) -> None:
        """Show none, and answer none that was asked for up to now."""
        self.queue.drop()
        self.image = self.shown = self.asked = None

    def pause(self, paused: bool) -> None:
        """Let previews wait, while there is no window."""
        self.queue.pause(paused)

    def _ask(
        self, request: PreviewRequest, on_answer: Callable[[Prediction], None], on_failed: Callable[[MedSAMError], None]
    ) -> None:
        image = self._reader.image(self.plane, self.stack, request.index)
        self._runner.preview(self._parameters.choice, image, request.prompt, on_answer, on_failed)

    def _answered(self, request: PreviewRequest, prediction: Prediction) -> None:
        if self.image is None or self.shown is None or self.shown.index != request.index:
            self.image = StackImage(self.stack, request.index, 1)
        self.shown = request
        mask = prediction.mask
        if request.solid is not None:
            mask = mask & request.solid.on_slice(self.stack.slice_to_world(request.index), *mask.shape)
        self.image.put(request.index, mask)
        self._on_change()

    def _failed(self, error: MedSAMError) -> None:
        self.image = self.shown = None
        self._on_failed(error)
