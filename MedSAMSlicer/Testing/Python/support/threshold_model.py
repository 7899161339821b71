"""A model with results that are known in advance: the object is what is bright inside the box.

It takes the place of a family and of a runtime, so that everything above them runs as it does with real weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from MedSAMSlicerLib.engine.models.family import Family, LogitsGrid, NetworkPrompt
from MedSAMSlicerLib.engine.prompts import Box

if TYPE_CHECKING:
    # It imports torch, which every process with this model would wait for.
    from MedSAMSlicerLib.engine.models.network import PromptableNetwork

SIDE = 128
BRIGHT = 128


class ThresholdFamily(Family):
    """Slices enter as they are, at the upper left of a 128x128 square."""

    input_size = SIDE

    def build_network(self) -> PromptableNetwork:
        raise AssertionError("the threshold model has no network")

    def prepare(self, image: np.ndarray) -> np.ndarray:
        prepared = np.zeros((3, SIDE, SIDE), np.float32)
        prepared[:, : image.shape[0], : image.shape[1]] = image
        return prepared

    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        return np.array(box.xyxy, np.float32)

    def logits_grid(self, rows: int, columns: int) -> LogitsGrid:
        return LogitsGrid(SIDE, 1.0, 1.0)

    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        return logits[:, :rows, :columns] > 0


class ThresholdRuntime:
    """The embedding is the slice; a pixel's logit is its brightness above 128 inside the box, and low outside."""

    name = "threshold"
    device = "cpu"
    version = "1"
    encodes_parts = False
    slices_at_once = 1
    encodes_parts = False

    def __init__(self) -> None:
        self.encoded = 0
        self.boxes: list[np.ndarray] = []

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        self.encoded += 1
        return prepared[:1].copy()

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self.encode(one) for one in prepared]

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        assert not multimask
        logits = np.full((len(prompts), 1, SIDE, SIDE), -20, np.float32)
        ious = np.zeros((len(prompts), 1), np.float32)
        for n, prompt in enumerate(prompts):
            assert prompt.box is not None
            self.boxes.append(prompt.box)
            x0, y0, x1, y1 = (
                np.ceil(prompt.box[:2]).astype(int).tolist() + np.floor(prompt.box[2:]).astype(int).tolist()
            )
            inside = (slice(max(y0, 0), y1 + 1), slice(max(x0, 0), x1 + 1))
            logits[n, 0][inside] = (embedding[0][inside] - BRIGHT) / 4
            ious[n] = 0.9 if (logits[n] > 0).any() else 0.1
        return logits, ious


def threshold_predictor(cache: EmbeddingCache | None = None) -> Predictor:
    """A predictor of the threshold model; its `runtime` counts encoded slices and keeps the boxes."""
    return Predictor(ThresholdFamily(), ThresholdRuntime(), "threshold", cache)


def load_threshold_model(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    """Load the threshold model whatever is chosen, also in other processes."""
    return threshold_predictor(), LoadedModel(choice.model, "0" * 64, ThresholdRuntime.device, ThresholdRuntime.name)
