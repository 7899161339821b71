"""Boxes made of other boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..prompts import Box


def between(one: Box, other: Box, share: float) -> Box:
    """The box `share` of the way from `one` to `other`: linear in the signed distance of every edge."""
    return Box(*(a + (b - a) * share for a, b in zip(one.xyxy, other.xyxy, strict=True)))


def bulging(one: Box, other: Box, share: float) -> Box:
    """As `between`, but the size goes as an ellipsoid's sections do from the larger box to the smaller one.

    Objects round off towards their ends; a straight line between two sections lies inside of them.
    """
    straight = between(one, other, share)
    sizes = []
    for a, b in ((one.width, other.width), (one.height, other.height)):
        from_larger = share if a >= b else 1 - share
        sizes.append(min(a, b) + abs(a - b) * math.sqrt(1 - from_larger * from_larger))
    x, y = (straight.x0 + straight.x1) / 2, (straight.y0 + straight.y1) / 2
    (width, height) = sizes
    return Box(x - (width - 1) / 2, y - (height - 1) / 2, x + (width - 1) / 2, y + (height - 1) / 2)


def median_box(boxes: Sequence[Box]) -> Box:
    """The box whose every edge is the median of the boxes' edges: one box that went astray does not move it."""
    x0, y0, x1, y1 = np.median([box.xyxy for box in boxes], axis=0).tolist()
    return Box(x0, y0, max(x0, x1), max(y0, y1))


def largest_change(box: Box, other: Box) -> float:
    """How far the edge that differs most lies from that of `box`, as a share of the width or height of `box`."""
    sides = (box.width, box.height, box.width, box.height)
    return max(abs(a - b) / side for a, b, side in zip(box.xyxy, other.xyxy, sides, strict=True))
