"""What is known about each slice's mask while it is made: 0 (review it) to 1 (certain)."""

from __future__ import annotations

import numpy as np

# Below this, a person should look at the slice.
REVIEW_BELOW = 0.5


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """DSC of two boolean masks of the same shape; 0 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 0.0


def slice_confidence(predicted_iou: float, mask: np.ndarray, neighbour: np.ndarray | None) -> float:
    """Geometric mean of the model's own opinion and the agreement with the slice that the box came from.

    Args:
        predicted_iou: as the model gives it, not clamped.
        mask: bool (rows, columns).
        neighbour: mask of the slice that the prompt was derived from; None on a key slice.
    """
    if not mask.any():
        return 0.0
    opinion = float(np.clip(predicted_iou, 0, 1))
    return opinion if neighbour is None else float(np.sqrt(opinion * overlap(mask, neighbour)))
