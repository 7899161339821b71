"""Smoothing of logits along the stack.

Each slice's logits become a weighted mean over its neighbours: a Gaussian in millimetres times the slices' trust.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping
from itertools import pairwise

import numpy as np

from .settings import SmoothingSettings


class StackSmoother:
    """Smooths logits along the stack while the slices are being predicted.

    Slices can be added in any order. Each is smoothed as soon as all neighbours that contribute to it are there. Beyond the
    first and the last slice, the outermost one is repeated. Skipped slices are taken to be linear interpolations of
    the predicted slices on both sides.

    Args:
        first, last: first and last slice, inclusive.
        spacing_mm: distance between slices in millimetres.
        settings: settings of the smoothing.
        predicted: slices that will be added, `first` and `last` among them; None for all of them.
    """

    def __init__(
        self,
        first: int,
        last: int,
        spacing_mm: float,
        settings: SmoothingSettings,
        predicted: Collection[int] | None = None,
    ) -> None:
        self._first, self._last = first, last
        self._largest_logit, self._smallest_trust = settings.largest_logit, settings.smallest_trust
        spread = min(settings.spread_mm / spacing_mm, settings.largest_spread * (last - first + 1))
        self._reach = int(settings.truncate * spread)
        self._gaussian = [math.exp(-((i / spread) ** 2) / 2) for i in range(-self._reach, self._reach + 1)]
        self._predicted = sorted(range(first, last + 1) if predicted is None else predicted)
        self._gap = max((high - low for low, high in pairwise(self._predicted)), default=1) - 1
        self._logits: dict[int, np.ndarray] = {}
        self._trust: dict[int, float] = {}
        self._smoothed: set[int] = set()

    def add(self, index: int, logits: np.ndarray, trust: float) -> list[tuple[int, np.ndarray]]:
        """Add a predicted slice.

        Args:
            index: slice index.
            logits: float32 (h, w).
            trust: weight of the slice, for itself and for its neighbours; clipped to 0..1.

        Returns:
            Index and smoothed float32 (h, w) logits of every slice that has become complete.
        """
        self._trust[index] = min(1.0, max(trust, self._smallest_trust))
        self._logits[index] = np.clip(logits, -self._largest_logit, self._largest_logit)
        complete = []
        # A predicted slice also contributes to slices that are smoothed with a skipped slice next to it.
        furthest = self._reach + self._gap
        for near in range(max(self._first, index - furthest), min(self._last, index + furthest) + 1):
            if near in self._smoothed:
                continue
            weights = self._weights(near)
            if all(i in self._logits for i in weights):
                self._smoothed.add(near)
                complete.append((near, self._mean(weights)))
        return complete

    def _mean(self, gaussian: Mapping[int, float]) -> np.ndarray:
        weights = np.array([weight * self._trust[i] for i, weight in gaussian.items()], np.float32)
        smoothed = np.zeros_like(self._logits[next(iter(gaussian))])
        for i, weight in zip(gaussian, weights / weights.sum(), strict=True):
            smoothed += weight * self._logits[i]
        return smoothed

    def _weights(self, index: int) -> dict[int, float]:
        """Predicted slices that contribute to a slice, with their weights before trust."""
        weights: dict[int, float] = {}
        for distance, weight in zip(range(-self._reach, self._reach + 1), self._gaussian, strict=True):
            position = min(max(index + distance, self._first), self._last)
            after = bisect_left(self._predicted, position)
            high = self._predicted[after]
            low = high if high == position else self._predicted[after - 1]
            share = (position - low) / (high - low) if high > low else 1.0
            for i, part in ((high, share), (low, 1 - share)):
                if part:
                    weights[i] = weights.get(i, 0.0) + weight * part
        return weights
