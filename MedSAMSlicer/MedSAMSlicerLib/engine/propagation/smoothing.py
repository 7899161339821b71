"""Logits of neighbouring slices weighed together, over millimetres: half of what one slice alone shows is noise."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

import numpy as np

# Standard deviation of the Gaussian along the stack. Slices 6 mm apart hardly see each other, slices 1 mm apart do. Mean
# DSC on 26 cases: 0.8075 without, 0.8121 with 2 mm, 0.8132 with 3 mm, 0.8119 with 4 mm, 0.8091 with 5 mm.
SPREAD_MM = 3.0
# A small object is not blurred away: the deviation is at most this share of its length along the stack. Mean DSC in 3D boxes,
# 26 cases: 0.816 with 0.05, 0.817 with 0.1, 0.816 with 0.2.
LARGEST_SHARE = 0.1
# Slices further away than this many standard deviations are left out, and results do not wait for them. 2 loses 0.002.
REACH = 3.0
# No pixel counts as surer than this many logits; 5, 10 and 20 are equal within 0.0011.
SUREST = 10.0
# Slices that nothing speaks for still count this much; 0.001 and 0.1 are equal within 0.0001.
SMALLEST_TRUST = 0.01


def trust_in(opinion: float) -> float:
    """A model's opinion of its mask, such as predicted IoU times stability, as a trust within 0..1."""
    return min(1.0, max(0.0, opinion))


class StackSmoother:
    """Takes the logits of slices as they come; gives them smoothed as soon as all neighbours that matter are there.

    Beyond the first and last slice the outermost one is taken to go on. Slices that will not come are taken to
    lie on a straight line between the two beside them that do, and are given all the same.

    Args:
        first, last: slices to give, included.
        spacing_mm: millimetres between them.
        coming: slices that will come, `first` and `last` among them, no further apart than the smoothing reaches; None:
            all of them.
    """

    def __init__(self, first: int, last: int, spacing_mm: float, coming: Collection[int] | None = None) -> None:
        self._first, self._last = first, last
        spread = min(SPREAD_MM / spacing_mm, LARGEST_SHARE * (last - first + 1))
        self._reach = int(REACH * spread)
        self._weights = [math.exp(-((i / spread) ** 2) / 2) for i in range(-self._reach, self._reach + 1)]
        self._coming = sorted(range(first, last + 1) if coming is None else coming)
        self._gap = max((high - low for low, high in pairwise(self._coming)), default=1) - 1
        self._logits: dict[int, np.ndarray] = {}
        self._trust: dict[int, float] = {}
        self._given: set[int] = set()

    def take(self, index: int, logits: np.ndarray, trust: float) -> Iterator[tuple[int, np.ndarray]]:
        """Another slice's float32 (h, w) logits -> (slice, smoothed logits) of those that have become complete.

        Args:
            trust: 0..1, how far the slice is to be believed; it counts that much for itself and for its neighbours.
        """
        self._trust[index] = max(trust, SMALLEST_TRUST)
        self._logits[index] = np.clip(logits, -SUREST, SUREST)
        # A slice that comes speaks for those up to the next one that comes, too.
        furthest = self._reach + self._gap
        for near in range(max(self._first, index - furthest), min(self._last, index + furthest) + 1):
            if near in self._given:
                continue
            around = self._around(near)
            if all(i in self._logits for i in around):
                self._given.add(near)
                yield near, self._mean(around)

    def _mean(self, around: Mapping[int, float]) -> np.ndarray:
        weights = np.array([weight * self._trust[i] for i, weight in around.items()], np.float32)
        smoothed = np.zeros_like(self._logits[next(iter(around))])
        for i, weight in zip(around, weights / weights.sum(), strict=True):
            smoothed += weight * self._logits[i]
        return smoothed

    def _around(self, index: int) -> dict[int, float]:
        """Slices that come, and what each counts: for itself and, by nearness, for those beside it that do not come."""
        found: dict[int, float] = {}
        for distance, weight in zip(range(-self._reach, self._reach + 1), self._weights, strict=True):
            place = min(max(index + distance, self._first), self._last)
            after = bisect_left(self._coming, place)
            high = self._coming[after]
            low = high if high == place else self._coming[after - 1]
            share = (place - low) / (high - low) if high > low else 1.0
            for i, part in ((high, share), (low, 1 - share)):
                if part:
                    found[i] = found.get(i, 0.0) + weight * part
        return found
