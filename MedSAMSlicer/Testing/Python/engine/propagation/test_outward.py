"""Where an object ends, propagation ends: the model itself finds something in pure noise too, and thinks well of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.intensity import Window, WindowedStack
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.outward import StartSlice
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.settings import OutwardSettings
from MedSAMSlicerLib.engine.propagation.slice_predictor import SlicePredictor
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.stack import ArrayStack
from support.shapes import ellipsoid
from support.threshold_model import threshold_predictor

SHAPE = (8, 48, 60)


def test_nothing_is_found_in_the_noise_beyond_a_lesion(litemedsam_weights: Path) -> None:
    lesion = ellipsoid(SHAPE, (3.0, 22.0, 30.0), (2.3, 10.0, 13.0))
    noise = np.random.default_rng(7).normal(0, 8, SHAPE)
    voxels = (np.where(lesion, 120.0, -100.0) + noise).astype(np.int16)
    source = WindowedStack(ArrayStack(voxels, (1.5, 1.5, 5.0), "K"), Window(-160, 240, "soft-tissue"))
    rectangle = Box.from_mask(lesion[3])
    assert rectangle is not None
    predictor = load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), device="cpu"))[0]
    found = np.zeros(SHAPE, bool)
    for result in propagate(source, StackPrompt({3: rectangle}), predictor):
        found[result.index] = result.mask
    held = np.flatnonzero(lesion.any(axis=(1, 2)))
    answered = np.flatnonzero(found.any(axis=(1, 2)))
    assert set(answered) <= set(held), "a mask lies in noise"
    # The tips, less than half as wide as the slices next to them, may be missed.
    assert answered[0] <= held[0] + 1 and answered[-1] >= held[-1] - 1
    inside = slice(answered[0], answered[-1] + 1)
    assert dice(found[inside], lesion[inside]) > 0.9


def test_limits_of_visible_and_invisible_objects_pass_into_each_other() -> None:
    """Lesions on a background of 100 grey levels, of which 12 more are just visible and 15 clearly."""
    lesion, settings = ellipsoid(SHAPE, (3.0, 22.0, 30.0), (2.3, 10.0, 13.0)), OutwardSettings()
    starts = []
    for contrast in (6, 11, 12, 13, 15, 40):
        image = np.where(lesion, 100 + contrast, 100).astype(np.int16)
        source = WindowedStack(ArrayStack(image, (1.0, 1.0, 1.0), "K"), Window(0, 255, "plain"))
        predictor = SlicePredictor(source, threshold_predictor(), 1.0)
        key = SliceResult(3, lesion[3], None, 1.0, 1.0, False, key=True)
        start = StartSlice.from_result(key, predictor, settings)
        assert start is not None
        starts.append(start)
    lengths, least = [one.half_length_mm for one in starts], [one.smallest_contrast for one in starts]
    assert lengths[:3] == [lengths[0]] * 3 and least[:3] == [-np.inf] * 3, "invisible"
    assert 1.4 * lengths[0] < lengths[3] < 1.6 * lengths[0] and -3 < least[3] < -1, "a third of the way"
    assert lengths[4:] == [np.inf] * 2 and least[4:] == [settings.smallest_contrast] * 2, "clearly visible"
