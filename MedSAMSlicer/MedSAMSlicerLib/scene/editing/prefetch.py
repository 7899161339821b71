"""Has the slices around the one in view encoded while the engine has nothing else to do."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...engine.environment import embeddings_megabytes
from ...engine.errors import MedSAMError
from ...engine.serving.inference_client import InferenceClient
from ..state.effect_parameters import EffectParameters
from ..volume.view_plane import Plane, Stack
from .pre_encode import PreEncoder
from .slice_reader import SliceReader

PAUSE = 0.4
"""Seconds for which the view must stand still: whoever scrolls is not there yet, and an encoder once begun goes on."""


class Prefetcher:
    """Follows the view. Trouble is not told: nobody has asked for anything, and it will be told when somebody does.

    One slice is encoded at a time, and none while anything else is to be done. A network cannot be interrupted within
    a slice, so whoever asks for something meanwhile waits for that slice to end, and for no other: about a second with
    LiteMedSAM in PyTorch on two processor cores, several with the larger models. Ending the process instead would cost
    the time to load the model again, which is longer. A cancel never waits: `WorkerClient` ends the process then.
    """

    def __init__(
        self,
        reader: SliceReader,
        runner: InferenceClient,
        parameters: EffectParameters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader, self._runner, self._parameters, self._clock = reader, runner, parameters, clock
        self._encoder = PreEncoder(self._encode, embeddings_megabytes() << 20)
        self._looked = clock()
        self._where: tuple[Plane, Stack] | None = None
        self._what: tuple[object, ...] = ()

    @property
    def waiting(self) -> int:
        """How many slices are still to be encoded."""
        return self._encoder.waiting

    def look_at(self, plane: Plane, stack: Stack, index: int) -> None:
        """The view shows this slice. Raises InputError if an option cannot be read."""
        what = (plane, self._parameters.choice, self._reader.state)
        if what != self._what:
            self._encoder.forget()
            self._what = what
        self._where, self._looked = (plane, stack), self._clock()
        self._encoder.look_at(index, stack.shape[0])

    def step(self) -> None:
        """Encode one slice, if the view stands still and the engine has nothing to do. The switch counts at once."""
        if not self._parameters.flag("EncodeAhead"):
            self.stop()
        if self._clock() - self._looked >= PAUSE and self._runner.idle:
            self._encoder.step()

    def stop(self) -> None:
        """Encode nothing more until the next `look_at`. One slice may be under way."""
        self._encoder.stop()

    def forget(self) -> None:
        """The engine may have lost what it had."""
        self._encoder.forget()

    def _encode(self, index: int) -> None:
        if self._where is None:
            return
        try:
            image = self._reader.image(*self._where, index)
            self._runner.encode(self._parameters.choice, image, lambda _error: self.forget())
        except MedSAMError:
            self.forget()
