"""Prediction of masks on the slices of one stack."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache

from ..inference.predictor import Predictor
from ..models.input_part import InputPart
from ..prompts import Box, MaskPrompt, SlicePrompt
from ..results import Prediction
from ..stack import SliceSource

# Slice images kept in memory: more than are ever encoded ahead at once.
_CACHED_IMAGES = 12


@dataclass(frozen=True)
class SliceMask:
    """Mask of one slice and what the model says of it.

    Attributes:
        box: box that was prompted, without margin, in slice pixels.
        mask: bool (rows, columns), restricted to the 3D box.
        predicted_iou: the model's estimate of the intersection over union of its mask; about 0..1, not clipped.
        stability: area of the mask at a raised threshold divided by its area at a lowered one, 0..1; the stability
            score of Segment Anything (`calculate_stability_score`).
        logits: float32 (h, w) at the decoder's resolution.
    """

    box: Box
    mask: np.ndarray
    predicted_iou: float
    stability: float
    logits: np.ndarray

    @property
    def reliability(self) -> float:
        """Predicted IoU times stability; about 0..1, not clipped."""
        return self.predicted_iou * self.stability


class SlicePredictor:
    """Predicts masks on the slices of one stack.

    Args:
        source: slices as the model sees them.
        predictor: loaded model.
        stability_offset: logits by which the threshold is raised and lowered to measure stability.
        box3d: in-plane face of the 3D box, in slice pixels. Masks are empty outside of it, and prompts do not extend
            beyond it. None for the whole slice.
        extent_by_base: see `PropagationSettings.extent_by_base`.

    Attributes:
        finder: predictor of the same slices that follows the object: with the model that an adapter was made for, or this one.
    """

    def __init__(
        self,
        source: SliceSource,
        predictor: Predictor,
        stability_offset: float,
        box3d: Box | None = None,
        extent_by_base: bool = False,
    ) -> None:
        self.source, self.predictor, self.box3d = source, predictor, box3d
        _slices, self.rows, self.columns = source.shape
        self._stability_offset = stability_offset
        # A slice is read for several predictions, and may have to come from another process each time.
        self._images: LRUCache[int, np.ndarray] = LRUCache(_CACHED_IMAGES)
        self._upcoming: deque[int] = deque()
        self._most_ahead = 0
        # The predictor that this one finds extents for: it encodes ahead for both.
        self._painter: SlicePredictor | None = None
        base = predictor.base if extent_by_base else None
        self.finder = self if base is None else self._finder(base)

    def _finder(self, base: Predictor) -> SlicePredictor:
        finder = SlicePredictor(self.source, base, self._stability_offset, self.box3d)
        finder._images, finder._painter = self._images, self
        return finder

    def painted(self, index: int, found: SliceMask) -> SliceMask:
        """The mask that this predictor's model predicts in the box of a mask that `finder` has found.

        A decoder that was trained further fills boxes that are too large more readily than its base. So the base follows the
        object from slice to slice, and nothing of the painted masks comes back to it.

        Returns:
            `found` itself if this is the finder, or if one of the two masks is empty.
        """
        box = Box.from_mask(found.mask)
        if self.finder is self or box is None:
            return found
        mask = self.predict_box(index, box)
        return mask if mask.mask.any() else found

    @property
    def spacing_mm(self) -> float:
        """Distance between slices in millimetres."""
        return self.source.spacing[0]

    def announce(self, order: Sequence[int], certain: bool = True) -> None:
        """Announce which slices will be predicted next, so that they can be encoded in the background.

        Args:
            order: slice indices, in the order of their prediction.
            certain: whether all of them will be predicted. If False, at most one slice is encoded ahead.
        """
        ahead = self._painter or self
        ahead._upcoming, ahead._most_ahead = deque(order), len(order) if certain else 1

    def predict_box(
        self,
        index: int,
        box: Box,
        margin_factor: float = 1.0,
        neighbour_logits: np.ndarray | None = None,
        context: int | None = None,
    ) -> SliceMask:
        """Predict the mask of the object in a box.

        Args:
            index: slice index.
            box: box around the object, in slice pixels.
            margin_factor: margin that is added to the box, as a multiple of the model's own margin; see
                `Family.with_margin`.
            neighbour_logits: float32 logits of the neighbouring slice's mask at the decoder's resolution. They are part
                of the prompt if the model was trained with mask prompts, and are ignored otherwise.
            context: slice that shows the surroundings of the 3D box; then only the part of this slice around the 3D box is
                encoded, see `Predictor.predict_prompts`. None to encode the whole slice.
        """
        prompt = SlicePrompt(box=self._with_margin(box, margin_factor))
        if neighbour_logits is not None and "mask" in self.predictor.prompts:
            prompt = replace(prompt, mask=MaskPrompt(logits=neighbour_logits))
        image = self.image(index)
        part, surroundings = None, None
        if context not in (None, index) and self.box3d is not None:
            # The same on all slices of the box.
            part = self.predictor.part_around(self.box3d, self.rows, self.columns)
            surroundings = self.image(context)
        (self._painter or self)._encode_ahead(index, image, part)
        return self._slice_mask(box, self.predictor.predict_prompt(image, prompt, part=part, surroundings=surroundings))

    def predict_as_given(self, index: int, prompt: SlicePrompt) -> SliceMask:
        """Predict a mask from the user's prompt. Without a box in the prompt, the result's box is that of its mask."""
        if prompt.box is None:
            prediction = self.predictor.predict_prompt(self.image(index), prompt)
        else:
            with_margin = replace(prompt, box=self._with_margin(prompt.box, 1.0))
            prediction = self.predictor.predict_prompt(self.image(index), with_margin)
        box = prompt.box or Box.from_mask(prediction.mask) or Box.of_slice(self.rows, self.columns)
        return self._slice_mask(box, prediction)

    def image(self, index: int) -> np.ndarray:
        """uint8 (rows, columns) image of a slice."""
        image = self._images.get(index)
        if image is None:
            image = self._images[index] = self.source.slice_uint8(index)
        return image

    def correction_logits(self, mask: SliceMask) -> np.ndarray | None:
        """Logits that a correction of the slice starts from; None if the mask is empty or the model takes no masks."""
        return mask.logits if "mask" in self.predictor.prompts and mask.mask.any() else None

    def mixed(self, one: SliceMask, other: SliceMask, weight: float) -> SliceMask:
        """`one`, with the weighted mean of both masks' logits; `weight` is that of `other`, 0..1.

        The stability stays that of `one`.
        """
        logits = (1 - weight) * one.logits + weight * other.logits
        return replace(one, mask=self._mask_of(logits), logits=logits)

    def with_logits(self, mask: SliceMask, logits: np.ndarray) -> SliceMask:
        """`mask` with other logits, float32 at the decoder's resolution, and the mask and stability that follow."""
        return replace(mask, mask=self._mask_of(logits), stability=self._stability(logits), logits=logits)

    def from_logits(self, logits: np.ndarray, predicted_iou: float) -> SliceMask:
        """Mask of a slice that the model did not see, from float32 logits at the decoder's resolution."""
        mask = self._mask_of(logits)
        box = Box.from_mask(mask) or self.box3d or Box.of_slice(self.rows, self.columns)
        return SliceMask(box, mask, predicted_iou, self._stability(logits), logits)

    def _with_margin(self, box: Box, factor: float) -> Box:
        """The box with the model's margin, within the 3D box."""
        family = self.predictor.family
        enlarged = family.with_margin(box, self.rows, self.columns, factor)
        if self.box3d is None:
            return enlarged
        return enlarged.intersection(family.with_margin(self.box3d, self.rows, self.columns, 0)) or enlarged

    def _encode_ahead(self, index: int, image: np.ndarray, part: InputPart | None) -> None:
        if not self._upcoming:
            return
        if index in self._upcoming:
            self._upcoming.remove(index)
        # First this slice: it would have to wait for the others.
        self.predictor.embed(image, part)
        room = min(self.predictor.room_ahead, self._most_ahead, len(self._upcoming))
        if room:
            self.predictor.embed_ahead([self.image(self._upcoming.popleft()) for _ in range(room)], part)

    def _slice_mask(self, box: Box, prediction: Prediction) -> SliceMask:
        logits = prediction.low_res_logits
        return SliceMask(
            box=box,
            mask=self._inside_box3d(prediction.mask),
            predicted_iou=prediction.predicted_iou,
            stability=self._stability(logits),
            logits=logits,
        )

    def _mask_of(self, logits: np.ndarray) -> np.ndarray:
        return self._inside_box3d(self.predictor.mask_of(logits, self.rows, self.columns))

    def _inside_box3d(self, mask: np.ndarray) -> np.ndarray:
        if self.box3d is None:
            return mask
        restricted = np.zeros_like(mask)
        restricted[self.box3d.pixels] = mask[self.box3d.pixels]
        return restricted

    def _stability(self, logits: np.ndarray) -> float:
        larger, smaller = (int((logits > offset).sum()) for offset in (-self._stability_offset, self._stability_offset))
        return smaller / larger if larger else 0.0
