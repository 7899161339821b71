"""The inference process: reads requests from standard input and writes responses to standard output.

It is started as ``python -m MedSAMSlicerLib.engine.serving.worker [--service MODULE:FACTORY]`` and ends when its standard
input ends. Its first message is ``hello`` with the version of the protocol. Every request has a ``job`` number and, except
for ``cancel`` and ``slice``, gets exactly one final response.

=============================================== ======================================================================
request                                         responses
=============================================== ======================================================================
``encode`` job, choice, image                   ``finished``
``preview`` job, choice, prompt, image          ``prediction``, or ``superseded`` if a newer preview has arrived; without
                                                image: that of the ``preview`` before
``segment`` job, choice, shape, spacing, prompt ``need_slice`` index, to be followed by the request ``slice`` job, index,
                                                image; ``slice_result``; both any number of times; then ``finished``
``cancel`` job                                  ``cancelled``, unless the job has ended already
any                                             ``failed`` with the class of the error and its message
=============================================== ======================================================================

While it computes it also sends ``alive`` every few seconds (`heartbeat`).

Requests are served in order, with two exceptions. A run notices its cancellation after each slice and while it waits for
a slice. A preview is served before other requests. During a run it is served between two slices if it is for the model
of the run; otherwise it waits for the end of the run, since loading two models alternately would take longer. The
service must therefore support previews while its `segment` iterator is suspended.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import cast

import numpy as np

from ..diagnostics.child_log import claim_standard_streams, log_to_stderr
from ..diagnostics.log import get_logger, log_error
from ..environment import lower_priority, return_memory, share_processor
from ..errors import Cancelled, InputError, MedSAMError, WorkerError, as_user_error, one_line
from ..model_choice import ModelChoice, RunInfo, Service
from ..models.catalogue import known_model
from ..results import SliceResult
from . import codec
from .framing import PROTOCOL_VERSION, Message, encode, read_messages
from .heartbeat import send_signs_of_life
from .request_queue import RequestQueue, RequestQueueClosed

DEFAULT_SERVICE = "MedSAMSlicerLib.engine.serving.service:service_from_environment"
_GRACE_SECONDS = 0.3
"""Time that a computation has to end by itself after standard input has ended."""
_PIPE_BYTES = 1 << 20
"""What Linux allows to users by default."""
# Not __name__, which is "__main__" in the inference process.
_log = get_logger("MedSAMSlicerLib.engine.serving.worker")

Send = Callable[[Message], None]


class RemoteSource:
    """Slices of a stack in the parent process, which sends each one when it is needed. Satisfies `SliceSource`."""

    def __init__(
        self,
        job: int,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        requests: RequestQueue,
        send: Send,
    ) -> None:
        self._job, self._shape, self._spacing = job, shape, spacing
        self._requests, self._send = requests, send

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._spacing

    def slice_uint8(self, index: int) -> np.ndarray:
        """uint8 (rows, columns) or (rows, columns, 3) slice. Raises Cancelled if the run is cancelled while it waits."""
        index = int(index)
        if not 0 <= index < self._shape[0]:
            raise IndexError(f"slice {index} of a stack of {self._shape[0]}")
        self._requests.check(self._job)
        self._send(Message("need_slice", {"job": self._job, "index": index}))
        image = codec.read_image(self._requests.take_slice(self._job, index))
        if image.shape[:2] != self._shape[1:]:
            raise WorkerError(f"slice {index} has {image.shape} pixels in a stack of {self._shape[1:]}")
        return image


class Worker:
    """Serves requests one at a time until the queue is closed.

    Args:
        requests: queue of requests.
        send: sends a message to the parent process.
        make_service: creates the service; called with the first request.
    """

    def __init__(self, requests: RequestQueue, send: Send, make_service: Callable[[], Service]) -> None:
        self._requests, self._send, self._make_service = requests, send, make_service
        self._service: Service | None = None
        self._handlers: dict[str, Callable[[int, Message], Message]] = {
            "encode": self._encode,
            "preview": self._preview,
            "segment": self._segment,
        }

    def run(self) -> None:
        """Send the greeting, then serve requests until the queue is closed."""
        self._send(Message("hello", {"version": PROTOCOL_VERSION}))
        with contextlib.suppress(RequestQueueClosed):
            while True:
                request = self._requests.take()
                self._report_superseded()
                self._serve(request)

    def _serve(self, request: Message) -> None:
        job = request.integer("job")
        try:
            self._requests.check(job)
            if request.kind not in self._handlers:
                raise WorkerError(f"the inference process does not support the request '{request.kind}'")
            response = self._handlers[request.kind](job, request)
        except RequestQueueClosed:
            raise
        except Cancelled:
            response = Message("cancelled", {"job": job})
        except Exception as error:
            response = Message("failed", {"job": job, **codec.error_fields(self._as_user_error(error))})
        self._requests.forget(job)
        self._send(response)

    def _as_user_error(self, error: Exception) -> MedSAMError:
        converted = as_user_error(error)
        log_error(_log, converted, "a request failed")
        if converted is not error and self._service is not None:
            # After an unexpected error: frees memory if it ran out; embeddings can be computed again.
            self._service.clear_cache()
        return converted

    def _ready_service(self) -> Service:
        if self._service is None:
            self._service = self._make_service()
        return self._service

    def _encode(self, job: int, request: Message) -> Message:
        self._ready_service().encode(codec.read_choice(request), codec.read_image(request))
        return Message("finished", {"job": job})

    def _preview(self, job: int, request: Message) -> Message:
        choice = codec.read_choice(request)
        prediction = self._ready_service().preview(
            choice, codec.read_image(request), codec.read_slice_prompt(request, "prompt")
        )
        # Logits are as large as the slice. Only models that take masks can go on from them.
        spec = known_model(choice.model)
        fields, arrays = codec.prediction_parts(prediction, spec is not None and "mask" in spec.prompts)
        return Message("prediction", {"job": job, **fields}, arrays)

    def _segment(self, job: int, request: Message) -> Message:
        choice = codec.read_choice(request)
        slices, rows, columns = request.integers("shape", 3)
        spacing = request.numbers("spacing", 3)
        source = RemoteSource(
            job, (slices, rows, columns), (spacing[0], spacing[1], spacing[2]), self._requests, self._send
        )
        info = RunInfo()
        results = self._ready_service().segment(choice, source, codec.read_stack_prompt(request), info)
        with contextlib.closing(cast("Generator[SliceResult, None, None]", results)):
            for result in results:
                self._requests.check(job)
                fields, arrays = codec.result_parts(result)
                self._send(Message("slice_result", {"job": job, **fields}, arrays))
                self._serve_preview(choice)
                self._requests.check(job)
        return Message("finished", {"job": job, **codec.info_fields(info)})

    def _serve_preview(self, choice: ModelChoice) -> None:
        preview = self._requests.take_preview(codec.choice_fields(choice)["choice"])
        if preview is not None:
            self._serve(preview)
        self._report_superseded()

    def _report_superseded(self) -> None:
        for job in self._requests.take_superseded():
            self._send(Message("superseded", {"job": job}))


def service_factory(name: str) -> Callable[[], Service]:
    """Create a function that imports ``module:function`` and calls it. The module is not imported before the call.

    Raises:
        InputError: `name` has another form.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise InputError(f"service {name!r} does not have the form module:function")

    def make() -> Service:
        return cast(Service, getattr(importlib.import_module(module), function)())

    return make


