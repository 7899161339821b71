"""Inside a 3D box: three opinions on every slice's rectangle have to agree, and slices near each other on the mask.

The first question is a generous rectangle that no mask beside it has a say in: it cannot drift far. If the rectangle
found agrees with that of the neighbouring slice and with what a leaning ellipsoid in the 3D box would show, that is the
answer. Else the median of the three, edge by edge, is asked: an edge that one of them has lost is held by the other two.
Masks come from logits smoothed along the stack; thin slices are not all asked about (`thin_slices`). Ablation:
docs/propagation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from ..prompts import Box, StackPrompt
from ..results import SliceResult
from .box_math import largest_change, median_box
from .ellipsoid_prior import EllipsoidPrior
from .key_slices import key_result
from .slice_predictor import SliceMask, SlicePredictor
from .slice_skipping import SkippedSlices, asked_slices, smoothed_result
from .smoothing import StackSmoother, trust_in

# Width of an ellipsoid's section as a share of the 3D box, at its middle. True sections of the 26 development cases are
# 0.88 of an ellipsoid's at every depth (median); objects that fill their box in the middle are the exception.
EXPECTED_WIDTH = 0.9
# The first question: this many times an ellipsoid's section, within the box. Tried with upright ellipsoids on 17 cases:
# mean DSC 0.807 at 1.05, 0.836 at 1.2, 0.837 at 1.4; 1.2 follows a shrinking object better.
GENEROUS_WIDTH = 1.2
# The rectangle found is right if no edge lies further than this from the median's, as a share of its width or height.
# Mean DSC on 26 cases is 0.814 to 0.816 from 0.03 to 0.1, with 1.55 to 1.19 calls a slice, and 0.810 at 0.15.
AGREEMENT = 0.07
# Share of the first answer's logits in the mask where a second was asked. Mean DSC on 26 cases 0.818, 0.817 and 0.812 with
# 0, 0.3 and 0.5; but where the two differ the mixture is less stable, which tells poor slices: area under ROC 0.888
# without, 0.903 with 0.3.
FIRST_SHARE = 0.3


def propagate_in_box(asker: SlicePredictor, prompt: StackPrompt) -> Iterator[SliceResult]:
    """Masks of every slice of a 3D box, from its middle both ways. Nothing leaves the box.

    A slice's result comes when all slices are answered that have a say in it. Slices on which more was given than the
    box, another rectangle, points or a mask, are answered from that: their masks are not smoothed, and guide the others.

    Args:
        prompt: with a slice range and a 3D box.
    """
    assert prompt.slice_range is not None and prompt.box3d is not None
    first, last = prompt.slice_range
    fixed = {
        index: asker.ask_as_given(index, given)
        for index, given in prompt.slices.items()
        if given.box_alone != prompt.box3d
    }
    asked = asked_slices(first, last, asker.source.spacing[0], tuple(prompt.slices))
    walk = _BoxWalk(asker, prompt.box3d, asked, fixed)
    smoother = StackSmoother(first, last, asker.source.spacing[0], asked)
    opinions = SkippedSlices(asker, asked)
    answers: dict[int, SliceMask] = {}
    for index, answer in walk.answers():
        answers[index] = answer
        opinions.keep(index, answer.predicted_iou, bool(answer.mask.any()))
        for ready, logits in smoother.take(index, answer.logits, trust_in(answer.predicted_iou * answer.stability)):
            own = answers.pop(ready, None)
            if own is None:
                yield opinions.result_between(ready, logits)
            elif ready in fixed:
                yield key_result(ready, own, prompt.slices[ready])
            else:
                # Where the model sees nothing its neighbours put nothing: an object may end inside the box.
                final = asker.with_logits(own, logits) if own.mask.any() else own
                found = smoothed_result(asker, ready, final)
                yield replace(found, box=prompt.box3d, key=True) if ready in prompt.slices else found


class _BoxWalk:
    def __init__(
        self, asker: SlicePredictor, bounds: Box, asked: Sequence[int], fixed: Mapping[int, SliceMask] | None = None
    ) -> None:
        """`asked` are slices in rising order, from the first to the last of the box."""
        self.asker, self.bounds, self.asked, self.fixed = asker, bounds, asked, fixed or {}
        self.first, self.last = asked[0], asked[-1]
        self.expected = EllipsoidPrior(bounds, self.first, self.last, len(asked))
        slices = asker.source.shape[0]
        self.open_below, self.open_above = self.first == 0, self.last == slices - 1
        for index, answer in self.fixed.items():
            self._learn(index, answer)

    def answers(self) -> Iterator[tuple[int, SliceMask]]:
        """Every asked slice's answer, from the middle both ways by turns, so that both ends learn from what is between them."""
        middle = (self.first + self.last) // 2
        key = min(self.asked, key=lambda index: abs(index - middle))
        ways = [[i for i in self.asked if i > key], [i for i in reversed(self.asked) if i < key]]
        pairs = list(zip_longest(*ways))
        self.asker.follow([key, *(index for pair in pairs for index in pair if index is not None)])
        start = self._answer(key, None)
        yield key, start
        self._learn_once(key, start)
        ends = [start, start]
        for pair in pairs:
            reached = [(way, index) for way, index in enumerate(pair) if index is not None]
            for way, index in reached:
                ends[way] = self._answer(index, ends[way])
                yield index, ends[way]
            # Only now: a volume turned over gives the same masks.
            for way, index in reached:
                self._learn_once(index, ends[way])

    def _answer(self, index: int, neighbour: SliceMask | None) -> SliceMask:
        if index in self.fixed:
            return self.fixed[index]
        expected = self.expected.section(index, EXPECTED_WIDTH)
        generous = self.bounds if self._cut_off(index) else self.expected.section(index, GENEROUS_WIDTH)
        (first,) = self.asker.ask(index, [generous], slack=0)
        found = Box.from_mask(first.mask)
        beside = found if neighbour is None else Box.from_mask(neighbour.mask)
        # The median of two rectangles inside the bounds and one is inside them too.
        agreed = median_box([beside or expected, found or expected, expected])
        if found is not None and largest_change(agreed, found) <= AGREEMENT:
            return first
        logits = None if neighbour is None else neighbour.logits
        (second,) = self.asker.ask(index, [agreed], beside=logits)
        return self.asker.merged(second, first, FIRST_SHARE)

    def _learn_once(self, index: int, answer: SliceMask) -> None:
        if index not in self.fixed:
            self._learn(index, answer)

    def _learn(self, index: int, answer: SliceMask) -> None:
        found = Box.from_mask(answer.mask)
        if found is not None:
            self.expected.learn(index, found, trust_in(answer.predicted_iou * answer.stability))

    def _cut_off(self, index: int) -> bool:
        """Whether the slice lies towards an end where the volume stops before the object may do so."""
        middle = (self.first + self.last) / 2
        return (index < middle and self.open_below) or (index > middle and self.open_above)
