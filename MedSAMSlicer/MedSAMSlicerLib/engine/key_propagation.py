"""Key slices, and the slices between them.

A key slice is segmented from what the user gave there. Between two key slices every slice is asked twice, as in a 3D box:
first with a generous rectangle that only the key slices have a say in, then with the median of the rectangle found, that
of the slice below, and what lies between the two key slices.
"""

from __future__ import annotations

from collections.abc import Iterator

from .box_math import between, bulging, median_box
from .box_propagation import FIRST_SHARE
from .confidence import needs_review, slice_confidence
from .prompts import Box, SlicePrompt
from .results import SliceResult
from .slice_asker import SliceAsker

# How far the expected rectangle lies from the straight line between two sections towards an ellipsoid's bulge.
BULGE = 0.75


def segment_key(asker: SliceAsker, index: int, prompt: SlicePrompt) -> SliceResult:
    """The key slice from what the user gave there; its box is the user's, or else the one around the mask."""
    answer = asker.ask_as_given(index, prompt)
    confidence = slice_confidence(answer)
    return SliceResult(
        index,
        answer.mask,
        prompt.box or Box.around(answer.mask),
        answer.predicted_iou,
        confidence,
        needs_review(confidence),
        key=True,
        low_res_logits=answer.logits,
    )


def segment_between(asker: SliceAsker, lower: SliceResult, upper: SliceResult) -> Iterator[SliceResult]:
    """The slices between two key slices, upwards. Both results have a box."""
    assert lower.box is not None and upper.box is not None
    below, above = lower.box, upper.box
    neighbour, beside = lower.mask, lower.low_res_logits
    for index in range(lower.index + 1, upper.index):
        share = (index - lower.index) / (upper.index - lower.index)
        bulge = bulging(below, above, share)
        expected = between(between(below, above, share), bulge, BULGE)
        (first,) = asker.ask(index, [bulge])
        found = Box.around(first.mask) or expected
        agreed = median_box([found, Box.around(neighbour) or expected, expected])
        (second,) = asker.ask(index, [agreed], beside=beside)
        answer = asker.merged(second, first, FIRST_SHARE)
        neighbour, beside = answer.mask, answer.logits
        confidence = slice_confidence(answer)
        yield SliceResult(index, answer.mask, answer.box, answer.predicted_iou, confidence, needs_review(confidence))
