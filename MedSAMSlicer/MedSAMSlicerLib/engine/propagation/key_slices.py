"""Slices on which the user said what to segment."""

from __future__ import annotations

from ..prompts import Box, SlicePrompt
from ..results import SliceResult
from .confidence import needs_review, slice_confidence
from .slice_predictor import SliceMask, SlicePredictor


def segment_key(asker: SlicePredictor, index: int, prompt: SlicePrompt) -> SliceResult:
    """The key slice from what the user gave there; its box is the user's, or else the one around the mask."""
    return key_result(index, asker.ask_as_given(index, prompt), prompt)


def key_result(index: int, answer: SliceMask, prompt: SlicePrompt) -> SliceResult:
    """The answer to what the user gave on a slice, as its result."""
    confidence = slice_confidence(answer)
    return SliceResult(
        index,
        answer.mask,
        prompt.box or Box.from_mask(answer.mask),
        answer.predicted_iou,
        confidence,
        needs_review(confidence),
        key=True,
        low_res_logits=answer.logits,
    )
