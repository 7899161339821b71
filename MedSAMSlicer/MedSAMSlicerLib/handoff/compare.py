"""Comparison of two segmentations of the same patient: agreement on one grid, change, and response."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..evaluation.metrics import agreement
from .grid import Grid
from .measure import Measurements


@dataclass(frozen=True)
class Comparison:
    """One segment at two times, or of two observers.

    Attributes:
        name: name of the segment.
        first, second: measurements; None where it is missing.
        dsc, nsd, hd95_mm: agreement of the second with the first, see `evaluation.metrics.Agreement`; None if it was not
            computed.
    """

    name: str
    first: Measurements | None
    second: Measurements | None
    dsc: float | None = None
    nsd: float | None = None
    hd95_mm: float | None = None

    @property
    def volume_change_pct(self) -> float:
        """Change of the volume in percent of the first; NaN if it is missing in the first."""
        return _change(_value(self.first, "volume_ml"), _value(self.second, "volume_ml"))

    @property
    def diameter_change_pct(self) -> float:
        """Change of the diameter that RECIST takes, in percent of the first; NaN if it is missing in the first."""
        return _change(_value(self.first, "recist_mm"), _value(self.second, "recist_mm"))


def _value(measurements: Measurements | None, attribute: str) -> float:
    """0 for a segment that is missing."""
    return 0.0 if measurements is None else float(getattr(measurements, attribute))


def _change(before: float, after: float) -> float:
    return 100 * (after - before) / before if before else math.nan


def compare(
    first: Mapping[str, Measurements],
    second: Mapping[str, Measurements],
    masks: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] | None = None,
    grid: Grid | None = None,
) -> list[Comparison]:
    """Compare segments of the same name.

    Args:
        first, second: measurements by name of the segment.
        masks: masks of both on `grid`, of the segments that both have, if their agreement is to be computed.
        grid: grid of the masks.
    """
    found = []
    for name in [*first, *(name for name in second if name not in first)]:
        one, other = first.get(name), second.get(name)
        if masks is None or grid is None or one is None or other is None:
            found.append(Comparison(name, one, other))
            continue
        scores = agreement(masks[1][name], masks[0][name], grid.spacing_kji)
        found.append(Comparison(name, one, other, scores.dsc, scores.nsd_2mm, scores.hd95_mm))
    return found
