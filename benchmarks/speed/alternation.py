"""Alternating measurements of several variants, so that other load on the computer affects all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Seconds = list[float]


def timed(work: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def time_alternately(variants: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Seconds]:
    """Time each variant once per round. An additional first round is not counted."""
    seconds: dict[str, Seconds] = {name: [] for name in variants}
    for n in range(repeats + 1):
        for name, variant in variants.items():
            duration = timed(variant)
            if n:
                seconds[name].append(duration)
    return seconds


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and number of values."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return {"median": float(middle), "q25": float(low), "q75": float(high), "runs": len(values)}


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, float]:
    """Quartiles of the ratios of values from the same round, on which other load has little influence."""
    return quartiles([one / other for one, other in zip(numerators, denominators, strict=True)])


class AlternatingGenerators:
    """Runs generators alternately, a few results at a time.

    Attributes:
        seconds: duration of each turn, by generator.
        results: results, by generator.

    Args:
        generators: generators by name, each with its number of results per turn.
    """

    def __init__(self, generators: Mapping[str, tuple[Iterator[Any], int]]) -> None:
        self._generators = dict(generators)
        self.seconds: dict[str, Seconds] = {name: [] for name in generators}
        self.results: dict[str, list[Any]] = {name: [] for name in generators}

    def run(self, limits: Mapping[str, int] | None = None) -> None:
        """Run all generators to their end, or to a number of results.

        Args:
            limits: largest number of results, by generator.
        """
        unfinished = set(self._generators)
        while unfinished:
            for name, (results, count) in self._generators.items():
                if name not in unfinished:
                    continue
                left = (limits or {}).get(name, 10**9) - len(self.results[name])
                begin = time.perf_counter()
                drawn = [one for _, one in zip(range(min(count, left)), results, strict=False)]
                self.seconds[name].append(time.perf_counter() - begin)
                self.results[name] += drawn
                if len(drawn) < count:
                    unfinished.discard(name)

    def total(self, name: str) -> float:
        """Seconds of one generator."""
        return sum(self.seconds[name])
