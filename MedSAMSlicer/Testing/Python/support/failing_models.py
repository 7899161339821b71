"""Models that fail as a computer does: one never answers, one ends its process, one cannot be loaded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from support.plain_model import PlainFamily, PlainRuntime

NOTES = "MEDSAM_SLICER_TEST_NOTES"


class DeadlyRuntime(PlainRuntime):
    """Ends its process, as a system short of memory does, when a slice is bright at its left edge."""

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        if prepared[0, :, 0].max() > 128:
            os._exit(9)
        return super().encode(prepared)


def load_deadly(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    predictor = Predictor(PlainFamily(), DeadlyRuntime(), "plain")
    return predictor, LoadedModel(choice.model, "0" * 64, "cpu", "plain")


def load_nothing(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    raise WeightsError(f"the weights of {choice.model} do not match their checksum")


def load_slow(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    """Leaves a note of its process, and never returns."""
    Path(os.environ[NOTES], str(os.getpid())).touch()
    time.sleep(600)
    raise AssertionError("nobody waits so long")
