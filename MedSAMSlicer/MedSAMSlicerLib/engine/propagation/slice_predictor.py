"""Asks a model about slices of a stack, and looks at what the image shows where it answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache
from scipy import ndimage

from ..inference.predictor import Predictor
from ..prompts import Box, MaskPrompt, SlicePrompt
from ..results import Prediction
from ..stack import SliceSource

# Logits this far from the border count as sure; SAM's own measure of stability uses the same offset. Mean DSC in 3D boxes, 26
# cases: 0.816, 0.817 and 0.817 with 0.5, 1 and 2.
STABILITY_OFFSET = 1.0
# The ring in which an object's surroundings are looked at begins this share of the slice's longer side outside of it, and is
# twice as wide: 2 and 4 network pixels of 256. The border itself, where both sides are mixed, is left out.
# Mean DSC with one rectangle, 26 cases: 0.730, 0.736 and 0.735 with 1/256, 1/128 and 1/64.
RING_STEP = 1 / 128
# More than are encoded ahead at once.
KEPT_IMAGES = 12


@dataclass(frozen=True)
class SliceMask:
    """One mask with what is known about it.

    Attributes:
        box: what was asked, in slice pixels.
        mask: bool (rows, columns), within the bounds that were set.
        predicted_iou: as the model gives it.
        stability: share of the mask that stays when the border moves by `STABILITY_OFFSET` logits, 0..1.
        logits: float32 at the decoder's resolution.
    """

    box: Box
    mask: np.ndarray
    predicted_iou: float
    stability: float
    logits: np.ndarray


@dataclass(frozen=True)
class Appearance:
    """Grey levels (0..255) inside a mask and in a ring around it."""

    mean: float
    spread: float
    ring_mean: float

    @property
    def contrast(self) -> float:
        return self.mean - self.ring_mean


class SlicePredictor:
    """Puts boxes to a model on the slices of one stack; masks never leave `bounds`."""

    def __init__(self, source: SliceSource, predictor: Predictor, bounds: Box | None = None) -> None:
        self.source, self.predictor, self.bounds = source, predictor, bounds
        _slices, self.rows, self.columns = source.shape
        # A slice is looked at several times, and may come from another process each time.
        self._images: LRUCache[int, np.ndarray] = LRUCache(KEPT_IMAGES)
        self._upcoming: deque[int] = deque()
        self._most_ahead = 0

    def follow(self, order: Sequence[int], certain: bool = True) -> None:
        """Slices will be asked for in this order: the next ones are encoded while one is worked on, where that is of use
        (`Predictor.room_ahead`).

        Args:
            certain: all of them will be asked for. False: it may end before, so that only one is encoded ahead.
        """
        self._upcoming, self._most_ahead = deque(order), len(order) if certain else 1

    def ask(
        self, index: int, boxes: Sequence[Box], slack: float = 1.0, beside: np.ndarray | None = None
    ) -> list[SliceMask]:
        """One answer for each box on a slice; the decoder runs once for all of them.

        Args:
            slack: how many times the family's own slack each box is given; see `Family.with_margin`.
            beside: logits of the mask of the slice beside. They go with each box where the model was trained to take
                masks as prompts (SAM, SAM-Med2D), and are left out where it was not.
        """
        mask = None if beside is None or "mask" not in self.predictor.prompts else MaskPrompt(logits=beside)
        loosened = [self._loosened(box, slack) for box in boxes]
        image = self._image(index)
        self._encode_ahead(index, image)
        predictions = self.predictor.predict_prompts(image, [SlicePrompt(box=box, mask=mask) for box in loosened])
        return [self._answer(box, prediction) for box, prediction in zip(boxes, predictions, strict=True)]

    def _loosened(self, box: Box, slack: float) -> Box:
        """The box with the family's slack, no larger than the bounds."""
        family = self.predictor.family
        loosened = family.with_margin(box, self.rows, self.columns, slack)
        if self.bounds is None:
            return loosened
        return loosened.intersection(family.with_margin(self.bounds, self.rows, self.columns, 0)) or loosened

    def _encode_ahead(self, index: int, image: np.ndarray) -> None:
        if not self._upcoming:
            return
        if index in self._upcoming:
            self._upcoming.remove(index)
        # Before others are begun: it would wait for them.
        self.predictor.embed(image)
        room = min(self.predictor.room_ahead, self._most_ahead, len(self._upcoming))
        if room:
            self.predictor.embed_ahead([self._image(self._upcoming.popleft()) for _ in range(room)])

    def _image(self, index: int) -> np.ndarray:
        image = self._images.get(index)
        if image is None:
            image = self._images[index] = self.source.slice_uint8(index)
        return image

    def ask_as_given(self, index: int, prompt: SlicePrompt) -> SliceMask:
        """The answer to what the user gave on a slice. Its box, where none was given, is that around the mask."""
        loosened = prompt
        if prompt.box is not None:
            loosened = replace(prompt, box=self._loosened(prompt.box, 1.0))
        prediction = self.predictor.predict_prompt(self._image(index), loosened)
        around = prompt.box or Box.from_mask(prediction.mask) or Box.of_slice(self.rows, self.columns)
        return self._answer(around, prediction)

    def kept_logits(self, answer: SliceMask) -> np.ndarray | None:
        """What a correction of the answer starts from: nothing where the model takes no masks or has found none."""
        return answer.logits if "mask" in self.predictor.prompts and answer.mask.any() else None

    def merged(self, answer: SliceMask, other: SliceMask, share: float) -> SliceMask:
        """The answer with `share` of the other's logits mixed in."""
        logits = (1 - share) * answer.logits + share * other.logits
        return replace(answer, mask=self._mask_of(logits), logits=logits)

    def answer_of(self, logits: np.ndarray, predicted_iou: float) -> SliceMask:
        """What float32 logits at the decoder's resolution show on a slice that the model was not asked about."""
        mask = self._mask_of(logits)
        around = Box.from_mask(mask) or self.bounds or Box.of_slice(self.rows, self.columns)
        return SliceMask(around, mask, predicted_iou, _stability(logits), logits)

    def with_logits(self, answer: SliceMask, logits: np.ndarray) -> SliceMask:
        """The answer with mask and stability of other logits, float32 at the decoder's resolution."""
        return replace(answer, mask=self._mask_of(logits), stability=_stability(logits), logits=logits)

    def appearance(self, index: int, mask: np.ndarray) -> Appearance:
        """What the image shows inside a mask that is not empty, and around it."""
        image = self._image(index)
        step = max(1, round(max(self.rows, self.columns) * RING_STEP))
        around = Box.from_mask(mask)
        assert around is not None
        # Room for the ring, three steps, and one more.
        reach = around.padded(4 * step, 4 * step).intersection(Box.of_slice(self.rows, self.columns)) or around
        cut = (slice(int(reach.y0), int(reach.y1) + 1), slice(int(reach.x0), int(reach.x1) + 1))
        inside, image = mask[cut], image[cut]
        near = ndimage.binary_dilation(inside, iterations=step)
        ring = ndimage.binary_dilation(near, iterations=2 * step) & ~near
        values, outside = image[inside], image[ring]
        mean = float(values.mean())
        return Appearance(mean, float(values.std()), float(outside.mean()) if outside.size else mean)

    def _answer(self, box: Box, prediction: Prediction) -> SliceMask:
        logits = prediction.low_res_logits
        return SliceMask(
            box=box,
            mask=self._kept(prediction.mask),
            predicted_iou=prediction.predicted_iou,
            stability=_stability(logits),
            logits=logits,
        )

    def _mask_of(self, logits: np.ndarray) -> np.ndarray:
        return self._kept(self.predictor.mask_of(logits, self.rows, self.columns))

    def _kept(self, mask: np.ndarray) -> np.ndarray:
        if self.bounds is None:
            return mask
        kept = np.zeros_like(mask)
        x0, y0 = int(np.ceil(self.bounds.x0)), int(np.ceil(self.bounds.y0))
        inside = (slice(y0, int(self.bounds.y1) + 1), slice(x0, int(self.bounds.x1) + 1))
        kept[inside] = mask[inside]
        return kept


def _stability(logits: np.ndarray) -> float:
    wide, narrow = int((logits > -STABILITY_OFFSET).sum()), int((logits > STABILITY_OFFSET).sum())
    return narrow / wide if wide else 0.0
