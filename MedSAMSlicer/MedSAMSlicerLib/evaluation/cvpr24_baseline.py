"""Baseline: the 3D algorithm that LiteMedSAM's authors published.

Reimplements ``MedSAM_infer_npz_3D`` of ``CVPR24_LiteMedSAM_infer.py`` (bowang-lab/MedSAM, branch LiteMedSAM). It goes from
the middle slice upwards, then downwards. The next box is the bounding box of the previous mask at 256 pixels with a
margin of 3 pixels, or the first box if that mask is empty. There is no stop criterion and no confidence, and the
spacing of the slices is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..engine.inference.predictor import Predictor
from ..engine.models.litemedsam import INPUT_SIZE
from ..engine.prompts import Box
from ..engine.resize import area_resize, longest_side_size
from ..engine.stack import SliceSource

# Margin around the previous mask in pixels of the network's input.
MARGIN = 3


@dataclass(frozen=True)
class ReferenceStep:
    """Prediction for one slice.

    Attributes:
        index: slice index.
        network_box: x0, y0, x1, y1 in pixels of the network's input.
        predicted_iou: the model's estimate of the intersection over union of its mask.
        mask: bool (rows, columns).
    """

    index: int
    network_box: tuple[int, int, int, int]
    predicted_iou: float
    mask: np.ndarray


def segment_as_authors(
    source: SliceSource, predictor: Predictor, first: int, last: int, box: Box, number: int = 1
) -> Iterator[ReferenceStep]:
    """Segment the slices of a 3D box as the authors' script does.

    Args:
        source: slices as the model sees them.
        predictor: predictor of LiteMedSAM.
        first, last: first and last slice of the box, inclusive.
        box: the box on each slice, in slice pixels.
        number: number of the object among several, from 1. It influences the result: the authors downscale masks with
            this value as foreground, so that for higher numbers a pixel counts at a smaller overlap.

    Yields:
        The slices in the order of the authors' script.
    """
    slices, rows, columns = source.shape
    x0, y0, x1, y1 = (int(v) for v in predictor.family.network_box(box, rows, columns))
    first_box = (x0, y0, x1, y1)
    middle = int((last - first) / 2 + first)
    last = min(last, slices - 1)
    middle_mask: np.ndarray | None = None
    for order in (range(middle, last + 1), range(middle - 1, max(first, 0) - 1, -1)):
        previous = middle_mask
        for index in order:
            network_box = first_box if previous is None else _next_box(previous, number) or first_box
            logits, ious = predictor.decode(source.slice_uint8(index), [np.array(network_box, np.float32)])
            previous = predictor.mask_of(logits[0, 0], rows, columns)
            if index == middle:
                middle_mask = previous
            yield ReferenceStep(index, network_box, float(ious[0]), previous)


def _next_box(mask: np.ndarray, number: int) -> tuple[int, int, int, int] | None:
    size = longest_side_size(mask.shape[0], mask.shape[1], INPUT_SIZE)
    small = Box.from_mask(area_resize(mask.astype(np.uint8) * np.uint8(number), *size) > 0)
    if small is None:
        return None
    x0, y0, x1, y1 = (int(v) for v in small.xyxy)
    return (
        max(0, x0 - MARGIN),
        max(0, y0 - MARGIN),
        min(INPUT_SIZE, x1 + MARGIN),
        min(INPUT_SIZE, y1 + MARGIN),
    )
