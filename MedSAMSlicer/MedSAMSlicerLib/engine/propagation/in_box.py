"""Propagation inside a 3D box, from its middle in both directions.

Each slice is predicted by a vote of three boxes (`median_box`). The expected box is a section of an ellipsoid that
touches the faces of the 3D box (`ellipsoid_prior`). Logits are smoothed along the stack (`smoothing`), and slices
are skipped and interpolated (`slice_skipping`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from ..prompts import Box, SlicePrompt, StackPrompt
from ..results import SliceResult
from .confidence import key_mask_result, key_result, propagated_result, slice_confidence, smoothed_result
from .ellipsoid_prior import EllipsoidPrior
from .key_shapes import KeyShapes
from .median_box import predict_with_median_box
from .pixel_classifier import PixelClassifier
from .settings import PropagationSettings
from .slice_predictor import SliceMask, SlicePredictor
from .slice_skipping import SkippedSlices, predicted_slices
from .smoothing import StackSmoother

_NEAR = 4
"""Predicted slices nearest to the one in view that have a first answer, too."""


def propagate_in_box(
    predictor: SlicePredictor, prompt: StackPrompt, settings: PropagationSettings
) -> Iterator[SliceResult]:
    """Segment every slice of a 3D box. Masks do not leave the box.

    Key slices with a prompt of their own (another box, points or a mask) are predicted from that prompt. They are not
    smoothed, and guide the slices around them. Key masks do so too; they may leave the box. An empty one below or above all
    others ends the box: slices beyond it are not segmented.

    Args:
        predictor: predictor of the stack, restricted to the 3D box.
        prompt: prompt with a slice range and a 3D box.
        settings: settings of the propagation.

    Yields:
        Every slice, as soon as the slices that it is smoothed with are predicted. If `prompt` tells the slice in view, first
        provisional results of that slice and of those near it, each by itself: they have no influence on what follows.
    """
    assert prompt.slice_range is not None and prompt.box3d is not None
    given = {index: one for index, one in prompt.slices.items() if one.box_alone != prompt.box3d}
    given_masks = prompt.key_masks
    shapes = KeyShapes(predictor, {index: given_masks.get(index) for index in given}, settings)
    first, last = _without_ends(prompt.slice_range, given)
    for index in given:
        if not first <= index <= last:
            yield key_mask_result(index, given_masks[index])
    key_masks = {
        index: shapes.key(index) if index in given_masks else predictor.predict_as_given(index, one)
        for index, one in given.items()
        if first <= index <= last
    }
    prompted = [index for index in prompt.slices if first <= index <= last]
    indices = predicted_slices(first, last, predictor.spacing_mm, settings.skipping, prompted)
    walk = _BoxWalk(predictor, prompt.box3d, indices, key_masks, shapes, settings)
    if prompt.in_view is not None and first <= prompt.in_view <= last:
        for index, mask in walk.first_answers(prompt.in_view):
            if index in given_masks:
                answer = key_mask_result(index, given_masks[index])
            elif index in key_masks:
                answer = key_result(index, mask, prompt.slices[index], settings.confidence)
            else:
                sure = slice_confidence(mask, settings.confidence)
                answer = propagated_result(predictor, index, mask, sure, settings.confidence)
            yield replace(answer, provisional=True)
    smoother = StackSmoother(first, last, predictor.spacing_mm, settings.smoothing, indices)
    skipped = SkippedSlices(predictor, indices, settings)
    predicted: dict[int, SliceMask] = {}
    for index, mask in walk.predictions():
        predicted[index] = mask
        skipped.observe(index, mask)
        for ready, logits in smoother.add(index, mask.logits, mask.reliability):
            own = predicted.pop(ready, None)
            if ready in given_masks:
                yield key_mask_result(ready, given_masks[ready])
            elif own is None:
                yield skipped.result(ready, *walk.pixels.refined_by_levels(ready, logits))
            elif ready in key_masks:
                yield key_result(ready, own, prompt.slices[ready], settings.confidence)
            else:
                # Neighbours do not add an object where the model finds none: it may end inside the box.
                final = predictor.with_logits(own, logits) if own.mask.any() else own
                result = smoothed_result(predictor, ready, final, settings.confidence)
                yield replace(result, box=prompt.box3d, key=True) if ready in prompt.slices else result


def _without_ends(slice_range: tuple[int, int], given: Mapping[int, SlicePrompt]) -> tuple[int, int]:
    """The slice range without the slices from an empty key mask on, beyond all key slices that may show the object."""
    first, last = slice_range
    empty = [index for index, one in given.items() if one.key_mask is not None and one.key_mask.box is None]
    held = [index for index in given if index not in empty] or [(first + last) // 2]
    below = [index for index in empty if index < held[0]]
    above = [index for index in empty if index > held[-1]]
    return max(below, default=first - 1) + 1, min(above, default=last + 1) - 1


class _BoxWalk:
    """Predictions from the middle of a 3D box towards both of its ends.

    Args:
        predictor: predictor of the stack.
        box3d: the box on each slice, in slice pixels.
        indices: slices to predict, in increasing order, from the first to the last of the box.
        key_masks: masks of slices that are given or predicted already.
        shapes: shapes of the key masks that were given.
        settings: settings of the propagation.

    Attributes:
        pixels: what the slices predicted so far have taught about the object's pixels.
    """

    def __init__(
        self,
        predictor: SlicePredictor,
        box3d: Box,
        indices: Sequence[int],
        key_masks: Mapping[int, SliceMask],
        shapes: KeyShapes,
        settings: PropagationSettings,
    ) -> None:
        self._predictor, self._box3d, self._indices, self._key_masks = predictor, box3d, indices, key_masks
        self._shapes, self._settings = shapes, settings.in_box
        self.pixels = PixelClassifier(predictor, settings.pixels, settings.pixels.in_box)
        self._first, self._last = indices[0], indices[-1]
        middle = (self._first + self._last) // 2
        self._start = min(indices, key=lambda index: abs(index - middle))
        fewest = self._settings.fewest_in_parts
        self._context = None if fewest is None or len(indices) < fewest else self._start
        self._prior = EllipsoidPrior(box3d, self._first, self._last, self._settings, len(indices))
        slices = predictor.source.shape[0]
        self._cut_off_below, self._cut_off_above = self._first == 0, self._last == slices - 1
        for index, mask in key_masks.items():
            self._observe(index, mask)
            self.pixels.learn(index, mask)

    def first_answers(self, in_view: int) -> Iterator[tuple[int, SliceMask]]:
        """Index and mask of the slice in view, then of the predicted slices nearest to it, from the box alone.

        Nothing is learned from them: the masks of the box do not depend on what the user looks at.
        """
        near = sorted(self._indices, key=lambda index: abs(index - in_view))
        for index in list(dict.fromkeys([in_view, *near]))[: 1 + _NEAR]:
            key_mask = self._key_masks.get(index)
            yield index, self._predictor.painted(index, self._predict(index, None)) if key_mask is None else key_mask

    def predictions(self) -> Iterator[tuple[int, SliceMask]]:
        """Index and mask of every slice, alternately above and below the middle.

        Both directions advance together, so that each learns the ellipsoid's shear from the other.
        """
        start = self._start
        above = [i for i in self._indices if i > start]
        below = [i for i in reversed(self._indices) if i < start]
        pairs = list(zip_longest(above, below))
        self._predictor.announce([start, *(index for pair in pairs for index in pair if index is not None)])
        mask = self._predict(start, None)
        yield from self._finished({start: mask})
        self._observe_once(start, mask)
        ends = [mask, mask]
        for pair in pairs:
            reached = [(direction, index) for direction, index in enumerate(pair) if index is not None]
            for direction, index in reached:
                ends[direction] = self._predict(index, ends[direction])
            # The next slice follows the model's own mask, as between key slices.
            yield from self._finished({index: ends[direction] for direction, index in reached})
            # After both directions, as what is learned from both: a flipped volume gives the same masks.
            for direction, index in reached:
                self._observe_once(index, ends[direction])

    def _predict(self, index: int, neighbour: SliceMask | None) -> SliceMask:
        if index in self._key_masks:
            return self._key_masks[index]
        cut_off = self._is_cut_off(index)
        expected = self._prior.section(index, self._settings.expected_width)
        generous = self._box3d if cut_off else self._prior.section(index, self._settings.generous_width)
        between = self._shapes.box_between(index)
        if between is not None:
            expected = between.intersection(self._box3d) or expected
        return predict_with_median_box(
            self._predictor.finder,
            index,
            generous,
            expected,
            None if neighbour is None else neighbour.mask,
            None if neighbour is None else neighbour.logits,
            self._settings.median_box,
            margin_factor=0,
            context=self._context,
        )

    def _finished(self, found: Mapping[int, SliceMask]) -> Iterator[tuple[int, SliceMask]]:
        """The results of slices from what was found there."""
        new = {
            index: self._shapes.guided(index, self._predictor.painted(index, mask))
            for index, mask in found.items()
            if index not in self._key_masks
        }
        for index, mask in new.items():
            self.pixels.learn(index, mask)
        for index, mask in found.items():
            yield index, self.pixels.refined(index, new[index]) if index in new else mask

    def _observe_once(self, index: int, mask: SliceMask) -> None:
        if index not in self._key_masks:
            self._observe(index, mask)

    def _observe(self, index: int, mask: SliceMask) -> None:
        box = Box.from_mask(mask.mask)
        if box is not None:
            self._prior.observe(index, box, mask.reliability)

    def _is_cut_off(self, index: int) -> bool:
        """Whether the slice lies towards an end where the volume ends, so that the object may not taper off."""
        middle = (self._first + self._last) / 2
        return (index < middle and self._cut_off_below) or (index > middle and self._cut_off_above)
