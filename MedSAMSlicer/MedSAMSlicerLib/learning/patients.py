"""Which patients are taught, watched and held back. A patient is in one of these groups with all of their images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..engine.errors import InputError
from ..evaluation.cases import Case
from .settings import SplitSettings


@dataclass(frozen=True)
class Split:
    """Groups of cases.

    Attributes:
        taught: cases that are learned from.
        watched: cases that training is stopped by; may be empty.
        held_back: cases that nothing is learned or chosen with; empty only if the user wants it so.
        warnings: what the user has to know of the groups, one line each.
    """

    taught: list[Case]
    watched: list[Case] = field(default_factory=list)
    held_back: list[Case] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def patients_of(cases: Iterable[Case]) -> list[str]:
    """The patients of some cases, in order."""
    return sorted({case.patient for case in cases})


def split_patients(cases: Sequence[Case], settings: SplitSettings, seed: int) -> Split:
    """Split cases by patient, so that each group has about its share of every structure in every modality.

    The same patients are in the same groups whatever the order of the cases.

    Raises:
        InputError: there is one patient only.
    """
    patients = patients_of(cases)
    count = len(patients)
    if count < 2:
        raise InputError(
            f"all {len(cases)} cases are of one patient, {patients[0]!r}: whether the result is better can only be seen on a "
            "patient that was not learned from; add cases of others, or a column 'patient' that tells them apart"
        )
    order = sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}|{patient}".encode()).digest())
    held_back = _chosen(order, cases, max(1, round(settings.held_back * count)))
    rest = [patient for patient in order if patient not in held_back]
    watched: set[str] = set()
    if count >= settings.fewest_to_watch:
        watched = _chosen(rest, cases, max(1, round(settings.watched * count)))
    return Split(
        taught=[case for case in cases if case.patient not in held_back | watched],
        watched=[case for case in cases if case.patient in watched],
        held_back=[case for case in cases if case.patient in held_back],
        warnings=_warnings(count, len(held_back), settings),
    )


def _chosen(order: Sequence[str], cases: Iterable[Case], wanted: int) -> set[str]:
    """Patients, one after the other, each of which brings the group closest to its share of all kinds of case."""
    kinds = {patient: Counter[tuple[str, str]]() for patient in order}
    for case in cases:
        if case.patient in kinds:
            kinds[case.patient][case.structure, case.modality] += 1
    everything = sum(kinds.values(), Counter[tuple[str, str]]())
    share = wanted / len(order)
    chosen: set[str] = set()
    sum_of_chosen = Counter[tuple[str, str]]()
    for _ in range(wanted):

        def distance(patient: str, before: Counter[tuple[str, str]] = sum_of_chosen) -> float:
            return sum(abs(before[kind] + kinds[patient][kind] - share * n) for kind, n in everything.items())

        # Of equally good ones, the first.
        best = min((patient for patient in order if patient not in chosen), key=distance)
        chosen.add(best)
        sum_of_chosen = sum_of_chosen + kinds[best]
    return chosen


def _warnings(count: int, held_back: int, settings: SplitSettings) -> list[str]:
    if count >= settings.fewest:
        return []
    patients = "one patient is" if held_back == 1 else f"{held_back} patients are"
    return [
        f"there are {count} patients only, and {patients} held back: that the result is better for them says little of "
        f"others, and nothing says when to stop training; {settings.fewest} or more are needed, 10 are better"
    ]
