"""Time and events, stepped by the test: nothing happens between two steps."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

from .signals import guarded


class Clock:
    """Qt's event loop in small. `now` counts milliseconds since the test began, `cycle` its turns."""

    def __init__(self) -> None:
        self.now, self.cycle = 0.0, 0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], Any]]] = []
        self._pumps: list[Callable[[], bool]] = []

    def post(self, call: Callable[[], Any], delay: float = 0.0) -> None:
        """`call` runs when events are processed, `delay` milliseconds from now or later."""
        heapq.heappush(self._due, (self.now + max(delay, 0.0), next(self._order), call))

    def pump(self, pump: Callable[[], bool]) -> None:
        """`pump` is asked for news at every step, until it answers False."""
        self._pumps.append(pump)

    def process(self) -> None:
        """What is due now and what processes have sent; events that these cause, or that become due meanwhile, wait
        for the next step."""
        self.cycle += 1
        begin = self.now
        # A pump may open a dialog, whose event loop asks the others, and new ones.
        ended = [pump for pump in list(self._pumps) if not guarded(pump)]
        self._pumps = [pump for pump in self._pumps if pump not in ended]
        waiting = next(self._order)
        while self._due and self._due[0][0] <= begin and self._due[0][1] < waiting:
            guarded(heapq.heappop(self._due)[2])

    def advance(self, milliseconds: float) -> None:
        """Lets time pass; everything happens in the order in which it is due."""
        end = self.now + milliseconds
        self.process()
        while self._due and self._due[0][0] <= end:
            self.now = max(self.now, self._due[0][0])
            self.process()
        self.now = max(self.now, end)

    def wait_until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        """Processes events in real time until the condition holds. Raises TimeoutError if it does not."""
        started = last = time.monotonic()
        while not condition():
            time.sleep(0.001)
            current = time.monotonic()
            self.advance((current - last) * 1000)
            last = current
            if current - started > seconds:
                raise TimeoutError(f"what was waited for did not happen within {seconds} s")

    def close(self, pumps: Iterable[Callable[[], bool]] = ()) -> None:
        self._due.clear()
        self._pumps = list(pumps)


clock = Clock()


def renew() -> Clock:
    """A clock at zero, in the same object, for the next test."""
    clock.__init__()  # type: ignore[misc]
    return clock
