"""Where a segment comes from: the text that files carry, and the tags under which Slicer's segments keep it."""

from __future__ import annotations

from .model_choice import LoadedModel
from .prompts import StackPrompt

PROVENANCE_TAG = "MedSAMSlicer.Provenance"
"""Tag of a segment with the text of `provenance_text`."""
REVIEWED_TAG = "MedSAMSlicer.Reviewed"
"""Tag of a segment: "yes" if a person said that every slice that needs it was looked at."""
_MOST_SLICES = 10


def provenance_text(model: LoadedModel, prompt: StackPrompt) -> str:
    """How a segment was made, in one line: model, checksum of its weights, prompts and their slices."""
    kinds = ", ".join(sorted(prompt.kinds)).replace("mask", "rough mask")
    slices = ", ".join(map(str, list(prompt.slices)[:_MOST_SLICES]))
    more = ", ..." if len(prompt.slices) > _MOST_SLICES else ""
    extent = f" within slices {prompt.slice_range[0]} to {prompt.slice_range[1]}" if prompt.slice_range else ""
    weights = f"weights SHA-256 {model.weights_sha256}"
    return f"model {model.model}, {weights}, prompts: {kinds} on slices {slices}{more}{extent}"
