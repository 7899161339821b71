"""A service that responds at once, to measure the pipes: ``--service speed.prompt_service:PromptService``."""

from __future__ import annotations

import numpy as np

from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt
from MedSAMSlicerLib.engine.results import Prediction

_LOGITS = np.zeros((256, 256), np.float32)


class PromptService:
    """Returns a constant mask and logits of the size of LiteMedSAM's."""

    def load(self, choice: ModelChoice) -> LoadedModel:
        return LoadedModel(choice.model, "0" * 64, "cpu", "none")

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        mask = np.zeros(image.shape, bool)
        mask[340:390, 320:400] = True
        return Prediction(mask, 0.9, _LOGITS)

    def clear_cache(self) -> None:
        """There is no cache."""
