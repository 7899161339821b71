"""A `InferenceClient` that calls the engine in its own process, a slice at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TypeVar, cast

import numpy as np

from ..errors import Cancelled, InputError, MedSAMError, as_user_error
from ..i18n import tr as _
from ..log import get_logger, log_error
from ..model_choice import LoadedModel, ModelChoice, RunInfo, Service
from ..prompts import Box, SlicePrompt, StackPrompt
from ..results import Prediction, SliceResult
from ..stack import SliceSource
from .inference_client import RunListener, Stage, StageReporter, ignore
from .run_log import RunLog

_log = get_logger(__name__)
Job = Callable[[], None]
Answer = TypeVar("Answer")


class InProcessClient:
    """Runs a service inside `step`: a preview, else the next slice of the run, else one other job.

    For the command line and for tests. In Slicer a step, which may take seconds, would stop the window: there a
    `WorkerClient` does the same from another process.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._run: _Run | None = None
        self._preview: Job | None = None
        self._jobs: deque[Job] = deque()

    @property
    def running(self) -> bool:
        return self._run is not None

    @property
    def idle(self) -> bool:
        return not (self._run or self._preview or self._jobs)

    def segment(self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, listener: RunListener) -> None:
        if self._run is not None:
            raise InputError(_("a contour is being computed already: wait for it, or cancel it"))
        self._run = _Run(self._service, choice, source, prompt.checked_for(source.shape), listener)

    def preview(
        self,
        choice: ModelChoice,
        image: np.ndarray,
        prompt: Box | SlicePrompt,
        on_prediction: Callable[[Prediction], None],
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        self._preview = _job(lambda: self._service.preview(choice, image, prompt), on_prediction, on_failed)

    def encode(self, choice: ModelChoice, image: np.ndarray, on_failed: Callable[[MedSAMError], None] = ignore) -> None:
        self._jobs.append(_job(lambda: self._service.encode(choice, image), ignore, on_failed))

    def load(
        self,
        choice: ModelChoice,
        on_loaded: Callable[[LoadedModel], None] = ignore,
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        self._jobs.append(_job(lambda: self._service.load(choice), on_loaded, on_failed))

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancelled = True
            if not self._run.computing:
                self._end_run()

    def step(self, timeout: float = 0.0) -> None:
        if self._preview is not None:
            preview, self._preview = self._preview, None
            preview()
        elif self._run is not None:
            if self._run.computing:
                return  # called back from within the computation: it goes on when this call has returned
            if not self._run.advance():
                self._end_run()
        elif self._jobs:
            self._jobs.popleft()()

    def close(self) -> None:
        self._preview = None
        self._jobs.clear()
        self.cancel()
        self._service.clear_cache()

    def _end_run(self) -> None:
        # The runner is free before anyone is told, so that the listener may begin the next run.
        run, self._run = self._run, None
        if run is not None:
            run.end()


class _Run:
    def __init__(
        self, service: Service, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, listener: RunListener
    ) -> None:
        self.cancelled = False
        self.computing = False
        self._listener = listener
        self._info = RunInfo()
        self._error: MedSAMError | None = None
        self._stages = StageReporter(listener)
        self._source = source
        self._log = RunLog(choice, source, prompt)
        self._arguments = (service, choice, prompt)
        self._results: Generator[SliceResult, None, None] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._source.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._source.spacing

    def slice_uint8(self, index: int) -> np.ndarray:
        """The run stands between the service and the slices, to see a cancel wherever a slice is asked for."""
        if self.cancelled:
            raise Cancelled(_("cancelled: nothing was written"))
        self._stages.enter(Stage.SEGMENTING)
        return self._source.slice_uint8(index)

    def advance(self) -> bool:
        """Compute one slice; False when there is none left, or the run was cancelled or has failed."""
        result = None
        self.computing = True
        try:
            self._stages.enter(Stage.LOADING)
            if self._results is None:
                service, choice, prompt = self._arguments
                results = service.segment(choice, self, prompt, self._info)
                self._results = cast("Generator[SliceResult, None, None]", results)
            result = next(self._results, None)
        except Exception as error:
            self._error = as_user_error(error)
        finally:
            self.computing = False
        if result is None or self.cancelled:
            return False
        self._stages.enter(Stage.SEGMENTING)
        self._log.slices += 1
        self._listener.on_slice(result)
        return not self.cancelled

    def end(self) -> None:
        if self._results is not None:
            try:
                self._results.close()
            except Exception as error:
                self._error = self._error or as_user_error(error)
        failure = Cancelled(_("cancelled: nothing was written")) if self.cancelled else self._error
        if failure is not None:
            self._log.failed(failure)
            self._listener.on_failed(failure)
        else:
            self._log.finished(self._info)
            self._listener.on_finished(self._info)


def _job(
    work: Callable[[], Answer], on_done: Callable[[Answer], None], on_failed: Callable[[MedSAMError], None]
) -> Job:
    def run() -> None:
        try:
            answer = work()
        except Exception as error:
            failure = as_user_error(error)
            log_error(_log, failure, "a request failed")
            on_failed(failure)
        else:
            on_done(answer)

    return run
