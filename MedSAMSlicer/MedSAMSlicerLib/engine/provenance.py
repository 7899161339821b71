"""Where a segment comes from: the text that files carry, and the tag in which Slicer's segments keep it."""

from __future__ import annotations

from collections.abc import Sequence

from .model_choice import LoadedModel
from .prompts import StackPrompt

PROVENANCE_TAG = "MedSAMSlicer.Provenance"
"""Tag of a segment with the text of `provenance_text`."""
_MOST_SLICES = 20


def provenance_text(model: LoadedModel, prompt: StackPrompt, slices_to_review: Sequence[int]) -> str:
    """How a segment was made, in one line: model, checksums of its weights and its adapter, prompts, and slices that need review."""
    kinds = ", ".join("rough mask" if kind == "mask" else kind for kind in sorted(prompt.kinds))
    review = f", slices that need review: {_listed(slices_to_review)}" if slices_to_review else ""
    extent = f" within slices {prompt.slice_range[0]} to {prompt.slice_range[1]}" if prompt.slice_range else ""
    weights = f"weights SHA-256 {model.weights_sha256}"
    if model.adapter_sha256:
        weights += f", adapter SHA-256 {model.adapter_sha256}"
    return f"model {model.model}, {weights}, prompts: {kinds} on slices {_listed(list(prompt.slices))}{extent}{review}"


def _listed(slices: Sequence[int]) -> str:
    return ", ".join(map(str, slices[:_MOST_SLICES])) + (", ..." if len(slices) > _MOST_SLICES else "")
