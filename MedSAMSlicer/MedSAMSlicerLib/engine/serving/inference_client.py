"""What a face holds to have slices contoured: an engine in its own process, or one called directly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from ..errors import MedSAMError
from ..model_choice import LoadedModel, ModelChoice, RunInfo
from ..prompts import Box, SlicePrompt, StackPrompt
from ..results import Prediction, SliceResult
from ..stack import SliceSource


class Stage(Enum):
    """What a run is doing."""

    STARTING = "starting"
    """The inference process is being started."""
    LOADING = "loading"
    """The model is being loaded, if it is not loaded already."""
    SEGMENTING = "segmenting"
    """Slices are being asked for and answered."""


def ignore(_: object) -> None:
    """For events that a caller has no use for."""


@dataclass(frozen=True)
class RunListener:
    """Who is told of a run. Of `on_finished` and `on_failed` exactly one is called, once, and nothing after it.

    Attributes:
        on_slice: a slice's result, each slice once, in the order in which they are found.
        on_finished: the run is over; what ran, how long it took, and what the user should read.
        on_failed: the run is over without a result; `Cancelled` after `cancel`.
        on_stage: the run has come to this stage.
    """

    on_slice: Callable[[SliceResult], None]
    on_finished: Callable[[RunInfo], None]
    on_failed: Callable[[MedSAMError], None]
    on_stage: Callable[[Stage], None] = ignore


class StageReporter:
    """Tells a listener of each stage once; stages only go forward."""

    def __init__(self, listener: RunListener) -> None:
        self._listener = listener
        self._to_come = list(Stage)

    def enter(self, stage: Stage) -> None:
        if stage in self._to_come:
            del self._to_come[: self._to_come.index(stage) + 1]
            self._listener.on_stage(stage)


class InferenceClient(Protocol):
    """An engine that works while its owner stays responsive.

    Calls return at once, all from one thread; answers arrive through the callbacks, most of them while the owner
    calls `step`. One run goes on at a time.
    """

    @property
    def running(self) -> bool:
        """Whether a run is going on, until its last callback."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing at all is to be done, so that `step` need not be called."""
        ...

    def segment(self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, listener: RunListener) -> None:
        """Begin a run. `source` is read from within `step` and from other callbacks, never from another thread.

        Raises:
            InputError: the prompt lies outside the stack, or another run is going on.
            WorkerError: the inference process cannot be started.
        """
        ...

    def preview(
        self,
        choice: ModelChoice,
        image: np.ndarray,
        prompt: Box | SlicePrompt,
        on_prediction: Callable[[Prediction], None],
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        """Ask for the mask of one uint8 (rows, columns) slice. A preview overtaken by a newer one is never answered."""
        ...

    def encode(self, choice: ModelChoice, image: np.ndarray, on_failed: Callable[[MedSAMError], None] = ignore) -> None:
        """Have the embedding of one uint8 (rows, columns) slice made ahead of its need."""
        ...

    def load(
        self,
        choice: ModelChoice,
        on_loaded: Callable[[LoadedModel], None] = ignore,
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        """Have the model loaded ahead of its need."""
        ...

    def cancel(self) -> None:
        """End the run; its `on_failed` gets `Cancelled`, at once or within half a second of `step` calls."""
        ...

    def step(self) -> None:
        """Let work go on. To be called from a timer while the runner is not `idle`."""
        ...

    def close(self) -> None:
        """Cancel what goes on and let go of processes and models. A closed runner may be used again."""
        ...
