"""How sure a slice's mask is, from what inference knows anyway: 0 (review it) to 1 (certain).

Two signs that cost nothing: the model's own opinion of its mask, and the stability of its border. Other signs, such as
agreement with the neighbours, add little in a box and mislead outside of one (docs/propagation.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .slice_predictor import SliceMask

# Logistic calibration: at the mean of the two signs that is MIDDLE, half of the slices reach a DSC of 0.7; STEEPNESS is
# per unit of that mean. Fits: 0.796 and 21 on 594 slices of 17 development cases under `box3d` and `midslice` with the
# decoder's own logits; 0.825 and 36 on 657 slices of 26 cases under `midslice`; 0.753 and 20.7 on 769 slices of 26 cases
# under `box3d` with logits smoothed along the stack, which are lower. The two middles are not the fits: they are set so
# that about a third of the slices is flagged. MIDDLE lies between its two fits, MIDDLE_SMOOTHED below its one of 0.753.
# Confidence is therefore close to that probability, not exactly it: for smoothed slices a little too high.
MIDDLE = 0.803
MIDDLE_SMOOTHED = 0.745
STEEPNESS = 21.0
# Below this a person should look at the slice: about a third of the slices on the development data, which hold about
# four fifths of the poor ones. With a data set left out when the limit is set, 35 to 40 % (docs/propagation.md).
REVIEW_BELOW = 0.75


def slice_confidence(answer: SliceMask, middle: float = MIDDLE) -> float:
    """0..1, close to the probability that the slice's DSC is at least 0.7; monotone in predicted IoU and in stability.

    Args:
        middle: `MIDDLE` or, where the answer's logits were smoothed along the stack, `MIDDLE_SMOOTHED`.
    """
    if not answer.mask.any():
        return 0.0
    sign = (float(np.clip(answer.predicted_iou, 0, 1)) + answer.stability) / 2
    return 1 / (1 + math.exp(-STEEPNESS * (sign - middle)))


def needs_review(confidence: float) -> bool:
    """Whether a person should look at a slice of this confidence."""
    return confidence < REVIEW_BELOW


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """DSC of two boolean masks of the same shape; 0 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 0.0
