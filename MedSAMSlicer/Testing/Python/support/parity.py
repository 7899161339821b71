"""Comparisons with reference outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pytest

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.prompts import Box, Points
from MedSAMSlicerLib.engine.results import Prediction

ALL = pytest.mark.skipif(
    not os.environ.get("MEDSAM_SLICER_REFERENCE_ALL"), reason="half a minute or more: set MEDSAM_SLICER_REFERENCE_ALL=1"
)
"""Files that are compared when somebody asks for all of them: before a release, or after a change of a network."""


def embedding_difference(embedding: np.ndarray, reference: Mapping[str, np.ndarray]) -> float:
    """Largest difference of a (256, 64, 64) embedding from what a reference file keeps of the authors' one."""
    channels = embedding.reshape(len(embedding), -1).astype(np.float64)
    return max(
        float(np.abs(embedding[::8] - reference["embedding_every8"][0]).max()),
        float(np.abs(channels.mean(axis=1) - reference["embedding_channel_mean"]).max()),
        float(np.abs(channels.std(axis=1) - reference["embedding_channel_std"]).max()),
    )


LOGITS_TOLERANCE, IOU_TOLERANCE = 1.5e-7, 5e-8
"""For rule-filled weights, as the reference data's README gives them."""


def assert_same_answer(prediction: Prediction, logits: np.ndarray, iou: float, mask: np.ndarray) -> None:
    """A prediction by rule-filled weights equals the authors' logits (h, w), predicted IoU and mask (rows, columns)."""
    assert np.abs(prediction.low_res_logits - logits).max() <= LOGITS_TOLERANCE
    assert abs(prediction.predicted_iou - float(iou)) <= IOU_TOLERANCE
    assert dice(prediction.mask, mask) >= 0.999


def reference_prompts(box: np.ndarray) -> tuple[Box, Points]:
    """The box of a reference file, and the two points that all of them use with it: its centre, and a negative one."""
    x0, y0, x1, y1 = box.tolist()
    return Box(x0, y0, x1, y1), Points((((x0 + x1) / 2, (y0 + y1) / 2), (x0 - 5, y0 - 5)), (True, False))
