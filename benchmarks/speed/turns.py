"""Ways that take turns, so that what else the computer does falls on all of them; medians, quartiles, ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Seconds = list[float]


def timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def by_turns(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Seconds]:
    """Seconds of each way, turn by turn; the first turn does not count."""
    found: dict[str, Seconds] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            seconds = timed(way)
            if turn:
                found[name].append(seconds)
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return {"median": float(middle), "q25": float(low), "q75": float(high), "runs": len(values)}


def ratios(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of the ratio within each turn: a turn in which the computer was busy slows both."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


class Alternating:
    """Generators that take turns, some results at a time; each one's seconds, part by part.

    Args:
        ways: what to draw from, and how many results it gives at a turn.
    """

    def __init__(self, ways: Mapping[str, tuple[Iterator[Any], int]]) -> None:
        self._ways = dict(ways)
        self.seconds: dict[str, Seconds] = {name: [] for name in ways}
        self.results: dict[str, list[Any]] = {name: [] for name in ways}

    def run(self, most: Mapping[str, int] | None = None) -> None:
        """Draw until all are at their end.

        Args:
            most: where a way is left after so many results.
        """
        limits = most or {}
        open_ways = set(self._ways)
        while open_ways:
            for name, (results, count) in self._ways.items():
                if name not in open_ways:
                    continue
                left = limits.get(name, 10**9) - len(self.results[name])
                begin = time.perf_counter()
                drawn = [one for _, one in zip(range(min(count, left)), results, strict=False)]
                self.seconds[name].append(time.perf_counter() - begin)
                self.results[name] += drawn
                if len(drawn) < count:
                    open_ways.discard(name)

    def total(self, name: str) -> float:
        return sum(self.seconds[name])
