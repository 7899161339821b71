"""How far a run has come, and how long it will go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ...engine.serving.inference_client import Stage


@dataclass(frozen=True)
class Progress:
    """State of a run.

    Attributes:
        stage: what the run is doing.
        done: slices that were answered.
        total: slices that will be answered at most; None while nobody knows where the object ends.
        seconds: since the run began.
        remaining: seconds that the run will go on at the pace of its slices so far; None if that is unknown.
    """

    stage: Stage
    done: int
    total: int | None
    seconds: float
    remaining: float | None


class ProgressMeter:
    """Counts slices. The time to start a process and to load a model does not enter the pace of slices.

    Args:
        total: slices that will be answered at most, if that is known.
        clock: seconds, never running backwards.
    """

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._begin = clock()
        self._first_slice = self._begin
        self._stage = Stage.STARTING
        self._done = 0

    def enter(self, stage: Stage) -> Progress:
        """The run has come to `stage`."""
        self._stage = stage
        self._first_slice = self._clock()
        return self.now()

    def count(self) -> Progress:
        """One more slice was answered."""
        self._done += 1
        return self.now()

    def now(self) -> Progress:
        """The state at this moment."""
        now = self._clock()
        remaining = None
        if self._total is not None and self._done:
            pace = (now - self._first_slice) / self._done
            remaining = pace * max(self._total - self._done, 0)
        return Progress(self._stage, self._done, self._total, now - self._begin, remaining)
