"""Contours of masks, slice by slice, and masks of contours.

Contours are (N, 2) arrays of (x, y) in pixels, columns and rows counted from 0 at the centre of the first pixel. They are
closed, without a repeated last point.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..engine.masks import bounding_box


def slice_contours(mask: np.ndarray) -> list[np.ndarray]:
    """Contours of the objects on one slice: marching squares half way between inner and outer pixels.

    Pixels that touch only at a corner belong to different objects. A hole is joined with the contour around it by a
    channel of no width ("keyhole"), which runs between rows of pixels and never through a centre.

    Args:
        mask: bool (rows, columns). Objects may touch the edge of the slice.

    Returns:
        One contour for each object, counterclockwise with x to the right and y up, without points on straight lines.
    """
    import contourpy  # Slicer has it only once the user has installed the packages

    box = bounding_box(mask)
    if box is None:
        return []
    y, x = box[0].start, box[1].start
    # A border of outer pixels closes contours at the edges of the slice.
    padded = np.pad(mask[box], 1).astype(float)
    generator = contourpy.contour_generator(z=padded, fill_type=contourpy.FillType.OuterOffset)
    contours = []
    for points, offsets in zip(*generator.filled(0.5, np.inf), strict=True):
        rings = [
            _without_straight_points(points[start : end - 1])
            for start, end in zip(offsets[:-1], offsets[1:], strict=True)
        ]
        contours.append(_with_keyholes(rings) + (x - 1, y - 1))
    return contours


def fill_contours(contours: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Mask of the contours of one slice: pixels whose centres lie in an odd number of contours.

    Holes may be keyholes, or contours of their own: the exclusive or of all contours.

    Returns:
        bool array of `shape`, (rows, columns).
    """
    mask = np.zeros(shape, bool)
    columns = np.arange(shape[1])
    for contour in contours:
        ends = np.roll(contour, -1, axis=0)
        low, high = np.minimum(contour[:, 1], ends[:, 1]), np.maximum(contour[:, 1], ends[:, 1])
        first, last = max(int(np.ceil(low.min())), 0), min(int(np.floor(high.max())), shape[0] - 1)
        for row in range(first, last + 1):
            crossing = (low <= row) & (row < high)
            (x0, y0), (x1, y1) = contour[crossing].T, ends[crossing].T
            at = np.sort(x0 + (row - y0) * (x1 - x0) / (y1 - y0))
            mask[row] ^= (np.searchsorted(at, columns, side="right") % 2).astype(bool)
    return mask


def _without_straight_points(ring: np.ndarray) -> np.ndarray:
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def _with_keyholes(rings: list[np.ndarray]) -> np.ndarray:
    """One contour of an outer ring and its holes.

    Each hole is joined, along a line between two rows of pixels, with what lies left of its leftmost point on such a
    line: the outer ring, or a hole that begins further left and has been joined before.
    """
    joined = rings[0]
    starts = [(*_leftmost(hole), hole) for hole in rings[1:]]
    for x, y, hole in sorted(starts, key=lambda start: start[:2]):
        at, edges = _crossings(joined, y)
        left = np.flatnonzero(at < x)
        nearest = left[at[left].argmax()]
        edge = edges[nearest]
        begin = np.array([at[nearest], y])
        own_at, own_edges = _crossings(hole, y)
        own_edge = own_edges[own_at.argmin()]
        around = np.concatenate([hole[own_edge + 1 :], hole[: own_edge + 1]])
        end = np.array([[x, y]])
        joined = np.concatenate([joined[: edge + 1], [begin], end, around, end, [begin], joined[edge + 1 :]])
        joined = joined[(joined != np.roll(joined, 1, axis=0)).any(axis=1)]
    return joined


def _leftmost(ring: np.ndarray) -> tuple[float, float]:
    """Leftmost point (x, y) of a ring on the lines between rows of pixels."""
    lines = np.arange(np.floor(ring[:, 1].min()) + 0.5, ring[:, 1].max() + 0.25)
    lines = lines[lines >= ring[:, 1].min()]
    return min((float(_crossings(ring, y)[0].min()), float(y)) for y in lines)


def _crossings(ring: np.ndarray, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the edges of a ring meet the horizontal line at `y`: x, and the index of the edge's first point."""
    ends = np.roll(ring, -1, axis=0)
    edges = np.flatnonzero((np.minimum(ring[:, 1], ends[:, 1]) <= y) & (y <= np.maximum(ring[:, 1], ends[:, 1])))
    (x0, y0), (x1, y1) = ring[edges].T, ends[edges].T
    flat = y0 == y1
    share = np.where(flat, 0.0, (y - y0) / np.where(flat, 1.0, y1 - y0))
    return x0 + share * (x1 - x0), edges
