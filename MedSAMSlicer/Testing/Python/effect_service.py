"""The engine of the effect's tests: follows bright pixels, takes its time over a slice, and doubts every fourth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bright_service import BrightService
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.stack import SliceSource

SECONDS_A_SLICE = 0.03


class DoubtingService(BrightService):
    """Says of slices 0, 4, 8, ... that a person should look at them."""

    def compute(self, image: np.ndarray) -> None:
        time.sleep(SECONDS_A_SLICE)

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        for found in super().segment(choice, source, prompt, info):
            doubtful = found.index % 4 == 0
            yield replace(found, confidence=0.2 if doubtful else 0.9, needs_review=doubtful)


SECONDS_TO_ENCODE = 0.4


class SlowEncoder(BrightService):
    """Takes its time to encode a slice, which nothing can interrupt; answers at once on a slice that it has encoded."""

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        if image.tobytes() not in self.encoded:
            time.sleep(SECONDS_TO_ENCODE)
        super().encode(choice, image)
