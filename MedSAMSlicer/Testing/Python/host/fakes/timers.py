"""QTimer, QElapsedTimer and QEventLoop on the test's clock."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ..clock import clock
from ..doubles import Double, implements, slot_of


@implements("QTimer")
class Timer(Double):
    """A timer that nobody holds and that has no parent is gone, as in Slicer: it is not kept alive by running."""

    def _arm(self) -> None:
        ticket = object()
        self.__dict__["_ticket"] = ticket
        self.__dict__["_due"] = clock.now + self.interval
        weak = weakref.ref(self)

        def fire() -> None:
            timer = weak()
            if timer is not None and timer.__dict__.get("_ticket") is ticket:
                timer._fire()

        clock.post(fire, self.interval)

    def _fire(self) -> None:
        if self.isSingleShot():
            self.stop()
        else:
            self._arm()
        self.timeout.emit()

    def start(self, milliseconds: int | None = None) -> None:
        if milliseconds is not None:
            self.setInterval(milliseconds)
        self._arm()

    def stop(self) -> None:
        self.__dict__["_ticket"] = None

    def isActive(self) -> bool:
        return self.__dict__.get("_ticket") is not None

    def isSingleShot(self) -> bool:
        return bool(self.__dict__.get("_single", False))

    def on_interval(self, _milliseconds: int) -> None:
        if self.isActive():
            self._arm()

    @staticmethod
    def singleShot(milliseconds: int, receiver: Callable[[], Any], slot: str | None = None) -> None:
        clock.post(slot_of(receiver, slot), milliseconds)


_running_loops: list[EventLoop] = []
_LONGEST_LOOP_SECONDS = 300.0


@implements("QEventLoop")
class EventLoop(Double):
    """Processes events in real time until it is told to exit, or the application is."""

    def exec(self, *_flags: int) -> int:
        self.__dict__["_exit_code"] = None
        _running_loops.append(self)
        try:
            clock.wait_until(lambda: self.__dict__["_exit_code"] is not None, _LONGEST_LOOP_SECONDS)
        finally:
            _running_loops.remove(self)
        return int(self.__dict__["_exit_code"])

    def exit(self, code: int = 0) -> None:
        self.__dict__["_exit_code"] = code

    def quit(self) -> None:
        self.exit()

    def isRunning(self) -> bool:
        return self in _running_loops

    def processEvents(self, *_arguments: int) -> bool:
        clock.process()
        return True


def exit_all_loops(code: int) -> None:
    """What `QCoreApplication::exit` does to the event loops of the thread."""
    for loop in _running_loops:
        loop.exit(code)
