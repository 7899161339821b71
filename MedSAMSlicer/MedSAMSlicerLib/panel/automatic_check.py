"""Checks this computer by itself, once, when an idle moment comes after the first result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from ..engine.environment import DEFAULT_MODEL
from ..processes.job_process import JobProcess, Line
from . import settings
from .device_texts import MODULE, device_text, seconds_text

TICK_MILLISECONDS = 2000
IDLE_TICKS = 3
"""Ticks without work before the check begins."""


class AutomaticCheck:
    """Runs the device check in the background, in a process of low priority, as long as nothing else is computed.

    It runs while the settings hold no valid choice of a device, if the user has not switched it off, and if there is anything
    to choose from. What interrupts it makes it begin again later; if it fails it is not tried again.

    Attributes:
        text: what the user should know about it now; '' for nothing.

    Args:
        busy: whether the user's own work is being computed.
        messages: slices to send to the check, as `check_messages` makes them.
        on_change: called when `text` has changed, and when a device was chosen.
    """

    def __init__(
        self, busy: Callable[[], bool], messages: Callable[[], Sequence[bytes]], on_change: Callable[[], None]
    ) -> None:
        self._busy, self._messages, self._on_change = busy, messages, on_change
        self.text = ""
        self._backends = self._idle = 0
        self._has_result = self._failed = False
        self._results: list[Line] = []
        self._job = JobProcess(self._on_line, self._on_end)
        self._timer = qt.QTimer()
        self._timer.interval = TICK_MILLISECONDS
        self._timer.connect("timeout()", self._tick)

    @property
    def running(self) -> bool:
        return self._job.running

    def set_backends(self, count: int) -> None:
        """Set how many devices and runtimes there are to choose from."""
        self._backends = count
        self._schedule()

    def result_found(self) -> None:
        """The user has a result: what matters most is done."""
        self._has_result = True
        if not self.running:
            self._say("")
        self._schedule()

    def pause(self) -> None:
        """Stop, until `set_backends` or `result_found` is called."""
        self._timer.stop()
        self._job.cancel()

    def close(self) -> None:
        """End the running check."""
        self._timer.stop()
        # Python's garbage collector cannot see the reference cycle through Qt.
        self._timer.disconnect("timeout()", self._tick)
        self._job.close()

    @property
    def _due(self) -> bool:
        return (
            self._has_result
            and not self._failed
            and self._backends > 1
            and settings.checks_automatically()
            and settings.device() == "auto"
        )

    def _schedule(self) -> None:
        if (self._due or self.running) and not self._timer.isActive():
            self._idle = 0
            self._timer.start()

    def _tick(self) -> None:
        if self._busy():
            self._idle = 0
            self._job.cancel()
        elif self.running:
            return
        elif not self._due:
            self._timer.stop()
        else:
            self._idle += 1
            if self._idle >= IDLE_TICKS:
                self._start()

    def _start(self) -> None:
        self._idle, self._results = 0, []
        messages = list(self._messages())
        arguments = ["--model", DEFAULT_MODEL, "--slices", str(len(messages))]
        self._job.start(MODULE, arguments, b"".join(messages))
        self._say(_("Finding the fastest device in the background…"))

    def _on_line(self, line: Line) -> None:
        if line.get("kind") == "result":
            self._results.append(line)
        elif line.get("kind") == "fastest" and settings.keep_check(line, DEFAULT_MODEL):
            [chosen] = [
                one for one in self._results if (one["device"], one["runtime"]) == (line["device"], line["runtime"])
            ]
            self._say(
                _(
                    "The device 'Automatic' is now {device}: the fastest with the right result, {seconds} per slice."
                ).format(device=device_text(line), seconds=seconds_text(chosen))
            )

    def _on_end(self, failure: str | None) -> None:
        if failure is None:
            self._say("")
        elif failure or settings.device() == "auto":
            # The log holds the reason. Nobody has asked for the check, and 'Check this computer' shows it.
            self._failed = True
            self._say("")

    def _say(self, text: str) -> None:
        if text != self.text:
            self.text = text
            self._on_change()