def receive_requests(stream: io.BufferedReader, requests: RequestQueue) -> None:
    """Put the messages of a stream into the queue until the stream ends, then end the process."""
    status = 1
    try:
        for message in read_messages(stream):
            requests.put(message)
        requests.close()
        # A network cannot be interrupted while it computes a slice, and no parent waits for the result.
        time.sleep(_GRACE_SECONDS)
        status = 0
    except (WorkerError, OSError) as error:
        # The boundaries between messages are lost: nothing that follows can be decoded.
        _complain(error)
    finally:
        # Whatever has happened: nobody else receives requests, and the process would wait for them for ever.
        os._exit(status)


def _complain(error: Exception) -> None:
    """Say in one line of standard error why the process ends."""
    # An application that has ended inside a message does not read it.
    with contextlib.suppress(OSError):
        print(f"inference process: {one_line(str(error))}", file=sys.stderr, flush=True)


def _enlarge_pipe(stream: io.BufferedWriter) -> None:
    """Have the pipe hold several results, so that the engine goes on while the application draws.

    Linux only: a pipe holds 64 kB there, a quarter of one result. On Windows, Qt empties pipes in the background.
    """
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # not a pipe, or the system allows no more
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def main(arguments: list[str] | None = None) -> int:
    """Serve the parent process and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service", default=DEFAULT_SERVICE, help="factory of the service, as module:function")
    options = parser.parse_args(arguments)
    share_processor()
    return_memory()
    lower_priority()
    request_stream, response_stream = claim_standard_streams()
    _enlarge_pipe(response_stream)
    log_to_stderr()
    # Prints the Python traceback if a library crashes.
    faulthandler.enable()
    # Ctrl-C in a terminal reaches all processes of the group. The parent process decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, writing = RequestQueue(), threading.Lock()

    def send(message: Message) -> None:
        data = encode(message)
        try:
            with writing:
                response_stream.write(data)
                response_stream.flush()
        except OSError:
            # The parent process has ended. Closing the stream would fail again.
            os._exit(0)

    threading.Thread(target=receive_requests, args=(request_stream, requests), name="requests", daemon=True).start()
    threading.Thread(target=send_signs_of_life, args=(send,), name="heartbeat", daemon=True).start()
    try:
        Worker(requests, send, service_factory(options.service)).run()
    except MedSAMError as error:
        _complain(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
