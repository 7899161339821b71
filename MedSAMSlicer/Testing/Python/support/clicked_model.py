"""A model for prompts of every kind that anyone can work out by hand.

The object is whatever connected bright parts the prompt names: those in the box, less what the points and the mask
rule out. It takes the place of a family and of a runtime, as the plain model does for boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import ALL_PROMPTS
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.prompts import MaskPrompt, Points
from support.plain_model import BRIGHT, SIDE, PlainFamily, PlainRuntime


class ClickedFamily(PlainFamily):
    """Prompts enter as they are."""

    def network_points(self, points: Points, rows: int, columns: int) -> np.ndarray:
        return np.array(points.coordinates, np.float32)

    def network_mask(self, mask: MaskPrompt, rows: int, columns: int) -> np.ndarray:
        if mask.logits is not None:
            return mask.logits[None]
        assert mask.mask is not None
        entering = np.full((1, SIDE, SIDE), -10, np.float32)
        entering[0, :rows, :columns][mask.mask] = 10
        return entering


class ClickedRuntime(PlainRuntime):
    """Logits are 10 in the bright parts that the prompt names, -10 elsewhere."""

    name = "clicked"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[NetworkPrompt] = []

    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        self.asked.extend(prompts)
        found = [self._named(embedding[0] > BRIGHT, prompt) for prompt in prompts]
        logits = np.where(np.stack(found), 10, -10).astype(np.float32)[:, None]
        ious = np.array([[0.9 if one.any() else 0.1] for one in found], np.float32)
        return logits, ious

    def _named(self, bright: np.ndarray, prompt: NetworkPrompt) -> np.ndarray:
        parts, _count = ndimage.label(bright)
        wanted = set(np.unique(parts).tolist()) - {0}
        if prompt.box is not None:
            x0, y0, x1, y1 = prompt.box.round().astype(int).tolist()
            inside = np.zeros_like(bright)
            inside[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
            parts = np.where(inside, parts, 0)
        if prompt.mask is not None:
            wanted &= set(parts[prompt.mask[0] > 0].tolist())
        if prompt.points is not None and prompt.labels is not None:
            under = [int(parts[round(float(y)), round(float(x))]) for x, y in prompt.points]
            positive = {part for part, label in zip(under, prompt.labels, strict=True) if label > 0}
            negative = {part for part, label in zip(under, prompt.labels, strict=True) if label <= 0}
            wanted = (wanted & positive if positive else wanted) - negative
        return np.isin(parts, sorted(wanted))


def clicked_predictor(cache: EmbeddingCache | None = None) -> Predictor:
    """A predictor of the model; its `runtime` keeps what it was asked."""
    return Predictor(
        ClickedFamily(), ClickedRuntime(), "clicked", cache, title="the clicked model", prompts=ALL_PROMPTS
    )


def load_clicked(choice: ModelChoice, cache: EmbeddingCache | None = None) -> tuple[Predictor, LoadedModel]:
    """The model whatever is chosen."""
    return clicked_predictor(cache), LoadedModel(choice.model, "0" * 64, ClickedRuntime.device, ClickedRuntime.name)
