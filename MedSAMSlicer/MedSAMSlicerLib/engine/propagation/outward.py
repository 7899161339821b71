"""Beyond the outermost key slices, as far as the object goes.

Each slice is asked with a loose rectangle around the neighbouring mask and, unless all agree on that answer, with a close
one: close ones lose an edge at every slice, loose ones leak. The answer that the model, the neighbouring mask and the
grey levels agree on best is kept. The object has ended where its contrast is gone, its grey levels are others, or hardly anything is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..prompts import Box
from ..results import SliceResult
from .confidence import needs_review, overlap, slice_confidence
from .slice_predictor import Appearance, SliceMask, SlicePredictor

# Times the family's slack: 2 and 5 network pixels of 256 for LiteMedSAM. Mean DSC of one rectangle on 26 cases 0.736; with
# the same room in millimetres 0.717, with 1 and 2.5 mm 0.698, with 3 and 8 mm 0.683; with a loose room that grows by a
# quarter, half and all of the slice distance 0.731, 0.727 and 0.717.
CLOSE, LOOSE = 1.0, 2.5
# The close one is asked only where the loose one's answer may have leaked: unless the model thinks so well of it and it
# agrees so well (DSC) with the neighbouring mask. 26 cases: mean DSC 0.718 and 2.05 calls a slice when always asked;
# 0.721 with 0.9 and 0.9, 0.7205 and 1.42 calls with 0.8 and 0.9, 0.719 and 1.38 calls with 0.85 and 0.85.
SURE_PREDICTED_IOU = 0.9
SURE_OVERLAP = 0.9
# Mean DSC of one rectangle on 26 cases as each constant below is changed alone stands beside it; 0.721 as they were then
# (SMALLEST_SPREAD at 6). docs/propagation.md, "Each constant by itself", has more.
# Share of the newest slice in what the object is taken to look like. 0.720 with 0.1, 0.721 with 0.6.
NEWEST_SHARE = 0.3
# Differences of grey levels are measured in the object's spread, but at least in these levels (of 255), the noise of a
# windowed image. 0.703 with 3, 0.721 with 6 and 9, 0.736 with 12 to 24, of which one case is 0.012.
SMALLEST_SPREAD = 12.0
# ... and in this share of its contrast: a mask that takes in a little of the surroundings is still on the object. 0.720 with 0.1, 0.722
# with 0.5.
SPREAD_OF_CONTRAST = 0.25

# The object has ended where its mean grey level is so many spreads from what it was (0.683 with 1, 0.723 with 3), ...
LARGEST_CHANGE = 2.0
# ... so small a share of the key slice's contrast with its surroundings is left (0.720 with 0.1, 0.713 with 0.4), ...
SMALLEST_CONTRAST = 0.2
# ... the model itself doubts so much (0.722 with 0.4, 0.702 with 0.7), ...
SMALLEST_PREDICTED_IOU = 0.55
# ... so small a share of the key slice's area is left (0.721 with 0.02 and with 0.1), ...
SMALLEST_AREA = 0.04
# ... or the mask agrees so little (DSC) with its neighbour (0.721 with 0.15, 0.719 with 0.5).
SMALLEST_OVERLAP = 0.3
# Contrast below this share of the spread says nothing of where the object ends (0.716 with 0.25, 0.721 with 1) ...
TELLING_CONTRAST = 0.5
# ... and then half of its length is taken to be at most this share of its largest diameter on the key slice (0.714 with
# 0.4, 0.710 with 0.9).
HALF_LENGTH = 0.6


@dataclass(frozen=True)
class Origin:
    """What propagation into the open starts from: the outermost key slice's mask and its appearance."""

    index: int
    mask: np.ndarray
    logits: np.ndarray | None
    appearance: Appearance
    reach_mm: float

    @classmethod
    def of(cls, asker: SlicePredictor, result: SliceResult) -> Origin | None:
        """None where the key slice's mask is empty: there is nothing to follow."""
        around = Box.from_mask(result.mask)
        if around is None:
            return None
        seen = asker.appearance(result.index, result.mask)
        telling = abs(seen.contrast) > max(SMALLEST_SPREAD, TELLING_CONTRAST * seen.spread)
        _mm, row_mm, column_mm = asker.source.spacing
        diameter = max(around.width * column_mm, around.height * row_mm)
        return cls(
            result.index, result.mask, result.low_res_logits, seen, np.inf if telling else HALF_LENGTH * diameter
        )


