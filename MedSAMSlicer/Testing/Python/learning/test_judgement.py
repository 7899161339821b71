"""A model is better only if it is better on average and worse for no group."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from MedSAMSlicerLib.engine.model_choice import Timings
from MedSAMSlicerLib.evaluation.cases import Case
from MedSAMSlicerLib.evaluation.evaluate_case import CaseScore
from MedSAMSlicerLib.evaluation.metrics import Agreement
from MedSAMSlicerLib.learning.judgement import Comparison, judge
from MedSAMSlicerLib.learning.settings import JudgementSettings

MakeComparison = Callable[..., Comparison]


@pytest.fixture
def comparison(case: Callable[..., Case]) -> MakeComparison:
    def make(before: list[float], after: list[float], modalities: str = "CT CT MR") -> Comparison:
        cases = [case(f"c{n}", modality=kind) for n, kind in enumerate(modalities.split())]

        def scores(figures: list[float]) -> list[CaseScore]:
            return [
                CaseScore(one, "m", Agreement(dsc, dsc, 1.0, 0.0), 0.0, Timings(), [], None, 0)
                for one, dsc in zip(cases, figures, strict=True)
            ]

        return Comparison("box3d", scores(before), scores(after))

    return make


@pytest.mark.parametrize(
    ("after", "midslice", "reasons"),
    [
        ([0.85, 0.75, 0.72], [0.5, 0.5, 0.5], []),
        ([0.81, 0.70, 0.70], [0.5, 0.5, 0.5], ["the mean DSC in a 3D box changes by +0.003, less than +0.005"]),
        ([0.90, 0.80, 0.68], [0.5, 0.5, 0.5], ["structure 1 in MR changes by -0.020"]),
        ([0.90, 0.68, 0.70], [0.5, 0.5, 0.5], []),  # one case of a group may fall
        ([0.85, 0.75, 0.72], [0.5, 0.5, 0.4], ["with a rectangle on one slice, the mean DSC changes by -0.033"]),
    ],
)
def test_the_verdict(comparison: MakeComparison, after: list[float], midslice: list[float], reasons: list[str]) -> None:
    box3d = comparison([0.80, 0.70, 0.70], after)
    verdict = judge(box3d, comparison([0.5, 0.5, 0.5], midslice), JudgementSettings())
    assert verdict.reasons == reasons and verdict.better == (not reasons)


def test_the_worst_cases_come_first(comparison: MakeComparison) -> None:
    worst = comparison([0.8, 0.7, 0.6], [0.85, 0.5, 0.7]).worst(2)
    assert [score.case.id for score in worst.after] == ["c1", "c2"] == [score.case.id for score in worst.before]
    assert worst.gains == pytest.approx([-0.2, 0.1])
