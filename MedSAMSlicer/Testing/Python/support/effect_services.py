"""Services for tests of the effect: one whose slices need review, one that is slow to encode."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.stack import SliceSource
from support.threshold_service import ThresholdService

SECONDS_A_SLICE = 0.03


class NeedsReviewService(ThresholdService):
    """Takes 30 ms a slice; slices 0, 4, 8, ... need review."""

    def compute(self, image: np.ndarray) -> None:
        time.sleep(SECONDS_A_SLICE)

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        for found in super().segment(choice, source, prompt, info):
            unsure = found.index % 4 == 0
            yield replace(found, confidence=0.2 if unsure else 0.9, needs_review=unsure)


SECONDS_TO_ENCODE = 0.4


class SlowEncodingService(ThresholdService):
    """Encodes a slice in 0.4 s, without interruption, and only once."""

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        if image.tobytes() not in self.encoded:
            time.sleep(SECONDS_TO_ENCODE)
        super().encode(choice, image)
