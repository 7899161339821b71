"""Prediction on a slice of which the object's box is expected, but not known.

Three boxes vote: the one found with a generous prompt, the neighbouring mask's, and the expected one. Their median, edge
by edge, is not moved by a single box that went astray. If the box found is close to the median, its mask is the
result. Otherwise the median box is prompted and both predictions are combined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..prompts import Box
from .settings import MedianBoxSettings
from .slice_predictor import SliceMask, SlicePredictor


def predict_with_median_box(
    predictor: SlicePredictor,
    index: int,
    generous: Box,
    expected: Box,
    neighbour: np.ndarray | None,
    neighbour_logits: np.ndarray | None,
    settings: MedianBoxSettings,
    margin_factor: float = 1.0,
    context: int | None = None,
) -> SliceMask:
    """Predict one slice, a second time if three boxes do not agree on the first prediction.

    Args:
        predictor: predictor of the stack.
        index: slice index.
        generous: box that is prompted first, in slice pixels. It does not depend on neighbouring masks and therefore
            cannot drift with them.
        expected: box that the object is expected to have.
        neighbour: bool (rows, columns) mask of the neighbouring slice; None if there is none yet.
        neighbour_logits: float32 logits of that mask at the decoder's resolution, if known.
        settings: tolerance and weights.
        margin_factor: margin of the generous box, as a multiple of the model's own margin.
        context: see `SlicePredictor.predict_box`.
    """
    first = predictor.predict_box(index, generous, margin_factor, context=context)
    found = Box.from_mask(first.mask)
    nearby = found if neighbour is None else Box.from_mask(neighbour)
    median = median_box([nearby or expected, found or expected, expected])
    if found is not None and largest_edge_distance(median, found) <= settings.tolerance:
        return first
    second = predictor.predict_box(index, median, neighbour_logits=neighbour_logits, context=context)
    return predictor.mixed(second, first, settings.first_weight)


def median_box(boxes: Sequence[Box]) -> Box:
    """Box whose edges are the medians of the edges of `boxes`."""
    x0, y0, x1, y1 = np.median([box.xyxy for box in boxes], axis=0).tolist()
    return Box(x0, y0, max(x0, x1), max(y0, y1))


def largest_edge_distance(box: Box, other: Box) -> float:
    """Largest distance between corresponding edges of two boxes, as a fraction of the width or height of `box`."""
    sides = (box.width, box.height, box.width, box.height)
    return max(abs(a - b) / side for a, b, side in zip(box.xyxy, other.xyxy, sides, strict=True))
