"""Patients are taught, watched or held back, with all of their images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.evaluation.cases import Case
from MedSAMSlicerLib.learning.patients import patients_of, split_patients
from MedSAMSlicerLib.learning.settings import SplitSettings

MakeCase = Callable[..., Case]


def many(case: MakeCase, count: int) -> list[Case]:
    """Two images of each patient."""
    return [case(f"{n}_{kind}", str(n), kind) for n in range(count) for kind in ("CT", "MR")]


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_in_two_groups_and_none_is_lost(case: MakeCase, seed: int) -> None:
    cases = many(case, 11)
    split = split_patients(cases, SplitSettings(), seed)
    groups = [split.taught, split.watched, split.held_back]
    assert [len(patients_of(group)) for group in groups] == [8, 1, 2]
    assert sorted(one.id for group in groups for one in group) == sorted(one.id for one in cases)
    assert sum(len(patients_of(group)) for group in groups) == len(patients_of(cases))
    assert split.warnings == []


def test_the_groups_do_not_depend_on_the_order_but_on_the_seed(case: MakeCase) -> None:
    cases = many(case, 20)
    splits = [split_patients(order, SplitSettings(), 0) for order in (cases, cases[::-1])]
    assert patients_of(splits[0].held_back) == patients_of(splits[1].held_back)
    others = {tuple(patients_of(split_patients(cases, SplitSettings(), seed).held_back)) for seed in range(4)}
    assert len(others) > 1


@pytest.mark.parametrize("seed", range(5))
def test_every_modality_is_held_back(case: MakeCase, seed: int) -> None:
    cases = [
        case(f"{kind}{n}", modality=kind) for kind, count in (("CT", 10), ("MR", 5), ("PET", 5)) for n in range(count)
    ]
    held_back = split_patients(cases, SplitSettings(), seed).held_back
    assert sorted(one.modality for one in held_back) == ["CT", "CT", "MR", "PET"]


def test_few_patients_are_warned_of_and_none_is_watched(case: MakeCase) -> None:
    split = split_patients(many(case, 2), SplitSettings(), 0)
    assert (len(split.taught), split.watched, len(split.held_back)) == (2, [], 2)
    assert len(split.warnings) == 1 and split.warnings[0].startswith(
        "there are 2 patients only, and one patient is held back"
    )


def test_one_patient_is_refused(case: MakeCase) -> None:
    with pytest.raises(InputError, match="all 3 cases are of one patient, 'x'.*column 'patient'"):
        split_patients([case(f"x{n}", "x") for n in range(3)], SplitSettings(), 0)
