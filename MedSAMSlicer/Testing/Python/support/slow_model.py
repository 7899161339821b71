"""A model that never answers, and leaves a note of the process in which it does not."""

from __future__ import annotations

import os
import time
from pathlib import Path

from MedSAMSlicerLib.engine.predictor import Predictor
from MedSAMSlicerLib.engine.service_types import LoadedModel, ModelChoice

NOTES = "MEDSAM_SLICER_TEST_NOTES"


def load_slow(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    """Never returns."""
    Path(os.environ[NOTES], str(os.getpid())).touch()
    time.sleep(600)
    raise AssertionError("nobody waits so long")
