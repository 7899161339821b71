"""The longest diameter of an object on a slice and the longest perpendicular to it, as RECIST measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from .contours import slice_contours


@dataclass(frozen=True)
class Diameters:
    """Bidimensional measurement on one slice.

    Attributes:
        index: the slice.
        longest_mm: longest distance between two points of the contour of one object.
        perpendicular_mm: longest distance at a right angle to it on the same slice.
    """

    index: int
    longest_mm: float
    perpendicular_mm: float


def largest_diameters(stack: np.ndarray, pixel_mm: tuple[float, float]) -> Diameters | None:
    """Measure on the slice where the longest diameter is longest; objects that are apart on a slice are not joined.

    Args:
        stack: bool (slices, rows, columns).
        pixel_mm: distance between rows and between columns.

    Returns:
        None if the stack is empty.
    """
    scale = np.array(pixel_mm[::-1])
    best: tuple[float, int, np.ndarray, np.ndarray] | None = None
    for index, mask in enumerate(stack):
        for contour in slice_contours(mask):
            points = contour * scale
            hull = points[ConvexHull(points).vertices]
            # No diameter is longer than the diagonal of the box around the object.
            if best is not None and np.linalg.norm(np.ptp(hull, axis=0)) <= best[0]:
                continue
            distances = np.linalg.norm(hull[:, None] - hull[None], axis=-1)
            a, b = np.unravel_index(int(distances.argmax()), distances.shape)
            if best is None or distances[a, b] > best[0] + 1e-9:
                best = (float(distances[a, b]), index, hull[[a, b]], hull)
    if best is None:
        return None
    longest, index, ends, hull = best
    return Diameters(index, longest, _longest_chord(hull, ends))


def _longest_chord(hull: np.ndarray, ends: np.ndarray) -> float:
    """Longest chord of a convex polygon at a right angle to the line between `ends`.

    Between two corners the length of a chord changes linearly, so one of the longest passes through a corner.
    """
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    u, v = hull @ along, hull @ np.array([-along[1], along[0]])
    next_u, next_v = np.roll(u, -1), np.roll(v, -1)
    longest = 0.0
    for at in u:
        crossing = (np.minimum(u, next_u) <= at) & (at <= np.maximum(u, next_u)) & (u != next_u)
        met = v[crossing] + (at - u[crossing]) / (next_u - u)[crossing] * (next_v - v)[crossing]
        if met.size:
            longest = max(longest, float(np.ptp(met)))
    return longest
