"""The confidence is fitted to slices whose quality is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from MedSAMSlicerLib.engine.model_choice import Timings
from MedSAMSlicerLib.engine.propagation.settings import ConfidenceSettings
from MedSAMSlicerLib.evaluation.cases import Case
from MedSAMSlicerLib.evaluation.evaluate_case import CaseScore, SliceScore
from MedSAMSlicerLib.evaluation.metrics import Agreement
from MedSAMSlicerLib.learning.calibration import calibrate, recalibrated
from MedSAMSlicerLib.learning.settings import CalibrationSettings

BEFORE = ConfidenceSettings()
MakeScore = Callable[[np.ndarray, np.ndarray, float], CaseScore]


@pytest.fixture
def score(case: Callable[..., Case]) -> MakeScore:
    def make(signs: np.ndarray, good: np.ndarray, middle: float) -> CaseScore:
        """Slices with these means of predicted IoU and stability, for which `middle` was in the settings."""
        slices = []
        for index, (sign, well) in enumerate(zip(signs.tolist(), good.tolist(), strict=True)):
            confidence = 1 / (1 + math.exp(-BEFORE.steepness * (sign - middle)))
            slices.append(SliceScore(index, 0.9 if well else 0.4, sign, confidence, False, False, True))
        return CaseScore(case("a"), "m", Agreement(0.8, 0.8, 1.0, 0.0), 0.0, Timings(), slices, None, 0)

    return make


def drawn(middle: float, steepness: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    signs = random.uniform(0.4, 1.0, count)
    return signs, random.random(count) < 1 / (1 + np.exp(-steepness * (signs - middle)))


def test_the_curve_that_slices_were_drawn_from_is_found(score: MakeScore) -> None:
    smoothed = score(*drawn(0.66, 30.0, 4000, 0), BEFORE.middle_smoothed)
    single = score(*drawn(0.72, 30.0, 4000, 1), BEFORE.middle)
    found = calibrate([smoothed], [single], BEFORE, CalibrationSettings())
    assert found.fitted and found.slices == 8000
    assert found.settings.middle_smoothed == pytest.approx(0.66, abs=0.01)
    assert found.settings.middle == pytest.approx(0.72, abs=0.01)
    assert found.settings.steepness == pytest.approx(30, rel=0.1)
    assert found.settings.stability_offset == BEFORE.stability_offset


def test_the_limit_finds_the_wanted_share_of_poor_slices(score: MakeScore) -> None:
    scores = [score(*drawn(0.7, 20.0, 600, 2), BEFORE.middle_smoothed)]
    found = calibrate(scores, [], BEFORE, CalibrationSettings())
    after = recalibrated(scores, True, BEFORE, found.settings)
    poor = [one for one in after[0].slices if one.dsc < 0.7]
    assert sum(one.needs_review for one in poor) >= 0.85 * len(poor)
    assert 0.5 <= found.settings.review_below <= 0.9


def test_a_few_slices_hardly_move_it_and_fewer_not_at_all(score: MakeScore) -> None:
    few = calibrate([score(*drawn(0.6, 30.0, 24, 3), BEFORE.middle_smoothed)], [], BEFORE, CalibrationSettings())
    assert few.fitted and 0.6 < few.settings.middle_smoothed < BEFORE.middle_smoothed
    # There is no slice of the other kind.
    assert few.settings.middle == BEFORE.middle
    good = np.ones(50, bool)
    none = calibrate([score(np.full(50, 0.9), good, BEFORE.middle_smoothed)], [], BEFORE, CalibrationSettings())
    assert not none.fitted and none.settings == BEFORE


def test_settings_that_stay_change_no_confidence(score: MakeScore) -> None:
    scores = [score(*drawn(0.7, 20.0, 50, 4), BEFORE.middle_smoothed)]
    same = recalibrated(scores, True, BEFORE, BEFORE)
    for one, other in zip(scores[0].slices, same[0].slices, strict=True):
        assert other.confidence == pytest.approx(one.confidence, abs=1e-9)
        assert other.needs_review == (one.confidence < BEFORE.review_below)
