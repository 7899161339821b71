"""A `InferenceClient` whose engine is the inference process: starts it, feeds it, cancels it, replaces it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...engine.errors import Cancelled, InputError, MedSAMError, WorkerError, as_user_error
from ...engine.i18n import tr as _
from ...engine.log import get_logger, log_error
from ...engine.model_choice import LoadedModel, ModelChoice
from ...engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from ...engine.results import Prediction
from ...engine.serving import codec
from ...engine.serving.framing import Message
from ...engine.serving.inference_client import RunListener, Stage, ignore
from ...engine.serving.run_log import RunLog
from ...engine.stack import SliceSource
from .active_run import ActiveRun
from .timeouts import ANSWER_TIMEOUT, longest_silence
from .transport import Transport
from .worker_process import WorkerProcess

_log = get_logger(__name__)
CANCEL_TIMEOUT = 0.3
"""Seconds that the process has to stop by itself. With the owner's steps and the end of the process, a cancel takes
less than half a second, whatever the process is doing."""

_FROM_A_MODEL = ("slice_result", "prediction", "finished")

Telling = Callable[[], None]
Handler = Callable[[Message], Telling]
"""Reads a message, checks it whole, and returns what is to be called then. Raises MedSAMError if it makes no sense."""


@dataclass(frozen=True)
class _Job:
    """A request that has not been answered to the end: what may come for it, and whom its failure concerns."""

    handlers: dict[str, Handler]
    on_failed: Callable[[MedSAMError], None]
    choice: ModelChoice


class WorkerClient:
    """The inference process behind a transport. Nothing here blocks, and there is no thread.

    The process is started by the first request and kept, with its model and embeddings, for the next. One that dies,
    answers rubbish, owes an answer for too long or doesn't stop when asked to is ended; what it owed fails with a
    `WorkerError` (`Cancelled` after a cancel), and the next request starts another.

    Args:
        transport_factory: makes the transport for one process.
        answer_timeout: seconds without a byte before a process that owes an answer is ended, at most.
        cancel_timeout: seconds that the process has to acknowledge a cancel.
        clock: seconds, never running backwards.
    """

    def __init__(
        self,
        transport_factory: Callable[[], Transport],
        *,
        answer_timeout: float = ANSWER_TIMEOUT,
        cancel_timeout: float = CANCEL_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_transport = transport_factory
        self._answer_timeout, self._cancel_timeout, self._clock = answer_timeout, cancel_timeout, clock
        self._process: WorkerProcess | None = None
        self._jobs: dict[int, _Job] = {}
        self._last_job = 0
        self._run: ActiveRun | None = None
        self._cancel_deadline: float | None = None
        self._answered: ModelChoice | None = None
        """The model that the process has shown to be loaded."""

    @property
    def running(self) -> bool:
        return self._run is not None

    @property
    def idle(self) -> bool:
        return not self._jobs

    @property
    def transport(self) -> Transport | None:
        """The transport of the present process, None if there is none."""
        return None if self._process is None else self._process.transport

    def segment(self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, listener: RunListener) -> None:
        if self._run is not None:
            raise InputError(_("a contour is being computed already: wait for it, or cancel it"))
        prompt.checked_for(source.shape)
        fields = {
            **codec.prompt_fields(prompt),
            "shape": [int(n) for n in source.shape],
            "spacing": [float(mm) for mm in source.spacing],
        }
        handlers: dict[str, Handler] = {
            "need_slice": self._slice_needed,
            "slice_result": self._slice_found,
            "finished": self._run_finished,
        }
        job, process = self._request("segment", choice, fields, codec.prompt_arrays(prompt), handlers, self._fail_run)
        self._run = ActiveRun(job, source, listener, RunLog(choice, source, prompt))
        self._run.enter(Stage.LOADING if process.greeted else Stage.STARTING)

    def preview(
        self,
        choice: ModelChoice,
        image: np.ndarray,
        prompt: Box | SlicePrompt,
        on_prediction: Callable[[Prediction], None],
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        def answered(message: Message) -> Telling:
            prediction = codec.read_prediction(message)
            if prediction.mask.shape != image.shape:
                raise WorkerError(
                    _("a mask of {shape} pixels came for a slice of {expected}").format(
                        shape=prediction.mask.shape, expected=image.shape
                    )
                )
            return partial(self._end_job, message, partial(on_prediction, prediction))

        given, arrays = codec.slice_prompt_parts("prompt", as_slice_prompt(prompt))
        arrays = {**arrays, **codec.image_arrays(image)}
        handlers: dict[str, Handler] = {"prediction": answered, "superseded": self._nothing_to_tell}
        self._request("preview", choice, given, arrays, handlers, on_failed)

    def encode(self, choice: ModelChoice, image: np.ndarray, on_failed: Callable[[MedSAMError], None] = ignore) -> None:
        handlers: dict[str, Handler] = {"finished": self._nothing_to_tell}
        self._request("encode", choice, {}, codec.image_arrays(image), handlers, on_failed)

    def load(
        self,
        choice: ModelChoice,
        on_loaded: Callable[[LoadedModel], None] = ignore,
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        def answered(message: Message) -> Telling:
            loaded = codec.read_info(message).loaded
            if loaded is None:
                raise WorkerError(_("it does not say what it has loaded"))
            return partial(self._end_job, message, partial(on_loaded, loaded))

        self._request("load", choice, {}, {}, {"finished": answered}, on_failed)

    def cancel(self) -> None:
        self._stop_run(_cancelled())

    def step(self) -> None:
        if self._process is None:
            return
        self._process.deliver()
        now = self._clock()
        if self._process is not None:
            self._process.tick(now)
        if self._cancel_deadline is not None and now >= self._cancel_deadline:
            self._end_process(_cancelled())
        elif self._jobs and self._process is not None and self._process.silence >= (limit := self.patience):
            self._end_process(
                WorkerError(
                    _(
                        "the inference process gave no answer for {seconds:g} s and was ended: "
                        "try again, or choose a smaller model"
                    ).format(seconds=limit)
                )
            )

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._fail_all(_cancelled())

    @property
    def patience(self) -> float:
        """Seconds without a byte after which the process is taken to hang, with what it owes now."""
        return longest_silence((job.choice for job in self._jobs.values()), self._answered, self._answer_timeout)

    def _request(
        self,
        kind: str,
        choice: ModelChoice,
        fields: codec.Fields,
        arrays: codec.Arrays,
        handlers: dict[str, Handler],
        on_failed: Callable[[MedSAMError], None],
    ) -> tuple[int, WorkerProcess]:
        now = self._clock()
        if self._process is None:
            started = WorkerProcess(self._make_transport(), now, self._on_greeted, self._on_message, self._on_lost)
            if started.ended:
                raise WorkerError(
                    _("the inference process ended as it was started: try again, or restart the application")
                )
            self._process, self._answered = started, None
        process = self._process
        if not self._jobs:
            process.begin_silence(now)
        self._last_job += 1
        process.send(kind, {"job": self._last_job, **codec.choice_fields(choice), **fields}, arrays)
        self._jobs[self._last_job] = _Job(handlers, on_failed, choice)
        return self._last_job, process

    def _on_greeted(self) -> None:
        if self._run is not None:
            self._run.enter(Stage.LOADING)

    def _on_message(self, message: Message) -> None:
        try:
            tell = self._understand(message)
        except MedSAMError as error:
            if self._process is not None:
                self._process.lose(str(error))
            return
        tell()

    def _understand(self, message: Message) -> Telling:
        job = self._jobs.get(message.integer("job"))
        if job is None:
            raise WorkerError(_("message '{kind}' answers what was not asked").format(kind=message.kind))
        if message.kind == "failed":
            error = codec.read_error(message)
            error.logged = True  # by the process that raised it
            return partial(self._end_job, message, partial(job.on_failed, error))
        if message.kind == "cancelled":
            return partial(self._end_job, message, partial(job.on_failed, _cancelled()))
        if message.kind not in job.handlers:
            raise WorkerError(_("message '{kind}' does not fit what was asked").format(kind=message.kind))
        if message.kind in _FROM_A_MODEL:
            self._answered = job.choice
        return job.handlers[message.kind](message)

    def _end_job(self, message: Message, tell: Telling) -> None:
        self._jobs.pop(message.integer("job"), None)
        tell()

    def _nothing_to_tell(self, message: Message) -> Telling:
        return partial(self._end_job, message, lambda: None)

    def _slice_needed(self, message: Message) -> Telling:
        run = self._running()
        return partial(self._supply, run, run.wanted(message))

    def _supply(self, run: ActiveRun, index: int) -> None:
        run.enter(Stage.SEGMENTING)
        if run is not self._run or run.ending is not None or self._process is None:
            return
        try:
            self._process.send("slice", {"job": run.job, "index": index}, codec.image_arrays(run.image(index)))
        except Exception as error:
            self._stop_run(as_user_error(error))
        else:
            self._process.begin_silence(self._clock())

    def _slice_found(self, message: Message) -> Telling:
        run = self._running()
        return partial(run.tell, run.read(message))

    def _run_finished(self, message: Message) -> Telling:
        run, info = self._running(), codec.read_info(message)
        if run.ending is not None:
            return partial(self._end_job, message, partial(self._fail_run, run.ending))

        def tell() -> None:
            self._run = None
            run.finish(info)

        return partial(self._end_job, message, tell)

    def _running(self) -> ActiveRun:
        if self._run is None:
            raise WorkerError(_("it answers a run that is over"))
        return self._run

    def _stop_run(self, error: MedSAMError) -> None:
        """Ask the process to stop; the run ends with `error` when it has, or when it has had time enough."""
        if self._run is not None and self._run.ending is None and self._process is not None:
            self._run.ending = error
            self._cancel_deadline = self._clock() + self._cancel_timeout
            self._process.send("cancel", {"job": self._run.job})

    def _fail_run(self, error: MedSAMError) -> None:
        # The link is free before anyone is told, so that the listener may begin the next run.
        run, self._run, self._cancel_deadline = self._run, None, None
        if run is not None:
            run.fail(error)

    def _on_lost(self, error: WorkerError) -> None:
        self._process = None
        self._fail_all(error)

    def _end_process(self, error: MedSAMError) -> None:
        log_error(_log, error, "inference process is ended: it gave no answer in time")
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        self._fail_all(error)

    def _fail_all(self, error: MedSAMError) -> None:
        jobs, self._jobs = self._jobs, {}
        with contextlib.ExitStack() as told:
            # All are told, in the order of their asking, whatever one of them raises.
            for job in reversed(jobs.values()):
                told.callback(job.on_failed, error)


def _cancelled() -> Cancelled:
    return Cancelled(_("cancelled: nothing was written"))