def propagate_outwards(
    asker: SlicePredictor, origin: Origin, indices: range, stop: bool = True
) -> Iterator[SliceResult]:
    """Slices away from the origin, nearest first.

    Args:
        stop: end where the object does. False: the user said how far it reaches, so every slice is answered.
    """
    previous, beside, known = origin.mask, origin.logits, origin.appearance
    asker.follow(indices, certain=not stop)
    for index in indices:
        distance = abs(index - origin.index) * asker.source.spacing[0]
        around = Box.from_mask(previous)
        if around is None or (stop and distance > origin.reach_mm):
            return
        answer, seen = _best(asker, index, around, previous, beside, known)
        if seen is None or (stop and _ended(answer, seen, previous, known, origin)):
            if stop:
                return
            yield _result(asker, index, answer, 0.0)
            continue
        yield _result(asker, index, answer, slice_confidence(answer))
        previous, beside, known = answer.mask, answer.logits, _mixed(known, seen)


def _best(
    asker: SlicePredictor,
    index: int,
    around: Box,
    previous: np.ndarray,
    beside: np.ndarray | None,
    known: Appearance,
) -> tuple[SliceMask, Appearance | None]:
    candidates = asker.ask(index, [around], LOOSE, beside)
    if not _is_sure(candidates[0], previous):
        candidates += asker.ask(index, [around], CLOSE, beside)
    judged = []
    for candidate in candidates:
        if candidate.mask.any():
            seen = asker.appearance(index, candidate.mask)
            merit = (
                candidate.predicted_iou
                + overlap(candidate.mask, previous)
                - min(1.0, _change(seen, known) / LARGEST_CHANGE)
            )
            judged.append((merit, candidate, seen))
    if not judged:
        return candidates[0], None
    _merit, answer, seen = max(judged, key=lambda entry: entry[0])
    return answer, seen


def _is_sure(answer: SliceMask, previous: np.ndarray) -> bool:
    return answer.predicted_iou > SURE_PREDICTED_IOU and overlap(answer.mask, previous) > SURE_OVERLAP


def _change(seen: Appearance, known: Appearance) -> float:
    """How many spreads the mean grey level has moved."""
    unit = max(known.spread, SMALLEST_SPREAD, SPREAD_OF_CONTRAST * abs(known.contrast))
    return abs(seen.mean - known.mean) / unit


def _ended(answer: SliceMask, seen: Appearance, previous: np.ndarray, known: Appearance, origin: Origin) -> bool:
    if np.isinf(origin.reach_mm) and seen.contrast / origin.appearance.contrast < SMALLEST_CONTRAST:
        return True
    return (
        _change(seen, known) > LARGEST_CHANGE
        or answer.predicted_iou < SMALLEST_PREDICTED_IOU
        or answer.mask.sum() < SMALLEST_AREA * origin.mask.sum()
        or overlap(answer.mask, previous) < SMALLEST_OVERLAP
    )


def _mixed(known: Appearance, seen: Appearance) -> Appearance:
    old, new = 1 - NEWEST_SHARE, NEWEST_SHARE
    return Appearance(
        old * known.mean + new * seen.mean,
        old * known.spread + new * seen.spread,
        old * known.ring_mean + new * seen.ring_mean,
    )


def _result(asker: SlicePredictor, index: int, answer: SliceMask, confidence: float) -> SliceResult:
    return SliceResult(
        index=index,
        mask=answer.mask,
        box=answer.box,
        predicted_iou=answer.predicted_iou,
        confidence=confidence,
        needs_review=needs_review(confidence),
        low_res_logits=asker.kept_logits(answer),
    )
