"""The real service around the clicked model: no weights, and answers to work out by hand.

Any model of the catalogue may be chosen: it refuses the prompts that this one was not trained for. As the factory of an
inference process: ``support.clicked_service:clicked_service``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.stack import SliceSource
from support.clicked_model import load_clicked


def clicked_service() -> service.SegmentationService:
    """For a process of its own: nothing puts the loader back that loads real weights."""
    service.load_predictor = load_clicked
    return service.SegmentationService()


class NotingService(service.SegmentationService):
    """Notes what it is asked. `service.load_predictor` has to be `load_clicked` meanwhile.

    Attributes:
        previews: model and prompt of each preview.
        runs: prompt of each run, and the slices of it that were asked for.
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
