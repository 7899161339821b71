"""Inside a 3D box: every slice is asked twice, and three opinions on its rectangle have to agree.

The first question is a generous rectangle that no other slice has a say in: it cannot drift. The second is the median,
edge by edge, of the rectangle found by the first, the rectangle of the neighbouring slice, and what an ellipsoid in the
3D box would show. An edge that one of the three has lost is held by the other two. Ablation: docs/propagation.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .box_math import median_box, shrunk
from .confidence import needs_review, slice_confidence
from .prompts import Box, StackPrompt
from .results import SliceResult
from .slice_asker import Answer, SliceAsker

# Width of an ellipsoid's section as a share of the 3D box, at its middle. True sections of the 26 development cases are
# 0.88 of an ellipsoid's at every depth (median); objects that fill their box in the middle are the exception.
EXPECTED_WIDTH = 0.9
# The first question: this many times an ellipsoid's section, within the box. 1.05 to 1.4 were tried: mean DSC 0.807 (without FIRST_SHARE) at
# 1.05, 0.836 at 1.2, 0.837 at 1.4; 1.2 follows the object better where it shrinks towards its ends.
GENEROUS_WIDTH = 1.2
# Share of the first answer's logits in the mask; 0.2 to 0.4 are equal within 0.001, 0 loses 0.006.
FIRST_SHARE = 0.3


def propagate_in_box(asker: SliceAsker, prompt: StackPrompt) -> Iterator[SliceResult]:
    """Masks of every slice of a 3D box, from its key slice upwards, then downwards. Nothing leaves the box.

    Args:
        prompt: with a reach, bounds and one key slice.
    """
    assert prompt.reach is not None and prompt.bounds is not None
    first, last = prompt.reach
    walk = _BoxWalk(asker, prompt.bounds, first, last)
    (key,) = prompt.keys
    start = walk.step(key, None)
    yield walk.result(key, start, key_box=prompt.keys[key])
    for order in (range(key + 1, last + 1), range(key - 1, first - 1, -1)):
        neighbour = start
        for index in order:
            neighbour = walk.step(index, neighbour)
            yield walk.result(index, neighbour)


class _BoxWalk:
    def __init__(self, asker: SliceAsker, bounds: Box, first: int, last: int) -> None:
        self.asker, self.bounds = asker, bounds
        self.first, self.last = first, last
        slices = asker.source.shape[0]
        self.open_below, self.open_above = first == 0, last == slices - 1

    def step(self, index: int, neighbour: Answer | None) -> Answer:
        """The slice's answer, given that of the slice beside it."""
        expected = self._section(index, EXPECTED_WIDTH)
        generous = self.bounds if self._cut_off(index) else self._section(index, GENEROUS_WIDTH)
        (first,) = self.asker.ask(index, [generous], slack=0)
        found = Box.around(first.mask) or expected
        beside = found if neighbour is None else Box.around(neighbour.mask) or expected
        # The median of two rectangles inside the bounds and one is inside them too.
        logits = None if neighbour is None else neighbour.logits
        (second,) = self.asker.ask(index, [median_box([beside, found, expected])], beside=logits)
        return self.asker.merged(second, first, FIRST_SHARE)

    def _section(self, index: int, width: float) -> Box:
        """The 3D box narrowed as an ellipsoid in it is at that slice."""
        half = (self.last - self.first + 1) / 2
        depth = (index - (self.first + self.last) / 2) / half
        return shrunk(self.bounds, min(1.0, width * math.sqrt(1 - depth * depth)))

    def _cut_off(self, index: int) -> bool:
        """Whether the slice lies towards an end where the volume stops before the object may do so."""
        middle = (self.first + self.last) / 2
        return (index < middle and self.open_below) or (index > middle and self.open_above)

    def result(self, index: int, second: Answer, key_box: Box | None = None) -> SliceResult:
        confidence = slice_confidence(second)
        return SliceResult(
            index=index,
            mask=second.mask,
            box=key_box or second.box.inside(self.bounds),
            predicted_iou=second.predicted_iou,
            confidence=confidence,
            flagged=needs_review(confidence),
            key=key_box is not None,
        )
