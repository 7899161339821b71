"""Propagation beyond the outermost key slices, as far as the object extends.

Each slice is prompted with a loose box around the neighbouring mask and, unless model and neighbour agree on its mask,
with a close box too: close boxes lose an edge on every slice, loose boxes leak. The mask with the best sum of predicted IoU,
agreement with the neighbour and agreement of grey levels is kept. The model finds an object in every box, so the
image decides where the object ends: where its contrast is gone, its grey level has changed, or hardly any area or
agreement with the neighbour is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..masks import dice
from ..prompts import Box
from ..results import SliceResult
from .confidence import propagated_result, slice_confidence
from .pixel_classifier import PixelClassifier
from .settings import OutwardSettings, PropagationSettings
from .slice_predictor import SliceMask, SlicePredictor


@dataclass(frozen=True)
class Appearance:
    """Grey levels (0..255) of an object and its surroundings.

    Attributes:
        mean, spread: mean and standard deviation inside the mask.
        ring_mean: mean in a ring around the mask.
    """

    mean: float
    spread: float
    ring_mean: float

    @property
    def contrast(self) -> float:
        """Difference between the object and its surroundings; negative for a dark object."""
        return self.mean - self.ring_mean

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray, ring_step: float) -> Appearance:
        """Measure the appearance of an object on one slice.

        Args:
            image: uint8 (rows, columns), or (rows, columns, 3), of which the mean of the channels counts.
            mask: bool (rows, columns), not empty.
            ring_step: distance between mask and ring as a fraction of the longer side. The border itself, where object
                and surroundings mix, is left out. The ring is twice as wide.
        """
        if image.ndim == 3:
            image = image.mean(axis=2)
        rows, columns = image.shape
        step = max(1, round(max(rows, columns) * ring_step))
        box = Box.from_mask(mask)
        assert box is not None
        # The ring reaches three steps beyond the mask.
        part = (box.padded(4 * step, 4 * step).intersection(Box.of_slice(rows, columns)) or box).pixels
        inside, levels = mask[part], image[part]
        near = ndimage.binary_dilation(inside, iterations=step)
        ring = ndimage.binary_dilation(near, iterations=2 * step) & ~near
        values, outside = levels[inside], levels[ring]
        mean = float(values.mean())
        return cls(mean, float(values.std()), float(outside.mean()) if outside.size else mean)

    def updated(self, newest: Appearance, weight: float) -> Appearance:
        """Running mean of the appearance; `weight` is that of the newest slice, 0..1."""
        old = 1 - weight
        return Appearance(
            old * self.mean + weight * newest.mean,
            old * self.spread + weight * newest.spread,
            old * self.ring_mean + weight * newest.ring_mean,
        )


@dataclass(frozen=True)
class StartSlice:
    """Outermost key slice, where the propagation starts.

    Attributes:
        index: slice index.
        mask: bool (rows, columns), not empty.
        logits: float32 logits of the mask at the decoder's resolution, if known.
        follower: predictor that follows the object from here: `SlicePredictor.finder`, or the one that predicts the masks.
        appearance: appearance of the object on the slice.
        half_length_mm: distance to which the object is followed at most, in millimetres; infinite if the object
            is clearly visible against its surroundings.
        smallest_contrast: the object has ended if less of its contrast on this slice is left; minus infinity if it is
            invisible.
    """

    index: int
    mask: np.ndarray
    logits: np.ndarray | None
    follower: SlicePredictor
    appearance: Appearance
    half_length_mm: float
    smallest_contrast: float

    @classmethod
    def from_result(cls, result: SliceResult, follower: SlicePredictor, settings: OutwardSettings) -> StartSlice | None:
        """Start slice from the result of a key slice; None if its mask is empty."""
        box = Box.from_mask(result.mask)
        if box is None:
            return None
        seen = Appearance.of(follower.image(result.index), result.mask, settings.ring_step)
        just_visible = max(settings.smallest_spread, settings.visible_contrast * seen.spread)
        clarity = (abs(seen.contrast) / just_visible - 1) / (settings.clearly_visible - 1)
        _mm, row_mm, column_mm = follower.source.spacing
        diameter = max(box.width * column_mm, box.height * row_mm)
        half_length = np.inf if clarity >= 1 else settings.half_length * diameter / (1 - max(clarity, 0.0))
        least = -np.inf if clarity <= 0 else settings.smallest_contrast - (1 / min(clarity, 1.0) - 1)
        return cls(result.index, result.mask, result.low_res_logits, follower, seen, half_length, least)


def propagate_outward(
    predictor: SlicePredictor,
    start: StartSlice,
    indices: Sequence[int],
    masks: Mapping[int, SliceMask],
    settings: PropagationSettings,
    find_end: bool = True,
) -> Iterator[SliceResult]:
    """Segment the slices on one side of a key slice.

    Args:
        predictor: predictor of the stack, which predicts the masks.
        start: key slice that the slices are next to.
        indices: slices, nearest first.
        masks: slice index -> mask of each key slice.
        settings: settings of the propagation.
        find_end: stop where the object ends. If False, `indices` is the known extent of the object: every slice is
            segmented while the previous mask is not empty, and slices beyond the apparent end get a confidence of 0.

    Yields:
        The slices in the order of `indices`.
    """
    outward, confidence = settings.outward, settings.confidence
    previous, logits, known = start.mask, start.logits, start.appearance
    pixels = PixelClassifier(predictor, settings.pixels, settings.pixels.outward)
    pixels.learn(start.index, masks[start.index])
    for index in indices:
        distance = abs(index - start.index) * predictor.spacing_mm
        box = Box.from_mask(previous)
        if box is None or (find_end and distance > start.half_length_mm):
            return
        mask, seen = _best_mask(start.follower, index, box, previous, logits, known, outward)
        if seen is None or (find_end and _has_ended(mask, seen, previous, known, start, outward)):
            if find_end:
                return
            yield propagated_result(predictor, index, _painted(predictor, start, index, mask), 0.0, confidence)
            continue
        # The painted mask is not passed on: the way from slice to slice and its end are the follower's alone.
        painted = _painted(predictor, start, index, mask)
        pixels.learn(index, painted)
        result = pixels.refined(index, painted)
        yield propagated_result(predictor, index, result, slice_confidence(result, confidence), confidence)
        previous, logits, known = mask.mask, mask.logits, known.updated(seen, outward.newest_weight)


def _best_mask(
    predictor: SlicePredictor,
    index: int,
    box: Box,
    previous: np.ndarray,
    logits: np.ndarray | None,
    known: Appearance,
    settings: OutwardSettings,
) -> tuple[SliceMask, Appearance | None]:
    """The better mask of the loose and the close box, and its appearance; None for an empty mask."""
    candidates = [predictor.predict_box(index, box, settings.loose_margin, logits)]
    if not _is_sure(candidates[0], previous, settings):
        candidates.append(predictor.predict_box(index, box, settings.close_margin, logits))
    rated = []
    for candidate in candidates:
        if candidate.mask.any():
            seen = Appearance.of(predictor.image(index), candidate.mask, settings.ring_step)
            merit = (
                candidate.predicted_iou
                + dice(candidate.mask, previous)
                - min(1.0, _change(seen, known, settings) / settings.largest_change)
            )
            rated.append((merit, candidate, seen))
    if not rated:
        return candidates[0], None
    _merit, mask, seen = max(rated, key=lambda entry: entry[0])
    return mask, seen


def _painted(predictor: SlicePredictor, start: StartSlice, index: int, found: SliceMask) -> SliceMask:
    if start.follower is predictor:
        return found
    painted = predictor.painted(index, found)
    # Where the object has ended, a decoder that fills its box can still be sure of its mask, and the follower of what it
    # follows instead: the doubt of either counts.
    return replace(painted, predicted_iou=min(found.predicted_iou, painted.predicted_iou))


def _is_sure(mask: SliceMask, previous: np.ndarray, settings: OutwardSettings) -> bool:
    return mask.predicted_iou > settings.sure_predicted_iou and dice(mask.mask, previous) > settings.sure_dice


def _change(seen: Appearance, known: Appearance, settings: OutwardSettings) -> float:
    """Change of the mean grey level, in spreads."""
    unit = max(known.spread, settings.smallest_spread, settings.spread_per_contrast * abs(known.contrast))
    return abs(seen.mean - known.mean) / unit


def _has_ended(
    mask: SliceMask,
    seen: Appearance,
    previous: np.ndarray,
    known: Appearance,
    start: StartSlice,
    settings: OutwardSettings,
) -> bool:
    # An invisible object has perhaps no contrast to divide by.
    visible = np.isfinite(start.smallest_contrast)
    return (
        (visible and seen.contrast / start.appearance.contrast < start.smallest_contrast)
        or _change(seen, known, settings) > settings.largest_change
        or mask.predicted_iou < settings.smallest_predicted_iou
        or mask.mask.sum() < settings.smallest_area * start.mask.sum()
        or dice(mask.mask, previous) < settings.smallest_dice
    )
