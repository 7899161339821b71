"""Box-jitter consensus: what becomes of a slice when the rectangle is drawn a little differently.

The embedding of the slice is there already, so all rectangles cost one run of the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..inference.predictor import Predictor
from ..prompts import Box
from .confidence import overlap

# How far a steady hand misses: each edge moves by up to this share of the rectangle's own side, at least one pixel. Area under
# ROC of `Consensus.agreement` for slices with DSC below 0.7, 3D boxes, every second slice of 26 cases, 8 rectangles: 0.814,
# 0.804 and 0.783 with 0.02, 0.05 and 0.1; equal within noise (cases drawn anew: -0.06 to 0.08 from 0.02 to 0.05).
JITTER_SHARE = 0.05
# A slice on which slightly different rectangles agree less (mean DSC) hangs on how the rectangle was drawn. Below 0.85, 0.9
# and 0.95 lie 4, 8 and 28 % of the slices, of which 88, 75 and 60 % are poor. It finds hardly any poor slice that is not
# flagged for its confidence already, so it names slices and raises no flag: the limit whose list is short and mostly right.
DISPUTED_BELOW = 0.9


@dataclass(frozen=True)
class Consensus:
    """Agreement of the masks of jittered rectangles on one slice.

    Attributes:
        agreement: mean DSC of each mask with the majority's mask, 0..1; 0 if most found nothing.
        majority: bool (rows, columns), what more than half of them hold.
        disputed: bool (rows, columns), what some hold and some do not.
    """

    agreement: float
    majority: np.ndarray
    disputed: np.ndarray


def box_consensus(predictor: Predictor, image: np.ndarray, box: Box, count: int, seed: int = 0) -> Consensus:
    """Ask `count` jittered rectangles on a uint8 (rows, columns) slice.

    Args:
        count: at least 2.
        seed: the same seed and box always give the same rectangles.
    """
    rows, columns = image.shape[:2]
    random = np.random.default_rng(seed)
    whole = Box.of_slice(rows, columns)
    reach = np.maximum(1.0, JITTER_SHARE * np.array([box.width, box.height] * 2))
    boxes = []
    for moves in random.uniform(-1, 1, (count, 4)) * reach:
        x0, y0, x1, y1 = (np.array(box.xyxy) + moves).tolist()
        moved = Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)).intersection(whole) or box
        boxes.append(predictor.family.with_margin(moved, rows, columns))
    masks = np.stack([prediction.mask for prediction in predictor.predict_many(image, boxes)])
    votes = masks.sum(axis=0)
    majority = votes * 2 > count
    return Consensus(
        agreement=float(np.mean([overlap(mask, majority) for mask in masks])),
        majority=majority,
        disputed=(votes > 0) & (votes < count),
    )
