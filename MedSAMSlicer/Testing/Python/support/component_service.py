"""The real service with the component model: no weights, and results that are known in advance.

Any model of the catalogue may be chosen: it refuses the prompts that this one was not trained for. As the factory of an
inference process: ``support.component_service:component_service``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.stack import SliceSource
from support.component_model import load_component_model


def component_service() -> service.SegmentationService:
    """Factory for a process of its own: the loader of real weights is not restored."""
    service.load_predictor = load_component_model
    return service.SegmentationService()


class RecordingService(service.SegmentationService):
    """Records requests. `service.load_predictor` has to be `load_clicked` meanwhile.

    Attributes:
        previews: model and prompt of each preview.
        runs: prompt of each run, and the number of slices of its stack.
    """

    def __init__(self) -> None:
        super().__init__()
        self.previews: list[tuple[str, SlicePrompt]] = []
        self.runs: list[tuple[StackPrompt, int]] = []

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        self.previews.append((choice.model, as_slice_prompt(prompt)))
        return super().preview(choice, image, prompt)

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        self.runs.append((prompt, source.shape[0]))
        yield from super().segment(choice, source, prompt, info)
