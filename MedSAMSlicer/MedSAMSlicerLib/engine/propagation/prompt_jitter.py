"""Sensitivity of a mask to how its box was drawn: predictions for slightly different boxes on the same slice.

The slice's embedding is shared, so that all boxes together cost one run of the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..inference.predictor import Predictor
from ..masks import dice
from ..prompts import Box
from .settings import JitterSettings


@dataclass(frozen=True)
class JitterAgreement:
    """Agreement of the masks of jittered boxes on one slice.

    Attributes:
        agreement: mean Dice coefficient of the masks with the majority's mask, 0..1; 0 if that mask is empty.
        majority: bool (rows, columns); pixels that belong to more than half of the masks.
        disputed: bool (rows, columns); pixels that belong to some masks but not to all.
    """

    agreement: float
    majority: np.ndarray
    disputed: np.ndarray


def jitter_agreement(
    predictor: Predictor,
    image: np.ndarray,
    box: Box,
    count: int,
    seed: int = 0,
    settings: JitterSettings = JitterSettings(),
) -> JitterAgreement:
    """Predict masks for `count` jittered boxes and measure how well they agree.

    Args:
        predictor: loaded model.
        image: uint8 (rows, columns) slice.
        box: box to jitter, in slice pixels. Each edge is shifted by a uniformly distributed distance.
        count: number of boxes, at least 2.
        seed: seed of the random shifts; the same seed and box give the same boxes.
        settings: size of the shifts.
    """
    rows, columns = image.shape[:2]
    random = np.random.default_rng(seed)
    whole = Box.of_slice(rows, columns)
    reach = np.maximum(settings.smallest_shift, settings.largest_shift * np.array([box.width, box.height] * 2))
    boxes = []
    for shifts in random.uniform(-1, 1, (count, 4)) * reach:
        x0, y0, x1, y1 = (np.array(box.xyxy) + shifts).tolist()
        jittered = Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)).intersection(whole) or box
        boxes.append(predictor.family.with_margin(jittered, rows, columns))
    masks = np.stack([prediction.mask for prediction in predictor.predict_many(image, boxes)])
    votes = masks.sum(axis=0)
    majority = votes * 2 > count
    return JitterAgreement(
        agreement=float(np.mean([dice(mask, majority) for mask in masks])) if majority.any() else 0.0,
        majority=majority,
        disputed=(votes > 0) & (votes < count),
    )
