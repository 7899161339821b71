"""What comes back: the answer to one prompt, and one slice of a propagated result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .prompts import Box


@dataclass(frozen=True)
class Prediction:
    """SliceMask to one prompt on one slice.

    Attributes:
        mask: bool (rows, columns) of the slice.
        predicted_iou: what the model says of its own mask; about 0..1, not clamped.
        low_res_logits: float32 (h, w) at the decoder's resolution, before the sigmoid.
        candidates: all masks of the prompt, in the decoder's order, where the model was asked for several: this one is
            the one among them with the highest predicted IoU. Empty otherwise, and for predictions that come from
            the inference process.
    """

    mask: np.ndarray
    predicted_iou: float
    low_res_logits: np.ndarray
    candidates: tuple[Prediction, ...] = ()


@dataclass(frozen=True)
class SliceResult:
    """One slice of a propagated result.

    Attributes:
        index: slice in the stack.
        mask: bool (rows, columns); all False where the object is absent.
        box: prompt that the mask came from, in slice pixels; None if the slice was not prompted.
        predicted_iou: what the model says of its own mask; about 0..1, not clamped.
        confidence: 0 (review it) .. 1 (certain).
        flagged: True where a person should look at the slice.
        key: True where the user gave the prompt.
        interpolated: True where the model was not asked, and the mask was made of slices near by on both sides
            (`thin_slices`).
        low_res_logits: float32 (h, w) that the mask came from, smoothed along the stack where the mask was; of key
            slices, and, with models that take masks as prompts, of all slices that show something: a correction of
            the slice starts from it (`MaskPrompt`).
    """

    index: int
    mask: np.ndarray
    box: Box | None
    predicted_iou: float
    confidence: float
    flagged: bool
    key: bool = False
    interpolated: bool = False
    low_res_logits: np.ndarray | None = None
