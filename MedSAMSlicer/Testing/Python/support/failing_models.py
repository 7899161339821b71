"""Models that fail: one never finishes loading, one ends its process, one cannot be loaded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from support.threshold_model import ThresholdFamily, ThresholdRuntime

NOTES = "MEDSAM_SLICER_TEST_NOTES"


class CrashingRuntime(ThresholdRuntime):
    """Ends its process, as a system short of memory does, when a slice is bright at its left edge."""

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        if prepared[0, :, 0].max() > 128:
            os._exit(9)
        return super().encode(prepared)


def load_crashing(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    predictor = Predictor(ThresholdFamily(), CrashingRuntime(), "threshold")
    return predictor, LoadedModel(choice.model, "0" * 64, "cpu", "threshold")


def load_missing(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    raise WeightsError(f"the weights of {choice.model} do not match their checksum")


def load_never(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    """Leaves a note of its process, and never returns."""
    Path(os.environ[NOTES], str(os.getpid())).touch()
    time.sleep(600)
    raise AssertionError("the process was not ended")
