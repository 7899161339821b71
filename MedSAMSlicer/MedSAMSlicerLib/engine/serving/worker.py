"""The inference process: requests on standard input, answers on standard output.

Started as ``python -m MedSAMSlicerLib.engine.serving.worker [--service MODULE:FACTORY]``; it ends when its standard input
does. It greets with ``hello`` and the version of these messages. Each request carries a ``job`` number and, but for
``cancel``, gets exactly one last answer.

=========================================== ==========================================================
request                                     answers
=========================================== ==========================================================
``load`` job, choice                        ``finished`` with what was loaded
``encode`` job, choice, image               ``finished``
``preview`` job, choice, prompt, image      ``prediction``, or ``superseded`` by a newer preview
``segment`` job, choice, shape, spacing,    ``need_slice`` index (to be answered by ``slice`` job, index,
prompt                                      image) and ``slice_result``, as often as need be; ``finished``
``cancel`` job                              ``cancelled``, unless the job had ended by itself
any                                         ``failed`` with the error's kind and its one line
=========================================== ==========================================================

Requests are served in order, with two exceptions. A cancel is seen while inference runs: between slices, and
wherever a run waits for a slice. A preview goes before everything that waits, and is answered between two slices of a
run if it asks for the run's own model; with another model it waits for the run's end, since changing models twice
costs more than waiting. So a service must bear a preview while its `segment` iterator stands at a yield.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from typing import BinaryIO, cast

import numpy as np

from ..child_log import log_to_stderr
from ..environment import leave_one_core, share_processor
from ..errors import Cancelled, InputError, MedSAMError, WorkerError, as_user_error, one_line
from ..log import get_logger, log_error
from ..model_choice import ModelChoice, RunInfo, Service
from ..results import SliceResult
from . import codec
from .framing import PROTOCOL_VERSION, Message, encode, read_message
from .request_queue import RequestQueue, RequestQueueClosed

DEFAULT_SERVICE = "MedSAMSlicerLib.engine.serving.service:SegmentationService"
_GRACE_SECONDS = 0.3
"""How long a computation may go on once standard input has ended."""
# Run as a program, this module has another name.
_log = get_logger("MedSAMSlicerLib.engine.serving.worker")

Send = Callable[[Message], None]


class RemoteSource:
    """The slices of a stack that lies in the other process; each is asked for when it is needed."""

    def __init__(
        self,
        job: int,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        inbox: RequestQueue,
        send: Send,
    ) -> None:
        self._job, self._shape, self._spacing = job, shape, spacing
        self._inbox, self._send = inbox, send

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._spacing

    def slice_uint8(self, index: int) -> np.ndarray:
        """(rows, columns) uint8 of one slice. Raises Cancelled when the run is cancelled meanwhile."""
        index = int(index)
        if not 0 <= index < self._shape[0]:
            raise IndexError(f"slice {index} of a stack of {self._shape[0]}")
        self._inbox.check(self._job)
        self._send(Message("need_slice", {"job": self._job, "index": index}))
        image = codec.read_image(self._inbox.take_slice(self._job, index))
        if image.shape != self._shape[1:]:
            raise WorkerError(f"slice {index} came with {image.shape} pixels where {self._shape[1:]} belong")
        return image


class Worker:
    """Takes requests out of an inbox and answers them, one at a time, until the inbox closes."""

    def __init__(self, inbox: RequestQueue, send: Send, make_service: Callable[[], Service]) -> None:
        self._inbox, self._send, self._make_service = inbox, send, make_service
        self._made: Service | None = None
        self._handlers: dict[str, Callable[[int, Message], Message]] = {
            "load": self._load,
            "encode": self._encode,
            "preview": self._preview,
            "segment": self._segment,
        }

    def run(self) -> None:
        """Greet, then serve until the inbox closes. Raises WorkerError on a request without a job number."""
        self._send(Message("hello", {"version": PROTOCOL_VERSION}))
        with contextlib.suppress(RequestQueueClosed):
            while True:
                request = self._inbox.take()
                self._report_superseded()
                self._serve(request)

    def _serve(self, request: Message) -> None:
        job = request.integer("job")
        try:
            self._inbox.check(job)
            if request.kind not in self._handlers:
                raise WorkerError(f"the inference process knows no request '{request.kind}'")
            answer = self._handlers[request.kind](job, request)
        except RequestQueueClosed:
            raise
        except Cancelled:
            answer = Message("cancelled", {"job": job})
        except Exception as error:
            answer = Message("failed", {"job": job, **codec.error_fields(self._explained(error))})
        self._inbox.forget(job)
        self._send(answer)

    def _explained(self, error: Exception) -> MedSAMError:
        explained = as_user_error(error)
        log_error(_log, explained, "a request failed")
        if explained is not error and self._made is not None:
            # Whatever went wrong, embeddings can be made again; after a want of memory this is what gives it back.
            self._made.clear_cache()
        return explained

    @property
    def _service(self) -> Service:
        if self._made is None:
            self._made = self._make_service()
        return self._made

    def _load(self, job: int, request: Message) -> Message:
        info = RunInfo(loaded=self._service.load(codec.read_choice(request)))
        return Message("finished", {"job": job, **codec.info_fields(info)})

    def _encode(self, job: int, request: Message) -> Message:
        self._service.encode(codec.read_choice(request), codec.read_image(request))
        return Message("finished", {"job": job, **codec.info_fields(RunInfo())})

    def _preview(self, job: int, request: Message) -> Message:
        prediction = self._service.preview(
            codec.read_choice(request), codec.read_image(request), codec.read_slice_prompt(request, "prompt")
        )
        fields, arrays = codec.prediction_parts(prediction)
        return Message("prediction", {"job": job, **fields}, arrays)

    def _segment(self, job: int, request: Message) -> Message:
        choice = codec.read_choice(request)
        slices, rows, columns = request.integers("shape", 3)
        between, down, across = request.numbers("spacing", 3)
        source = RemoteSource(job, (slices, rows, columns), (between, down, across), self._inbox, self._send)
        info = RunInfo()
        results = self._service.segment(choice, source, codec.read_prompt(request), info)
        with contextlib.closing(cast("Generator[SliceResult, None, None]", results)):
            for result in results:
                self._inbox.check(job)
                fields, arrays = codec.result_parts(result)
                self._send(Message("slice_result", {"job": job, **fields}, arrays))
                self._serve_preview_of(choice)
                self._inbox.check(job)
        return Message("finished", {"job": job, **codec.info_fields(info)})

    def _serve_preview_of(self, choice: ModelChoice) -> None:
        preview = self._inbox.take_preview()
        if preview is not None and preview.fields.get("choice") == codec.choice_fields(choice)["choice"]:
            self._serve(preview)
        elif preview is not None:
            self._inbox.put_back_preview(preview)
        self._report_superseded()

    def _report_superseded(self) -> None:
        for job in self._inbox.take_superseded():
            self._send(Message("superseded", {"job": job}))


def service_factory(name: str) -> Callable[[], Service]:
    """A function that imports ``module:factory`` and calls it; nothing is imported before.

    Raises:
        InputError: `name` has another form.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise InputError(f"service {name!r} is not of the form module:factory: name a module and what to call in it")

    def make() -> Service:
        return cast(Service, getattr(importlib.import_module(module), attribute)())

    return make


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The process's standard input and output, for messages alone.

    Afterwards whatever is printed, by Python or by a compiled library, goes to standard error, and whoever reads
    standard input finds it empty.
    """
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return open(requests, "rb"), open(answers, "wb")


def fill(inbox: RequestQueue, stream: BinaryIO) -> None:
    """Move messages from the stream to the inbox until the stream ends, then end the process if it doesn't by itself."""
    try:
        while (message := read_message(stream)) is not None:
            inbox.put(message)
    except (WorkerError, OSError) as error:
        # Where one message ends and the next begins is lost: nothing that follows can be understood.
        print(f"inference process: {one_line(str(error))}", file=sys.stderr, flush=True)
        os._exit(1)
    inbox.close()
    # A network in the middle of a slice cannot be interrupted, and there is nobody left to answer.
    threading.Event().wait(_GRACE_SECONDS)
    os._exit(0)


def main(arguments: list[str] | None = None) -> int:
    """Serve the process at the other end of the pipes; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service", default=DEFAULT_SERVICE, help="module:factory of the engine")
    options = parser.parse_args(arguments)
    share_processor()
    leave_one_core()
    requests, answers = claim_pipes()
    log_to_stderr()
    # What a library's crash leaves is its traceback.
    faulthandler.enable()
    # Ctrl-C in a terminal reaches the whole group of processes; the parent decides what it means for this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox = RequestQueue()

    def send(message: Message) -> None:
        data = encode(message)
        try:
            answers.write(data)
            answers.flush()
        except OSError:
            # The parent is gone; there is nobody to tell, and closing the stream would only fail again.
            os._exit(0)

    threading.Thread(target=fill, args=(inbox, requests), name="requests", daemon=True).start()
    try:
        Worker(inbox, send, service_factory(options.service)).run()
    except MedSAMError as error:
        print(f"inference process: {one_line(str(error))}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
