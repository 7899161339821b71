"""An inference process from its start to its end."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Collection, Iterable

import numpy as np

from ...engine.diagnostics.child_log import ChildLog, is_log_line
from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import WorkerError, one_line
from ...engine.i18n import tr as _
from ...engine.model_choice import ModelChoice
from ...engine.models.catalogue import known_model
from ...engine.serving import codec
from ...engine.serving.framing import PROTOCOL_VERSION, Message, MessageReader, encode
from .transport import Transport, TransportListener

_log = get_logger(__name__)
ANSWER_TIMEOUT = 300.0
"""Timeout in seconds while the process starts or loads a model. The first import of torch under a virus scanner takes
less. A timeout is the time without a sign of life: a process that computes, however slowly, gives one every few seconds
(`engine.serving.heartbeat`)."""
SLICE_TIMEOUT = 30.0
SECONDS_PER_MILLION_PARAMETERS = 0.4
"""Timeout once the model is loaded: the sum of both, that is 30 s for LiteMedSAM and nearly 5 minutes for SAM ViT-H,
several times what they take for a slice on a slow CPU."""
DELIVERY_SECONDS = 0.01
"""How long messages are delivered without a break, so that the application stays responsive after a time in which it was
busy and many have arrived. One of a large slice takes milliseconds."""
_LONGEST_TICK = 5.0
_STDERR_BYTES = 8192
_STDERR_LINES = 3
_TRACEBACK_STARTS = ("Traceback", "Current thread ", "Thread ", "Extension modules: ")


def response_timeout(requested: Iterable[ModelChoice], loaded: ModelChoice | None, maximum: float) -> float:
    """Seconds without a sign of life after which a process is considered hanging.

    Args:
        requested: models of the pending requests.
        loaded: the model that the process has loaded; None if unknown.
        maximum: timeout in seconds while the process starts or loads a model.
    """
    if any(choice != loaded for choice in requested):
        return maximum
    spec = None if loaded is None else known_model(loaded.model)
    if spec is None:
        return maximum
    return min(maximum, SLICE_TIMEOUT + SECONDS_PER_MILLION_PARAMETERS * spec.parameters / 1e6)


class WorkerProcess:
    """Starts a process, exchanges messages with it, and reports its end.

    Attributes:
        transport: the transport of the process.
        greeted: whether the process is ready and uses the same protocol version.
        previewed: slice of the last preview, which the process keeps; None before the first one.
        silence: seconds without a sign of life, as counted by `tick`: output, or messages that the process computes.

    Args:
        transport: a transport that has not been started.
        clock: returns monotonic time in seconds.
        on_greeted: called when the process is ready.
        on_message: called with each message except the greeting. Its exceptions propagate to the caller of the
            transport; the remaining messages are delivered by the next call of `deliver`.
        on_lost: called once with an error when the process has ended unexpectedly, or was ended because of an invalid
            message. No callback is called afterwards.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float],
        on_greeted: Callable[[], None],
        on_message: Callable[[Message], None],
        on_lost: Callable[[WorkerError], None],
    ) -> None:
        self.transport = transport
        self.greeted = False
        self.previewed: np.ndarray | None = None
        self.silence = 0.0
        self._clock = clock
        self._last_tick = clock()
        self._on_greeted, self._on_message, self._on_lost = on_greeted, on_message, on_lost
        self._reader = MessageReader()
        self._received: deque[Message] = deque()
        self._stderr = b""
        self._child_log = ChildLog(__name__, "inference process")
        self._ended = False
        _log.info("inference process starts")
        transport.start(TransportListener(self._on_bytes, self._on_stderr, self._on_exit))

    @property
    def ended(self) -> bool:
        """Whether the process has ended, or is no longer read."""
        return self._ended

    def send(self, kind: str, fields: codec.Fields, arrays: codec.Arrays | None = None) -> None:
        """Send a message.

        Raises:
            WorkerError: the message exceeds the size limit.
        """
        self.transport.write(encode(Message(kind, fields, arrays or {})))

    @property
    def reading(self) -> bool:
        """Whether messages have arrived that `deliver` has still to deliver."""
        return bool(self._received)

    def deliver(self) -> None:
        """Deliver received messages, one by one, for `DELIVERY_SECONDS`; the others wait for the next call."""
        end = self._clock() + DELIVERY_SECONDS
        while self._received:
            self._deliver(self._received.popleft())
            if self._clock() >= end:
                return

    def drop(self, job: int, kinds: Collection[str]) -> None:
        """Drop messages of these kinds that belong to a job and have not been delivered."""
        kept = [one for one in self._received if one.kind not in kinds or one.fields.get("job") != job]
        self._received = deque(kept)

    def _deliver(self, message: Message) -> None:
        if message.kind == "hello" and not self.greeted:
            self._greet(message)
        elif message.kind == "alive":
            return  # its arrival has reset `silence`
        elif self.greeted:
            self._on_message(message)
        else:
            self.reject(_("message '{kind}' was sent before the greeting").format(kind=one_line(message.kind, 40)))

    def begin_silence(self, now: float) -> None:
        """Reset `silence`; call this when the first request is sent."""
        self.silence, self._last_tick = 0.0, now

    def tick(self, now: float) -> None:
        """Update `silence`. Long gaps between calls, such as a suspended computer, count at most `_LONGEST_TICK`."""
        self.silence += min(now - self._last_tick, _LONGEST_TICK)
        self._last_tick = now

    def reject(self, reason: str) -> None:
        """Kill the process because of an invalid message, and report the loss."""
        self._lost(
            WorkerError(_("the inference process sent an invalid message ({reason}): try again").format(reason=reason))
        )

    def kill(self) -> None:
        """Kill the process; no callback is called afterwards."""
        self._mark_ended()
        self.transport.kill()

    def close(self) -> None:
        """Let the process end by itself; no callback is called afterwards."""
        self._mark_ended()
        self.transport.close()

    def _greet(self, message: Message) -> None:
        try:
            version = message.integer("version")
        except WorkerError as error:
            self.reject(str(error))
            return
        if version != PROTOCOL_VERSION:
            self._lost(
                WorkerError(
                    _(
                        "the inference process uses protocol version {version} instead of {expected} because MedSAMSlicer"
                        " was updated: restart the application"
                    ).format(version=version, expected=PROTOCOL_VERSION)
                )
            )
            return
        self.greeted = True
        self._on_greeted()

    def _on_bytes(self, data: bytes) -> None:
        if self._ended:
            return
        self.silence = 0.0
        waiting = self.reading
        try:
            self._received.extend(self._reader.feed(data))
        except WorkerError as error:
            self.reject(str(error))
            return
        if not waiting:  # otherwise the timer that calls `deliver` does it: one portion in each turn of the event loop
            self.deliver()

    def _on_stderr(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-_STDERR_BYTES:]
        self._child_log.feed(data)

    def _on_exit(self, status: int | None) -> None:
        while not self._ended and self._received:
            self._deliver(self._received.popleft())
        if not self._ended:
            self._mark_ended()
            self._child_log.close()
            error = WorkerError(f"{_exit_text(status)}{_stderr_text(self._stderr)}: {_advice(status)}")
            log_error(_log, error, "inference process ended unexpectedly with status %s", status)
            self._on_lost(error)

    def _lost(self, error: WorkerError) -> None:
        if not self._ended:
            log_error(_log, error, "inference process was ended: invalid message")
            self.kill()
            self._on_lost(error)

    def _mark_ended(self) -> None:
        self._ended = True
        self._received.clear()
        self._child_log.close()


def _exit_text(status: int | None) -> str:
    if status is None:
        return _("the inference process could not be started")
    if status >= 0:
        return _("the inference process ended unexpectedly with status {status}").format(status=status)
    names = {int(known): known.name for known in signal.Signals}
    text = _("the inference process was ended by {signal}")
    return text.format(signal=names.get(-status, f"signal {-status}"))


def _advice(status: int | None) -> str:
    if status == -9:
        return _("memory may have run out; close other programs or choose a smaller model, then try again")
    return _("try again; restart the application if the error persists")


def _stderr_text(stderr: bytes) -> str:
    """Last lines of standard error, in parentheses, without log records and tracebacks; '' if there are none."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    messages = [
        line for line in lines if not (line[0].isspace() or line.startswith(_TRACEBACK_STARTS) or is_log_line(line))
    ]
    return f" ({one_line(' | '.join(messages[-_STDERR_LINES:]), 300)})" if messages else ""
