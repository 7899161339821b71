"""A model for prompts of every kind, with results that are known in advance.

The object is the connected bright components that the prompt selects: those in the box, less what the points and the
mask rule out. It takes the place of a family and of a runtime, as the threshold model does for boxes.
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
from support.threshold_model import BRIGHT, SIDE, ThresholdFamily, ThresholdRuntime


class ComponentFamily(ThresholdFamily):
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


class ComponentRuntime(ThresholdRuntime):
    """Logits are 10 in the bright components that the prompt selects, -10 elsewhere."""

    name = "clicked"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[NetworkPrompt] = []

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        self.asked.extend(prompts)
        found = [self._selected(embedding[0] > BRIGHT, prompt) for prompt in prompts]
        logits = np.where(np.stack(found), 10, -10).astype(np.float32)[:, None]
        ious = np.array([[0.9 if one.any() else 0.1] for one in found], np.float32)
        return logits, ious

    def _selected(self, bright: np.ndarray, prompt: NetworkPrompt) -> np.ndarray:
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


def component_predictor(cache: EmbeddingCache | None = None) -> Predictor:
    """A predictor of the model; its `runtime` keeps the prompts."""
    return Predictor(
        ComponentFamily(), ComponentRuntime(), "clicked", cache, title="the clicked model", prompts=ALL_PROMPTS
    )


def load_component_model(choice: ModelChoice, cache: EmbeddingCache | None = None) -> tuple[Predictor, LoadedModel]:
    """Load the model whatever is chosen."""
    return component_predictor(cache), LoadedModel(
        choice.model, "0" * 64, ComponentRuntime.device, ComponentRuntime.name
    )
