"""Has the slices around the one in view encoded while the engine has nothing else to do."""

from __future__ import annotations

from ..engine.embedding_cache import DEFAULT_BYTES
from ..engine.errors import MedSAMError
from ..engine.runner import Runner
from .effect_parameters import EffectParameters
from .pre_encode import PreEncoder
from .slice_reader import SliceReader
from .view_plane import Plane, Stack


class LookAhead:
    """Follows the view. Trouble is not told: nobody has asked for anything, and it will be told when somebody does."""

    def __init__(self, reader: SliceReader, runner: Runner, parameters: EffectParameters) -> None:
        self._reader, self._runner, self._parameters = reader, runner, parameters
        self._encoder = PreEncoder(self._encode, DEFAULT_BYTES)
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
        self._where = (plane, stack)
        self._encoder.look_at(index, stack.shape[0])

    def step(self) -> None:
        """Encode one slice, if the engine has nothing to do."""
        if self._runner.idle:
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
