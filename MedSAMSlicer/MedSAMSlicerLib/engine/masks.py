"""Measures of binary masks that every part of the program shares."""

from __future__ import annotations

import numpy as np


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice similarity coefficient of two bool arrays of the same shape, 0..1.

    Two empty masks are equal, so their coefficient is 1.
    """
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2 * np.count_nonzero(one & other) / total) if total else 1.0


def occupied_slices(mask: np.ndarray) -> np.ndarray:
    """Indices of the slices that hold something, ascending, int (n,), of a bool array (slices, rows, columns)."""
    return np.flatnonzero(mask.any(axis=(1, 2)))


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Index of the smallest part of an n-dimensional bool array that holds all its True elements.

    Returns:
        One slice per dimension, so that ``mask[bounding_box(mask)]`` is the cropped mask; None if the mask is empty.
    """
    box: list[slice] = []
    for dimension in range(mask.ndim):
        others = tuple(n for n in range(mask.ndim) if n != dimension)
        # Cropped along the dimensions before, of which nothing else has to be read again.
        occupied = np.flatnonzero(mask[tuple(box)].any(axis=others))
        if not occupied.size:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)
