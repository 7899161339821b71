"""A run in the inference process as seen from this side: what it may ask for and answer, and who is told."""

from __future__ import annotations

import numpy as np

from ...engine.errors import MedSAMError, WorkerError
from ...engine.i18n import tr as _
from ...engine.model_choice import RunInfo
from ...engine.results import SliceResult
from ...engine.serving import codec
from ...engine.serving.framing import Message
from ...engine.serving.inference_client import RunListener, Stage, StageReporter
from ...engine.serving.run_log import RunLog
from ...engine.stack import SliceSource


class ActiveRun:
    """Attributes:
        ending: why the run is to end, once the process has been asked to stop.

    Args:
        job: number of the request.
        source: the slices.
        listener: is told.
        log: of the run.
    """

    def __init__(self, job: int, source: SliceSource, listener: RunListener, log: RunLog) -> None:
        self.job, self._source, self._listener, self._log = job, source, listener, log
        self._stages = StageReporter(listener)
        self._found: set[int] = set()
        self.ending: MedSAMError | None = None

    def wanted(self, message: Message) -> int:
        """Which slice is asked for. Raises WorkerError if there is none of that number."""
        index, count = message.integer("index"), self._source.shape[0]
        if not 0 <= index < count:
            raise WorkerError(_("it asks for slice {index} of {count}").format(index=index, count=count))
        return index

    def image(self, index: int) -> np.ndarray:
        """uint8 (rows, columns) of a slice."""
        return self._source.slice_uint8(index)

    def read(self, message: Message) -> SliceResult:
        """The result of a slice. Raises WorkerError if it does not fit, or came before."""
        result, expected = codec.read_result(message), self._source.shape
        if not 0 <= result.index < expected[0] or result.mask.shape != tuple(expected[1:]):
            raise WorkerError(
                _("slice {index} with {shape} pixels does not fit {expected}").format(
                    index=result.index, shape=result.mask.shape, expected=expected
                )
            )
        if result.index in self._found:
            raise WorkerError(_("slice {index} came twice").format(index=result.index))
        self._found.add(result.index)
        return result

    def enter(self, stage: Stage) -> None:
        """The run has come to this stage; nobody is told while it is to end."""
        if self.ending is None:
            self._stages.enter(stage)

    def tell(self, result: SliceResult) -> None:
        """Tell of a slice, unless the run is to end."""
        self.enter(Stage.SEGMENTING)
        if self.ending is None:
            self._log.slices += 1
            self._listener.on_slice(result)

    def finish(self, info: RunInfo) -> None:
        """Tell that the run is over."""
        self._log.finished(info)
        self._listener.on_finished(info)

    def fail(self, error: MedSAMError) -> None:
        """Tell that the run is over without a result: for why it was to end, or else for this."""
        self._log.failed(self.ending or error)
        self._listener.on_failed(self.ending or error)
