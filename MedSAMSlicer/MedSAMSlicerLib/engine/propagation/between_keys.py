"""Slices between two key slices, predicted from both of them towards the middle.

Each slice is predicted as in a 3D box, by a vote of three boxes (`median_box`). The expected box lies between the boxes
of the two key slices. Where the model doubts its mask the object may be bent: then the neighbouring mask's box is prompted
too, and the better prediction is kept. Between two key masks, predictions are bent towards the shape expected there
(`key_shapes`).

Meeting in the middle follows micro-sam (`multi_dimensional_segmentation.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest

from ..prompts import Box
from ..results import SliceResult
from .confidence import smoothed_result
from .key_shapes import KeyShapes
from .median_box import predict_with_median_box
from .pixel_classifier import PixelClassifier
from .settings import BetweenKeysSettings, PropagationSettings
from .slice_predictor import SliceMask, SlicePredictor
from .smoothing import StackSmoother


def propagate_between(
    predictor: SlicePredictor,
    lower: SliceResult,
    upper: SliceResult,
    masks: Mapping[int, SliceMask],
    shapes: KeyShapes,
    settings: PropagationSettings,
) -> Iterator[SliceResult]:
    """Segment the slices between two key slices.

    Args:
        predictor: predictor of the stack.
        lower, upper: results on the key slices, both with a box.
        masks: slice index -> mask of each key slice.
        shapes: shapes of the key masks.
        settings: settings of the propagation.

    Yields:
        Every slice between them, as soon as the slices that it is smoothed with are predicted.
    """
    smoother = StackSmoother(lower.index, upper.index, predictor.spacing_mm, settings.smoothing)
    lower, upper = (
        key if key.low_res_logits is not None else replace(key, low_res_logits=shapes.logits_on(key.index))
        for key in (lower, upper)
    )
    for key in (lower, upper):
        assert key.low_res_logits is not None
        # Key slices influence their neighbours but keep their own masks.
        smoother.add(key.index, key.low_res_logits, key.predicted_iou)
    # It knows only these two, so that another key slice changes only the slices up to its neighbours.
    pixels = PixelClassifier(predictor, settings.pixels, settings.pixels.between_keys)
    for key in (lower, upper):
        pixels.learn(key.index, masks[key.index])
    predicted: dict[int, SliceMask] = {}
    for index, found in _predictions(predictor, lower, upper, shapes, settings.between_keys):
        pixels.learn(index, found)
        mask = predicted[index] = pixels.refined(index, found)
        for ready, logits in smoother.add(index, mask.logits, mask.reliability):
            if ready not in predicted:
                continue
            own = predicted.pop(ready)
            # Neighbours do not add an object where neither the model nor key masks find one.
            final = predictor.with_logits(own, logits) if own.mask.any() else own
            yield smoothed_result(predictor, ready, final, settings.confidence)


def _predictions(
    predictor: SlicePredictor,
    lower: SliceResult,
    upper: SliceResult,
    shapes: KeyShapes,
    settings: BetweenKeysSettings,
) -> Iterator[tuple[int, SliceMask]]:
    """Index and mask of the slices, alternately from the lower and the upper key slice until both meet in the middle."""
    assert lower.box is not None and upper.box is not None
    ends = [(lower.mask, lower.low_res_logits), (upper.mask, upper.low_res_logits)]
    for direction, index in _order(lower.index, upper.index):
        neighbour, neighbour_logits = ends[direction]
        share = (index - lower.index) / (upper.index - lower.index)
        bulging = bulging_box(lower.box, upper.box, share)
        expected = box_between(box_between(lower.box, upper.box, share), bulging, settings.bulge)
        mask = predict_with_median_box(
            predictor, index, bulging, expected, neighbour, neighbour_logits, settings.median_box
        )
        nearby = Box.from_mask(neighbour)
        if mask.predicted_iou < settings.low_predicted_iou and nearby is not None:
            followed = predictor.predict_box(index, nearby, neighbour_logits=neighbour_logits)
            if followed.predicted_iou > mask.predicted_iou + settings.smallest_gain:
                mask = followed
        # The next slice follows the model's own mask: a bent object would soon be lost beside the expected shapes.
        ends[direction] = (mask.mask, mask.logits)
        yield index, shapes.guided(index, mask)


def order_between(lower: int, upper: int) -> list[int]:
    """The slices between two key slices, in the order in which they are predicted."""
    return [index for _direction, index in _order(lower, upper)]


def _order(lower: int, upper: int) -> list[tuple[int, int]]:
    """Direction and index of each slice: 0 upwards from the lower key slice, 1 downwards from the upper one."""
    inner = range(lower + 1, upper)
    half = (len(inner) + 1) // 2
    pairs = zip_longest(inner[:half], reversed(inner[half:]))
    return [(direction, index) for pair in pairs for direction, index in enumerate(pair) if index is not None]


def box_between(one: Box, other: Box, share: float) -> Box:
    """Linear interpolation between two boxes, edge by edge: `one` for a `share` of 0, `other` for 1."""
    return Box(*(a + (b - a) * share for a, b in zip(one.xyxy, other.xyxy, strict=True)))


def bulging_box(one: Box, other: Box, share: float) -> Box:
    """Interpolation between two boxes whose size changes as the sections of an ellipsoid do.

    The centre moves linearly. Round objects lie outside a linear interpolation of their sections' sizes.
    """
    straight = box_between(one, other, share)
    sizes = []
    for a, b in ((one.width, other.width), (one.height, other.height)):
        from_larger = share if a >= b else 1 - share
        sizes.append(min(a, b) + abs(a - b) * math.sqrt(1 - from_larger * from_larger))
    x, y = (straight.x0 + straight.x1) / 2, (straight.y0 + straight.y1) / 2
    width, height = sizes
    return Box(x - (width - 1) / 2, y - (height - 1) / 2, x + (width - 1) / 2, y + (height - 1) / 2)
