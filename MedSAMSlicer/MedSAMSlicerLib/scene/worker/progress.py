"""Progress of a run and its remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .active_run import Stage


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        stage: current stage.
        done: number of slices with a result.
        total: maximum number of slices; None if the extent of the object is unknown.
        seconds: time since the start of the run.
        remaining: estimated seconds until the end of the run; None if unknown.
        slice_seconds: time since the last result, or since the stage began.
    """

    stage: Stage
    done: int
    total: int | None
    seconds: float
    remaining: float | None
    slice_seconds: float = 0.0


class ProgressMeter:
    """Counts slices and estimates the remaining time from their rate, which excludes starting and loading.

    Args:
        total: maximum number of slices; None if unknown.
        clock: returns monotonic time in seconds.
    """

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._begin = clock()
        self._stage_begin = self._last = self._begin
        self._stage = Stage.STARTING
        self._done = 0

    def enter(self, stage: Stage) -> Progress:
        """Enter `stage`."""
        self._stage = stage
        self._stage_begin = self._last = self._clock()
        return self.now()

    def count(self) -> Progress:
        """Count one more slice."""
        self._done += 1
        self._last = self._clock()
        return self.now()

    def now(self) -> Progress:
        """Current progress."""
        now = self._clock()
        remaining = None
        if self._total is not None and self._done:
            seconds_per_slice = (self._last - self._stage_begin) / self._done
            remaining = max(seconds_per_slice * (self._total - self._done) - (now - self._last), 0.0)
        return Progress(self._stage, self._done, self._total, now - self._begin, remaining, now - self._last)
