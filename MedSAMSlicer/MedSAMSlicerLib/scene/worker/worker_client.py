"""Client through which the scene layer uses the inference process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import Cancelled, InputError, MedSAMError, WorkerError, as_user_error
from ...engine.i18n import tr as _
from ...engine.model_choice import ModelChoice
from ...engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from ...engine.results import Prediction
from ...engine.serving import codec
from ...engine.serving.framing import Message
from ...engine.serving.run_log import RunLog
from ...engine.stack import SliceSource
from .active_run import ActiveRun, RunListener, Stage, ignore
from .transport import Transport
from .worker_process import ANSWER_TIMEOUT, WorkerProcess, response_timeout

_log = get_logger(__name__)
_OF_A_RUN = ("need_slice", "slice_result")
_MODEL_IS_LOADED = ("need_slice", "slice_result", "prediction", "finished")

Action = Callable[[], None]
Handler = Callable[[Message], Action]
"""Validates a message and returns the action to take. Raises MedSAMError if the message is invalid."""


@dataclass(frozen=True)
class _Request:
    """A pending request: handlers for its responses by kind of message, callback for its failure, and its model."""

    handlers: dict[str, Handler]
    on_failed: Callable[[MedSAMError], None]
    choice: ModelChoice


class WorkerClient:
    """Sends requests to an inference process. No method blocks, and no thread is used.

    Results arrive through callbacks. One run is in progress at a time.

    The first request starts the process. It keeps its model and embeddings for the next requests. A process that dies,
    sends an invalid message or gives no sign of life for too long is killed: its pending requests fail with a
    `WorkerError`, and the next request starts a new process.

    A cancelled run is over for its listener at once. The process is left to finish the slice that it computes, whose
    embedding it keeps. What it still sends of that run is ignored, and later requests wait for that slice at most.

    Args:
        transport_factory: creates the transport for one process.
        answer_timeout: maximum seconds without a sign of life before a process with pending requests is killed.
        clock: returns monotonic time in seconds.
    """

    def __init__(
        self,
        transport_factory: Callable[[], Transport],
        *,
        answer_timeout: float = ANSWER_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_transport = transport_factory
        self._answer_timeout, self._clock = answer_timeout, clock
        self._process: WorkerProcess | None = None
        self._requests: dict[int, _Request] = {}
        self._last_request = self._encoding = 0
        self._run: ActiveRun | None = None
        self._loaded: ModelChoice | None = None

    @property
    def running(self) -> bool:
        """Whether a run is in progress. False when the last callback of the run is called."""
        return self._run is not None

    @property
    def idle(self) -> bool:
        """Whether no request is pending, so that `step` need not be called."""
        return not self._requests

    @property
    def reading(self) -> bool:
        """Whether messages of the process have arrived that `step` has still to take."""
        return self._process is not None and self._process.reading

    @property
    def transport(self) -> Transport | None:
        """Transport of the current process; None if there is none."""
        return None if self._process is None else self._process.transport

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
        if self._run is not None:
            raise InputError(_("another contour is being computed: wait for it, or cancel it"))
        prompt.checked_for(source.shape)
        prompt_fields, arrays = codec.stack_prompt_parts(prompt)
        fields = {
            **prompt_fields,
            "shape": [int(n) for n in source.shape],
            "spacing": [float(mm) for mm in source.spacing],
        }
        handlers: dict[str, Handler] = {
            "need_slice": self._handle_need_slice,
            "slice_result": self._handle_slice_result,
            "finished": self._handle_finished,
        }
        request = self._send("segment", choice, fields, arrays, handlers, self._fail_run)
        self._run = ActiveRun(request, source, listener, RunLog(choice, source, prompt))
        self._run.enter(self.stage_for(choice))

    def stage_for(self, choice: ModelChoice) -> Stage:
        """What a request for this model waits for: the start of the process, the loading, or earlier requests."""
        if self._process is None or not self._process.greeted:
            return Stage.STARTING
        return Stage.SEGMENTING if choice == self._loaded else Stage.LOADING

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
            image: uint8 (rows, columns), or (rows, columns, 3) for colour; not modified afterwards. The same array as in the
                preview before is not sent again.
            prompt: prompt in slice pixels.
            on_prediction: called with the prediction.
            on_failed: called if there is none.
        """

        def answered(message: Message) -> Action:
            prediction = codec.read_prediction(message)
            if prediction.mask.shape != image.shape[:2]:
                raise WorkerError(
                    _("a mask of {shape} pixels does not fit a slice of {expected}").format(
                        shape=prediction.mask.shape, expected=image.shape[:2]
                    )
                )
            return partial(self._complete, message, partial(on_prediction, prediction))

        fields, arrays = codec.slice_prompt_parts("prompt", as_slice_prompt(prompt))
        if self._process is None or self._process.previewed is not image:
            arrays = {**arrays, **codec.image_arrays(image)}
        handlers: dict[str, Handler] = {"prediction": answered, "superseded": self._complete_silently}
        self._send("preview", choice, fields, arrays, handlers, on_failed)
        if self._process is not None:
            self._process.previewed = image

    def encode(self, choice: ModelChoice, image: np.ndarray, on_failed: Callable[[MedSAMError], None] = ignore) -> None:
        """Cache the embedding of one uint8 (rows, columns) slice before it is needed."""
        handlers: dict[str, Handler] = {"finished": self._complete_silently}
        self._encoding = self._send("encode", choice, {}, codec.image_arrays(image), handlers, on_failed)

    def stop_encoding(self) -> None:
        """Drop the slice that was sent last to be encoded, unless the process is at it; `on_failed` gets `Cancelled`."""
        if self._encoding in self._requests and self._process is not None:
            self._process.send("cancel", {"job": self._encoding})

    def cancel(self) -> None:
        """Cancel the run. `RunListener.on_failed` gets `Cancelled` in the next `step`, and nothing is called before it."""
        self._stop_run(_cancelled())

    def step(self) -> None:
        """Process events and timeouts. To be called from a timer, several times a second, unless the client is `idle`."""
        self._report_stop()
        process = self._process
        if process is None:
            return
        process.deliver()
        process.tick(self._clock())
        if process is self._process and self._requests and process.silence >= (limit := self.response_timeout):
            self._end_process(
                WorkerError(
                    _(
                        "the inference process did not respond for {seconds:.0f} s and was ended: "
                        "try again, or choose a smaller model"
                    ).format(seconds=limit)
                )
            )

    def close(self) -> None:
        """Cancel all requests and end the inference process. The next request starts another one."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._fail_all(_cancelled())
        self._report_stop()

    @property
    def response_timeout(self) -> float:
        """Seconds without a sign of life after which the process is killed, for the requests that are pending now."""
        requested = (request.choice for request in self._requests.values())
        return response_timeout(requested, self._loaded, self._answer_timeout)

    def _send(
        self,
        kind: str,
        choice: ModelChoice,
        fields: codec.Fields,
        arrays: codec.Arrays,
        handlers: dict[str, Handler],
        on_failed: Callable[[MedSAMError], None],
    ) -> int:
        """Send a request, and return its number."""
        if self._process is None:
            started = WorkerProcess(
                self._make_transport(), self._clock, self._on_greeted, self._on_message, self._on_lost
            )
            if started.ended:
                raise WorkerError(
                    _("the inference process ended during its start: try again, or restart the application")
                )
            self._process, self._loaded = started, None
        process = self._process
        if not self._requests:
            process.begin_silence(self._clock())
        self._last_request += 1
        process.send(kind, {"job": self._last_request, **codec.choice_fields(choice), **fields}, arrays)
        self._requests[self._last_request] = _Request(handlers, on_failed, choice)
        return self._last_request

    def _on_greeted(self) -> None:
        if self._run is not None:
            self._run.enter(Stage.LOADING)

    def _on_message(self, message: Message) -> None:
        try:
            action = self._action_for(message)
        except MedSAMError as error:
            if self._process is not None:
                self._process.reject(str(error))
            return
        action()

    def _action_for(self, message: Message) -> Action:
        request = self._requests.get(message.integer("job"))
        if request is None:
            raise WorkerError(_("message '{kind}' has no matching request").format(kind=message.kind))
        if message.kind == "failed":
            error = codec.read_error(message)
            error.logged = True  # the inference process has logged it
            return partial(self._complete, message, partial(request.on_failed, error))
        if message.kind == "cancelled":
            return partial(self._complete, message, partial(request.on_failed, _cancelled()))
        if message.kind not in request.handlers:
            raise WorkerError(_("message '{kind}' does not match its request").format(kind=message.kind))
        if message.kind in _MODEL_IS_LOADED:
            self._loaded = request.choice
        return request.handlers[message.kind](message)

    def _complete(self, message: Message, action: Action) -> None:
        self._requests.pop(message.integer("job"), None)
        action()

    def _complete_silently(self, message: Message) -> Action:
        return partial(self._complete, message, lambda: None)

    def _handle_need_slice(self, message: Message) -> Action:
        run = self._current_run()
        return partial(self._send_slice, run, run.requested_slice(message))

    def _send_slice(self, run: ActiveRun, index: int) -> None:
        run.enter(Stage.SEGMENTING)
        # The listener may have cancelled the run when the stage changed.
        if run is not self._run or run.stop_reason is not None or self._process is None:
            return
        try:
            self._process.send("slice", {"job": run.request, "index": index}, codec.image_arrays(run.image(index)))
        except Exception as error:
            self._stop_run(as_user_error(error))
        else:
            self._process.begin_silence(self._clock())

    def _handle_slice_result(self, message: Message) -> Action:
        run = self._current_run()
        return partial(run.report, run.read_result(message))

    def _handle_finished(self, message: Message) -> Action:
        run, info = self._current_run(), codec.read_info(message)

        def finish() -> None:
            self._run = None
            run.finish(info)

        return partial(self._complete, message, finish)

    def _current_run(self) -> ActiveRun:
        if self._run is None:
            raise WorkerError(_("it belongs to a run that has ended"))
        return self._run

    def _stop_run(self, error: MedSAMError) -> None:
        """Ask the process to stop the run, and ignore what it still sends of it. The next `step` reports `error`.

        Not now: this may be called while a node is being removed from the scene.
        """
        run = self._run
        if run is None or run.stop_reason is not None:
            return
        run.stop_reason = error
        request = self._requests.get(run.request)
        if request is not None and self._process is not None:
            ignored: dict[str, Handler] = dict.fromkeys(_OF_A_RUN, _ignore_message)
            ignored["finished"] = self._complete_silently
            self._requests[run.request] = replace(request, handlers=ignored, on_failed=ignore)
            self._process.drop(run.request, _OF_A_RUN)
            self._process.send("cancel", {"job": run.request})

    def _report_stop(self) -> None:
        if self._run is not None and self._run.stop_reason is not None:
            self._fail_run(self._run.stop_reason)

    def _fail_run(self, error: MedSAMError) -> None:
        # The client is reset first, so that the listener can start the next run.
        run, self._run = self._run, None
        if run is not None:
            run.fail(error)

    def _on_lost(self, error: WorkerError) -> None:
        self._process = None
        self._fail_all(error)

    def _end_process(self, error: MedSAMError) -> None:
        log_error(_log, error, "inference process was ended: it did not respond in time")
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        self._fail_all(error)

    def _fail_all(self, error: MedSAMError) -> None:
        requests, self._requests = self._requests, {}
        with contextlib.ExitStack() as callbacks:
            # ExitStack calls all callbacks, in the order of the requests, even if one of them raises.
            for request in reversed(requests.values()):
                callbacks.callback(request.on_failed, error)


def _ignore_message(_message: Message) -> Action:
    return lambda: None


def _cancelled() -> Cancelled:
    return Cancelled(_("cancelled: nothing was written"))
