"""Interface through which the scene layer uses the inference process."""

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
    """Stages of a run, in order. A run may skip stages."""

    STARTING = "starting"
    """The inference process starts."""
    LOADING = "loading"
    """The model is loaded, unless it is loaded already."""
    SEGMENTING = "segmenting"
    """Slices are segmented."""


def ignore(_: object) -> None:
    """Callback that does nothing."""


@dataclass(frozen=True)
class RunListener:
    """Callbacks of a run. The run ends with exactly one call of `on_finished` or `on_failed`.

    Attributes:
        on_slice: called with each slice result, in the order of computation; each slice comes once.
        on_finished: called when the run has finished, with the model, the timings and notes for the user.
        on_failed: called when the run ends without a result; with `Cancelled` after `InferenceClient.cancel`.
        on_stage: called when the run enters a stage.
    """

    on_slice: Callable[[SliceResult], None]
    on_finished: Callable[[RunInfo], None]
    on_failed: Callable[[MedSAMError], None]
    on_stage: Callable[[Stage], None] = ignore


class StageReporter:
    """Calls `RunListener.on_stage` once for each stage. Earlier stages than the current one are ignored."""

    def __init__(self, listener: RunListener) -> None:
        self._listener = listener
        self._later = list(Stage)

    def enter(self, stage: Stage) -> None:
        if stage in self._later:
            del self._later[: self._later.index(stage) + 1]
            self._listener.on_stage(stage)


class InferenceClient(Protocol):
    """Runs a `Service` without blocking the caller.

    Methods return at once. Results arrive through callbacks, all on the thread of the caller. One run is in progress at
    a time.
    """

    @property
    def running(self) -> bool:
        """Whether a run is in progress. False when the last callback of the run is called."""
        ...

    @property
    def idle(self) -> bool:
        """Whether no request is pending, so that `step` need not be called."""
        ...

    def segment(self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, listener: RunListener) -> None:
        """Start a run.

        Args:
            choice: model to run.
            source: slices; read on the thread of the caller.
            prompt: prompts of the object.
            listener: callbacks of the run.

        Raises:
            InputError: the prompt lies outside the stack, or a run is in progress.
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
        """Predict the mask of one slice. A newer preview replaces one that waits: its callbacks are not called.

        Args:
            choice: model to run.
            image: uint8 (rows, columns).
            prompt: prompt in slice pixels.
            on_prediction: called with the prediction.
            on_failed: called if there is none.
        """
        ...

    def encode(self, choice: ModelChoice, image: np.ndarray, on_failed: Callable[[MedSAMError], None] = ignore) -> None:
        """Cache the embedding of one uint8 (rows, columns) slice before it is needed."""
        ...

    def load(
        self,
        choice: ModelChoice,
        on_loaded: Callable[[LoadedModel], None] = ignore,
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        """Load a model before it is needed."""
        ...

    def cancel(self) -> None:
        """Cancel the run. `RunListener.on_failed` gets `Cancelled` within half a second."""
        ...

    def step(self) -> None:
        """Process events and timeouts. To be called from a timer, several times a second, unless the client is `idle`."""
        ...

    def close(self) -> None:
        """Cancel all requests and end the inference process. The next request starts another one."""
        ...
