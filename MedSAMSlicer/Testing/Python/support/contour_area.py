"""Area within planar contours."""

from __future__ import annotations

import numpy as np


def area(contour: np.ndarray) -> float:
    """Area within a contour in the square of its units; holes that are keyholes are not counted."""
    x, y = (contour - contour[0]).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
