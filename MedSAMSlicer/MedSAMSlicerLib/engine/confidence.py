"""How sure a slice's mask is, from what inference knows anyway: 0 (review it) to 1 (certain).

Two signs that cost nothing: the model's own opinion of its mask, and the stability of its border. Neither neighbours nor
grey levels found poor slices better on the development data (docs/propagation.md), so they are left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .slice_asker import Answer

# Logistic calibration on 594 slices of 17 development cases under `box3d` and `midslice`: at the mean of the two signs that
# is MIDDLE, half of the slices reach a DSC of 0.7; STEEPNESS is per unit of that mean.
MIDDLE = 0.796
STEEPNESS = 21.0
# Below this a person should look at the slice: about a third of the slices on the development data, which hold about
# four fifths of the poor ones.
REVIEW_BELOW = 0.75


def slice_confidence(answer: Answer) -> float:
    """Estimated probability that the slice's DSC is at least 0.7; monotone in predicted IoU and in stability."""
    if not answer.mask.any():
        return 0.0
    sign = (float(np.clip(answer.predicted_iou, 0, 1)) + answer.stability) / 2
    return 1 / (1 + math.exp(-STEEPNESS * (sign - MIDDLE)))


def needs_review(confidence: float) -> bool:
    """Whether a person should look at a slice of this confidence."""
    return confidence < REVIEW_BELOW


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """DSC of two boolean masks of the same shape; 0 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 0.0
