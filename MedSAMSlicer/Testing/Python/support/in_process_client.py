"""An inference client that runs the service in this process, one slice in each step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TypeVar, cast

import numpy as np

from MedSAMSlicerLib.engine.diagnostics.log import get_logger, log_error
from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, as_user_error
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo, Service
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving.run_log import RunLog
from MedSAMSlicerLib.engine.stack import SliceSource
from MedSAMSlicerLib.scene.worker.active_run import RunListener, Stage, StageReporter, ignore
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient

_log = get_logger("MedSAMSlicerLib.in_process_client")
Request = Callable[[], None]
Response = TypeVar("Response")


class InProcessClient:
    """A client for tests. A step answers the preview, else the next slice of the run, else one other request."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._run: _Run | None = None
        self._preview: Request | None = None
        self._requests: deque[Request] = deque()
        self._dropped: list[Callable[[MedSAMError], None]] = []
        self._on_dropped: Callable[[MedSAMError], None] = ignore

    @property
    def running(self) -> bool:
        return self._run is not None

    @property
    def idle(self) -> bool:
        return not (self._run or self._preview or self._requests or self._dropped)

    def segment(self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, listener: RunListener) -> None:
        if self._run is not None:
            raise InputError("another contour is being computed: wait for it, or cancel it")
        self._run = _Run(self._service, choice, source, prompt.checked_for(source.shape), listener)

    def preview(
        self,
        choice: ModelChoice,
        image: np.ndarray,
        prompt: Box | SlicePrompt,
        on_prediction: Callable[[Prediction], None],
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        self._preview = _request(lambda: self._service.preview(choice, image, prompt), on_prediction, on_failed)

    def encode(self, choice: ModelChoice, image: np.ndarray, on_failed: Callable[[MedSAMError], None] = ignore) -> None:
        self._requests.append(_request(lambda: self._service.encode(choice, image), ignore, on_failed))
        self._on_dropped = on_failed

    def stop_encoding(self) -> None:
        if self._requests:
            self._requests.pop()
            self._dropped.append(self._on_dropped)

    def stage_for(self, choice: ModelChoice) -> Stage:
        return Stage.SEGMENTING

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancelled = True  # the next step reports it, as in `WorkerClient`

    def step(self) -> None:
        while self._dropped:
            self._dropped.pop()(Cancelled("cancelled: nothing was written"))
        if self._run is not None and self._run.cancelled and not self._run.computing:
            self._end_run()
        if self._preview is not None:
            preview, self._preview = self._preview, None
            preview()
        elif self._run is not None:
            if self._run.computing:
                return  # A callback of the computation calls `step`: the computation continues when it returns.
            if not self._run.advance():
                self._end_run()
        elif self._requests:
            self._requests.popleft()()

    def close(self) -> None:
        self._preview = None
        self._requests.clear()
        self.cancel()
        if self._run is not None and not self._run.computing:
            self._end_run()
        self._service.clear_cache()

    def _end_run(self) -> None:
        # No run is in progress when the listener is called, so that it can start the next one.
        run, self._run = self._run, None
        if run is not None:
            run.end()


class _Run:
    """A run, and its slices as the service reads them: reading one raises Cancelled after a cancel."""

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
        if self.cancelled:
            raise Cancelled("cancelled: nothing was written")
        self._stages.enter(Stage.SEGMENTING)
        return self._source.slice_uint8(index)

    def advance(self) -> bool:
        """Compute one slice. Return False if no slice is left, or the run was cancelled or has failed."""
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
        self._log.count()
        self._listener.on_slice(result)
        return not self.cancelled

    def end(self) -> None:
        if self._results is not None:
            try:
                self._results.close()
            except Exception as error:
                self._error = self._error or as_user_error(error)
        failure = Cancelled("cancelled: nothing was written") if self.cancelled else self._error
        if failure is not None:
            self._log.failed(failure)
            self._listener.on_failed(failure)
        else:
            self._log.finished(self._info)
            self._listener.on_finished(self._info)


def _request(
    work: Callable[[], Response], on_done: Callable[[Response], None], on_failed: Callable[[MedSAMError], None]
) -> Request:
    def run() -> None:
        try:
            response = work()
        except Exception as error:
            failure = as_user_error(error)
            log_error(_log, failure, "a request failed")
            on_failed(failure)
        else:
            on_done(response)

    return run


Client = WorkerClient | InProcessClient
"""What runs inference for a test."""
