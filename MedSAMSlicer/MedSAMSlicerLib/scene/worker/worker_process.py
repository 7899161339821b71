"""One inference process, from its start to its end."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable

from ...engine.child_log import ChildLog, is_log_line
from ...engine.errors import WorkerError, one_line
from ...engine.i18n import tr as _
from ...engine.log import get_logger, log_error
from ...engine.serving import codec
from ...engine.serving.framing import PROTOCOL_VERSION, Message, MessageReader, encode
from .transport import Transport, TransportListener

_log = get_logger(__name__)
_LONGEST_ABSENCE = 5.0
_STDERR_BYTES = 8192
_LAST_WORDS = 3
_LISTINGS = ("Traceback", "Current thread ", "Thread ", "Extension modules: ")


class WorkerProcess:
    """Sends requests, puts answers together, notices the end.

    Args:
        transport: a fresh one.
        now: seconds on the clock that `tick` will be given.
        on_greeted: the process is up and speaks the same version of the messages.
        on_message: gets each message but the greeting. What it raises reaches whoever drives the transport; messages
            behind it are kept for the next `deliver`.
        on_lost: the process died or answered rubbish and has been ended; why. Called once, and nothing after it.

    Raises:
        WorkerError: the process cannot be started.
    """

    def __init__(
        self,
        transport: Transport,
        now: float,
        on_greeted: Callable[[], None],
        on_message: Callable[[Message], None],
        on_lost: Callable[[WorkerError], None],
    ) -> None:
        self.transport = transport
        self.greeted = False
        self.silence = 0.0
        """Seconds without a byte from the process, as far as somebody looked."""
        self._last_look = now
        self._on_greeted, self._on_message, self._on_lost = on_greeted, on_message, on_lost
        self._reader = MessageReader()
        self._arrived: deque[Message] = deque()
        self._stderr = b""
        self._child_log = ChildLog(__name__, "inference process")
        self._ended = False
        _log.info("inference process starts")
        transport.start(TransportListener(self._on_bytes, self._on_stderr, self._on_exit))

    @property
    def ended(self) -> bool:
        """Whether nothing will be heard of the process any more."""
        return self._ended

    def send(self, kind: str, fields: codec.Fields, arrays: codec.Arrays | None = None) -> None:
        """Send one message. Raises WorkerError if it is larger than messages may be."""
        self.transport.write(encode(Message(kind, fields, arrays or {})))

    def deliver(self) -> None:
        """Hand on the messages that have arrived, one by one."""
        while self._arrived:
            message = self._arrived.popleft()
            if message.kind == "hello" and not self.greeted:
                self._greet(message)
            elif self.greeted:
                self._on_message(message)
            else:
                self.lose(f"it sent '{one_line(message.kind, 40)}' before its greeting")

    def begin_silence(self, now: float) -> None:
        """From now on the process owes an answer."""
        self.silence, self._last_look = 0.0, now

    def tick(self, now: float) -> None:
        """Count the silence. Time in which the owner didn't look, or the computer slept, hardly counts."""
        self.silence += min(now - self._last_look, _LONGEST_ABSENCE)
        self._last_look = now

    def lose(self, why: str) -> None:
        """End a process whose answers cannot be understood."""
        self._lost(
            WorkerError(_("the answers of the inference process make no sense: {why}: try again").format(why=why))
        )

    def kill(self) -> None:
        """End the process at once; nothing is heard of it any more."""
        self._silenced()
        self.transport.kill()

    def close(self) -> None:
        """Let the process end by itself; nothing is heard of it any more."""
        self._silenced()
        self.transport.close()

    def _greet(self, message: Message) -> None:
        try:
            version = message.integer("version")
        except WorkerError as error:
            self.lose(str(error))
            return
        if version != PROTOCOL_VERSION:
            self._lost(
                WorkerError(
                    _(
                        "the inference process speaks version {version} of the messages where {expected} is "
                        "spoken here: restart the application, MedSAMSlicer was updated while it ran"
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
        try:
            self._arrived.extend(self._reader.feed(data))
        except WorkerError as error:
            self.lose(str(error))
            return
        self.deliver()

    def _on_stderr(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-_STDERR_BYTES:]
        self._child_log.feed(data)

    def _on_exit(self, status: int | None) -> None:
        if not self._ended:
            self._silenced()
            self._child_log.close()
            error = WorkerError(f"{_ending(status)}{_said(self._stderr)}: {_advice(status)}")
            log_error(_log, error, "inference process ended unexpectedly with status %s", status)
            self._on_lost(error)

    def _lost(self, error: WorkerError) -> None:
        if not self._ended:
            log_error(_log, error, "inference process is ended: its messages cannot be understood")
            self.kill()
            self._on_lost(error)

    def _silenced(self) -> None:
        self._ended = True
        self._arrived.clear()
        self._child_log.close()


def _ending(status: int | None) -> str:
    if status is None:
        return _("the inference process could not be started")
    if status >= 0:
        return _("the inference process ended unexpectedly with status {status}").format(status=status)
    names = {int(known): known.name for known in signal.Signals}
    text = _("the inference process was ended by {signal}")
    return text.format(signal=names.get(-status, f"signal {-status}"))


def _advice(status: int | None) -> str:
    if status == -9:
        return _("perhaps memory ran out; close other programs or choose a smaller model, then try again")
    return _("try again, and restart the application if it comes back")


def _said(stderr: bytes) -> str:
    """The last lines that are neither records of the log nor part of a listing such as a traceback."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    words = [line for line in lines if not (line[0].isspace() or line.startswith(_LISTINGS) or is_log_line(line))]
    return f" ({one_line(' | '.join(words[-_LAST_WORDS:]), 300)})" if words else ""
