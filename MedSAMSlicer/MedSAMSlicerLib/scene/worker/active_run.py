"""A run in the inference process: its stages, its listener, and the validation of its messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ...engine.errors import MedSAMError, WorkerError
from ...engine.i18n import tr as _
from ...engine.model_choice import RunInfo
from ...engine.results import SliceResult
from ...engine.serving import codec
from ...engine.serving.framing import Message
from ...engine.serving.run_log import RunLog
from ...engine.stack import SliceSource


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
        on_slice: called with each slice result, in the order of computation; each slice comes once,
            and before that perhaps as a provisional result.
        on_finished: called when the run has finished, with the model, the timings and notes for the user.
        on_failed: called when the run ends without a result; with `Cancelled` after `WorkerClient.cancel`.
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


class ActiveRun:
    """State of one run from its request to its last callback.

    Attributes:
        request: number of the request.
        stop_reason: error to report next; None unless the process was asked to stop. The listener receives no stages
            and results any more when it is set.

    Args:
        request: number of the request.
        source: the slices.
        listener: receives stages, results and the end of the run.
        log: log of the run.
    """

    def __init__(self, request: int, source: SliceSource, listener: RunListener, log: RunLog) -> None:
        self.request, self._source, self._listener, self._log = request, source, listener, log
        self._stages = StageReporter(listener)
        self._received: set[int] = set()
        self.stop_reason: MedSAMError | None = None

    def requested_slice(self, message: Message) -> int:
        """Index of the slice that a ``need_slice`` message requests.

        Raises:
            WorkerError: the stack has no such slice.
        """
        index, count = message.integer("index"), self._source.shape[0]
        if not 0 <= index < count:
            raise WorkerError(_("it requested slice {index} of {count}").format(index=index, count=count))
        return index

    def image(self, index: int) -> np.ndarray:
        """Slice `index` as a uint8 (rows, columns) or (rows, columns, 3) array."""
        return self._source.slice_uint8(index)

    def read_result(self, message: Message) -> SliceResult:
        """Result in a ``slice_result`` message.

        Raises:
            WorkerError: the result does not fit the stack, or the slice already has a result.
        """
        result, expected = codec.read_result(message), self._source.shape
        if not 0 <= result.index < expected[0] or result.mask.shape != tuple(expected[1:]):
            raise WorkerError(
                _("slice {index} with {shape} pixels does not fit the stack {expected}").format(
                    index=result.index, shape=result.mask.shape, expected=expected
                )
            )
        if result.index in self._received:
            raise WorkerError(_("slice {index} was sent twice").format(index=result.index))
        if not result.provisional:
            self._received.add(result.index)
        return result

    def enter(self, stage: Stage) -> None:
        """Report that the run has reached `stage`."""
        if self.stop_reason is None:
            self._stages.enter(stage)

    def report(self, result: SliceResult) -> None:
        """Report the result of a slice."""
        self.enter(Stage.SEGMENTING)
        # The listener may have cancelled the run when the stage changed.
        if self.stop_reason is None:
            if not result.provisional:
                self._log.count()
            self._listener.on_slice(result)

    def finish(self, info: RunInfo) -> None:
        """Report the successful end of the run."""
        self._log.finished(info)
        self._listener.on_finished(info)

    def fail(self, error: MedSAMError) -> None:
        """Report that the run has ended without a result, because of `stop_reason` if set, else because of `error`."""
        self._log.failed(self.stop_reason or error)
        self._listener.on_failed(self.stop_reason or error)
