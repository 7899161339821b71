"""Points and boxes under affine transforms. Matrices are (4, 4) and act on column vectors."""

from __future__ import annotations

import numpy as np


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (4, 4) affine matrix to (N, 3) points; returns (N, 3)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def box_corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(8, 3) corners of the axis-aligned box from `low` to `high`, each (3,). The last coordinate changes fastest."""
    sides = np.array(list(np.ndindex(2, 2, 2)))
    return np.where(sides == 1, high, low)
