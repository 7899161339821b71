"""RECIST 1.1: which lesions are measurable, and the response of a set of target lesions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SMALLEST_MM = 10.0
SMALLEST_NODE_MM = 15.0
NORMAL_NODE_MM = 10.0
MOST_TARGETS = 5
_THICK_SLICE_MM = 5.0
_NODE = re.compile(r"[zZ_]*(GTVn|LN|lymph|node)", re.IGNORECASE)


def is_node(name: str) -> bool:
    """Whether the name is that of a lymph node (``GTVn``, ``LN_...``), of which RECIST takes the short axis."""
    return _NODE.match(name) is not None


def measurability_note(name: str, longest_mm: float, perpendicular_mm: float, slice_mm: float) -> str:
    """Why a lesion is not measurable by RECIST 1.1, or ''.

    Args:
        slice_mm: distance between slices.
    """
    if is_node(name):
        if perpendicular_mm >= SMALLEST_NODE_MM:
            return ""
        return f"not measurable by RECIST 1.1: the short axis of a node is below {SMALLEST_NODE_MM:g} mm"
    smallest = max(SMALLEST_MM, 2 * slice_mm) if slice_mm > _THICK_SLICE_MM else SMALLEST_MM
    if longest_mm >= smallest:
        return ""
    why = f", twice the distance of {slice_mm:.3g} mm between slices" if smallest > SMALLEST_MM else ""
    return f"not measurable by RECIST 1.1: the longest diameter is below {smallest:.3g} mm{why}"


@dataclass(frozen=True)
class Response:
    """Response of target lesions.

    Attributes:
        category: "CR", "PR", "SD" or "PD": complete or partial response, stable or progressive disease.
        baseline_mm, sum_mm: sums of diameters then and now.
        reference_mm: smallest sum since then, with which progression is measured.
        notes: what a reader has to know.
    """

    category: str
    baseline_mm: float
    sum_mm: float
    reference_mm: float
    notes: tuple[str, ...] = ()

    @property
    def change_pct(self) -> float:
        """Change of the sum from the baseline in percent."""
        return 100 * (self.sum_mm - self.baseline_mm) / self.baseline_mm if self.baseline_mm else 0.0


def response(baseline: Mapping[str, float], now: Mapping[str, float], nadir_mm: float | None = None) -> Response:
    """Category of the target lesions alone; non-target lesions are for the reader to judge.

    Args:
        baseline: target -> longest diameter in mm, of nodes the short axis.
        now: the same at the later time. A target that is missing has disappeared; another one is a new lesion.
        nadir_mm: smallest sum of diameters since the baseline, if there were scans between; by default the baseline's.
    """
    before, after = sum(baseline.values()), sum(now.get(name, 0.0) for name in baseline)
    lowest = before if nadir_mm is None else min(nadir_mm, before)
    new = sorted(now.keys() - baseline.keys())
    gone = all(now.get(name, 0.0) < (NORMAL_NODE_MM if is_node(name) else 1e-9) for name in baseline)
    notes = []
    if new:
        notes.append(f"new lesions: {', '.join(new)}")
    if missing := sorted(baseline.keys() - now.keys()):
        notes.append(f"taken as disappeared: {', '.join(missing)}")
    if len(baseline) > MOST_TARGETS:
        notes.append(f"{len(baseline)} targets: RECIST 1.1 takes at most {MOST_TARGETS}, two in an organ")
    grown = after - lowest
    if new or (grown >= 5 - 1e-9 and grown >= 0.2 * lowest - 1e-9):
        category = "PD"
    elif gone:
        category = "CR"
    elif before - after >= 0.3 * before - 1e-9:
        category = "PR"
    else:
        category = "SD"
    return Response(category, before, after, lowest, tuple(notes))
