"""Shapes of key masks: logits made from them, and the shapes expected between two of them.

Shapes are signed distances at the decoder's resolution, positive inside. Between two key masks they are interpolated
(Raya and Udupa, Shape-based interpolation of multidimensional objects, IEEE Transactions on Medical Imaging 9:32, 1990), with
two changes: both shapes are moved to the centre that lies between theirs, so that they overlap, and sizes change nearly as the
sections of an ellipsoid do, because round objects bulge between their sections.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..masks import dice
from ..models.family import LogitsGrid
from ..prompts import Box
from .settings import PropagationSettings
from .slice_predictor import SliceMask, SlicePredictor


@dataclass(frozen=True)
class KeyShape:
    """Shape of a key mask.

    Attributes:
        distance: float32 (h, w) signed distance to the contour at the decoder's resolution, in its pixels.
        centre: row and column of the centre of the mask's bounding box, in the same pixels.
        area: number of pixels of the mask on the slice.
    """

    distance: np.ndarray
    centre: tuple[float, float]
    area: int

    @classmethod
    def of_mask(cls, mask: np.ndarray, grid: LogitsGrid) -> KeyShape:
        """Shape of a bool (rows, columns) mask, which is not empty."""
        pixel = (grid.down, grid.across)
        # Distances are measured between the centres of pixels; the contour lies half a pixel before the nearest one.
        half = min(pixel) / 2
        # A mask of the whole slice has no contour.
        inside = np.full(mask.shape, 2 * grid.side) if mask.all() else ndimage.distance_transform_edt(mask, pixel)
        outside = ndimage.distance_transform_edt(~mask, pixel)
        distance = np.where(mask, inside - half, half - outside).astype(np.float32)
        sampled = ndimage.affine_transform(
            distance,
            [1 / grid.down, 1 / grid.across],
            [0.5 / grid.down - 0.5, 0.5 / grid.across - 0.5],
            (grid.side, grid.side),
            order=1,
            mode="nearest",
        )
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        centre = (
            (float(rows[0] + rows[-1]) / 2 + 0.5) * grid.down - 0.5,
            (float(columns[0] + columns[-1]) / 2 + 0.5) * grid.across - 0.5,
        )
        return cls(sampled, centre, int(np.count_nonzero(mask)))

    def moved_to(self, centre: tuple[float, float]) -> np.ndarray:
        """float32 (h, w) signed distance of the shape with another centre."""
        return ndimage.shift(
            self.distance, [to - at for to, at in zip(centre, self.centre, strict=True)], order=1, mode="nearest"
        )


def shape_between(lower: KeyShape, upper: KeyShape, share: float, bulge: float) -> np.ndarray:
    """Expected shape between two key masks.

    Args:
        lower, upper: the shapes of both.
        share: position between them: 0 for the lower one, 1 for the upper one.
        bulge: how areas change: 0 linearly, 1 as those of an ellipsoid that is widest at the larger mask.

    Returns:
        float32 (h, w) signed distance, in pixels of the decoder.
    """
    centre = (
        lower.centre[0] + (upper.centre[0] - lower.centre[0]) * share,
        lower.centre[1] + (upper.centre[1] - lower.centre[1]) * share,
    )
    larger, smaller, away = (lower, upper, share) if lower.area >= upper.area else (upper, lower, 1 - share)
    lost = (1 - bulge) * away + bulge * away * away
    ratio = smaller.area / larger.area
    radius = math.sqrt(ratio)
    # Share of the way from the larger to the smaller radius that the radius of this area has gone.
    part = away if ratio > 0.99 else (1 - math.sqrt(1 - lost * (1 - ratio))) / (1 - radius)
    return ((1 - part) * larger.moved_to(centre) + part * smaller.moved_to(centre)).astype(np.float32)


class KeyShapes:
    """Shapes of the key masks of a prompt, and what they say of the slices between them.

    Args:
        predictor: predictor of the stack.
        keys: slice index -> bool (rows, columns) key mask of every key slice; None for key slices with other prompts.
        settings: settings of the propagation.
    """

    def __init__(
        self, predictor: SlicePredictor, keys: Mapping[int, np.ndarray | None], settings: PropagationSettings
    ) -> None:
        self._predictor, self._settings = predictor, settings
        self._grid = predictor.predictor.family.logits_grid(predictor.rows, predictor.columns)
        self._keys = sorted(keys)
        self._masks = {index: mask for index, mask in keys.items() if mask is not None}
        self._shapes = {index: KeyShape.of_mask(mask, self._grid) for index, mask in self._masks.items() if mask.any()}

    def logits_on(self, index: int) -> np.ndarray:
        """float32 (h, w) logits of the key mask on a slice; the lowest ones everywhere if it is empty."""
        shape = self._shapes.get(index)
        if shape is None:
            side = self._grid.side
            return np.full((side, side), -self._settings.smoothing.largest_logit, np.float32)
        return self._logits(shape.distance)

    def key(self, index: int) -> SliceMask:
        """The key mask on a slice as a prediction that is sure of itself. Other slices have none: KeyError."""
        mask = self._masks[index]
        box = Box.from_mask(mask) or Box.of_slice(self._predictor.rows, self._predictor.columns)
        return SliceMask(box, mask, 1.0, 1.0, self.logits_on(index))

    def box_between(self, index: int) -> Box | None:
        """Bounding box of the shape expected on a slice; None as for `between`, or if nothing is left of the shape."""
        expected = self.between(index)
        return None if expected is None else Box.from_mask(self._mask_of(expected))

    def between(self, index: int) -> np.ndarray | None:
        """float32 (h, w) logits of the shape expected on a slice; None if the key slices next to it have no key masks."""
        after = bisect_left(self._keys, index)
        if after in (0, len(self._keys)):
            return None
        low, high = self._keys[after - 1], self._keys[after]
        if low not in self._shapes or high not in self._shapes:
            return None
        share = (index - low) / (high - low)
        bulge = self._settings.between_keys.bulge
        return self._logits(shape_between(self._shapes[low], self._shapes[high], share, bulge))

    def guided(self, index: int, mask: SliceMask) -> SliceMask:
        """The prediction of a slice, bent towards the shape expected between key masks where the model is not sure.

        Where the prediction is empty, the shape takes its place.
        """
        expected = self.between(index)
        if expected is None:
            return mask
        largest = self._settings.smoothing.largest_logit
        weight = self._weight(mask, self._mask_of(expected)) if mask.mask.any() else 1.0
        logits = (1 - weight) * np.clip(mask.logits, -largest, largest) + weight * expected
        return replace(mask, mask=self._predictor.with_logits(mask, logits).mask, logits=logits)

    def _weight(self, mask: SliceMask, expected: np.ndarray) -> float:
        """Weight of the expected shape, 0..1: the model doubts its mask, but the mask lies where the shape does."""
        settings = self._settings.key_masks
        doubt = 1 - min(1.0, max(0.0, mask.reliability))
        room = settings.full_agreement - settings.least_agreement
        agreement = (dice(mask.mask, expected) - settings.least_agreement) / room
        return min(1.0, settings.doubt_weight * doubt) * min(1.0, max(0.0, agreement))

    def _mask_of(self, logits: np.ndarray) -> np.ndarray:
        return self._predictor.predictor.mask_of(logits, self._predictor.rows, self._predictor.columns)

    def _logits(self, distance: np.ndarray) -> np.ndarray:
        largest = self._settings.smoothing.largest_logit
        return np.clip(self._settings.key_masks.slope * distance, -largest, largest)
