"""Key slices, and the slices between them.

A key slice is segmented from the user's rectangle. Between two key slices every slice is asked twice, as in a 3D box:
first with a generous rectangle that only the key slices have a say in, then with the median of the rectangle found, that
of the slice below, and what lies between the two key slices.
"""

from __future__ import annotations

from collections.abc import Iterator

from .box_math import between, bulging, median_box
from .box_propagation import FIRST_SHARE
from .confidence import needs_review, slice_confidence
from .prompts import Box, StackPrompt
from .results import SliceResult
from .slice_asker import SliceAsker

# How far the expected rectangle lies from the straight line between two sections towards an ellipsoid's bulge.
BULGE = 0.75


def segment_key(asker: SliceAsker, index: int, box: Box) -> SliceResult:
    """The key slice from the user's rectangle."""
    (answer,) = asker.ask(index, [box])
    confidence = slice_confidence(answer)
    return SliceResult(index, answer.mask, box, answer.predicted_iou, confidence, needs_review(confidence), key=True)


def segment_between(asker: SliceAsker, prompt: StackPrompt, lower: SliceResult, upper: int) -> Iterator[SliceResult]:
    """The slices between two neighbouring key slices, upwards from the result of the lower one."""
    below, above = prompt.keys[lower.index], prompt.keys[upper]
    neighbour = lower.mask
    for index in range(lower.index + 1, upper):
        share = (index - lower.index) / (upper - lower.index)
        bulge = bulging(below, above, share)
        expected = between(between(below, above, share), bulge, BULGE)
        (first,) = asker.ask(index, [bulge])
        found = Box.around(first.mask) or expected
        (second,) = asker.ask(index, [median_box([found, Box.around(neighbour) or expected, expected])])
        answer = asker.merged(second, first, FIRST_SHARE)
        neighbour = answer.mask
        confidence = slice_confidence(answer)
        yield SliceResult(index, answer.mask, answer.box, answer.predicted_iou, confidence, needs_review(confidence))
