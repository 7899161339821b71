"""``medsam-slicer adapt``: options, messages and exit status. What it computes: see `learning`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from MedSAMSlicerLib.cli import adapt as command
from MedSAMSlicerLib.learning.adapt import Adaptation, Outcome
from MedSAMSlicerLib.learning.judgement import Verdict

Answer = Callable[[Adaptation, Callable[[str, float], object]], Outcome]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    for name in ("i.nrrd", "l.nrrd"):
        (tmp_path / name).touch()
    table = tmp_path / "cases.csv"
    table.write_text(
        "id,modality,image,label,value,axis,window,patient\na,CT,i.nrrd,l.nrrd,1,,,Doe\nb_2,CT,i.nrrd,l.nrrd,1,,,\n"
    )
    return table


@pytest.fixture
def adapted(
    cases: Path, tmp_path: Path, medsam_slicer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, list[Adaptation]]]:
    """Runs the command on two cases; `answer` takes the place of the computation."""
    wanted: list[Adaptation] = []
    lowered = []

    def run(answer: Answer, *options: object) -> tuple[Any, list[Adaptation]]:
        def adapt(one: Adaptation, progress: Callable[[str, float], object]) -> Outcome:
            assert lowered == [True]
            wanted.append(one)
            return answer(one, progress)

        monkeypatch.setattr(command, "adapt", adapt)
        monkeypatch.setattr(command, "lower_priority", lambda: lowered.append(True))
        return medsam_slicer("adapt", cases, "--output", tmp_path / "ours.medsam", *options), wanted

    return run


def test_what_is_wanted_and_what_became_of_it(adapted: Callable[..., Any], tmp_path: Path) -> None:
    def better(_wanted: Adaptation, progress: Callable[[str, float], object]) -> Outcome:
        for stage, done in (("Before", 0.0), ("Training", 0.0), ("Training", 0.5), ("Training", 1.0)):
            progress(stage, done)
        return Outcome(Verdict(0.05, []), True, ["few patients"], "Learned from two.")

    ran, (wanted,) = adapted(better, "--steps", 7, "--seed", 3, "--device", "cpu-bf16", "--title", "Ours")
    assert ran.status == 0
    assert [case.patient for case in wanted.cases] == ["Doe", "b"]
    assert (wanted.settings.seed, wanted.settings.training.steps, wanted.choice.device) == (3, 7, "cpu-bf16")
    assert (wanted.title, wanted.report) == ("Ours", tmp_path / "ours_report.html") and wanted.hold_back
    assert ran.out.splitlines() == [
        "Note: few patients",
        "Learned from two.",
        f"Written: {tmp_path / 'ours.medsam'}, {tmp_path / 'ours_report.html'}",
        f"Use it with --model {tmp_path / 'ours.medsam'}, or 'medsam-slicer models import {tmp_path / 'ours.medsam'}'",
    ]


def test_not_better_is_an_error_that_says_why(adapted: Callable[..., Any], tmp_path: Path) -> None:
    def not_better(wanted: Adaptation, _progress: object) -> Outcome:
        return Outcome(Verdict(0.0, ["the mean falls"]), wanted.keep_anyway, [], "D.")

    ran, _wanted = adapted(not_better)
    assert ran.status == 1
    assert ran.err == (
        f"medsam-slicer: not better than the model before: the mean falls; {tmp_path / 'ours.medsam'} was not written, "
        f"see {tmp_path / 'ours_report.html'} (--keep-anyway writes it)\n"
    )


def test_kept_anyway_it_is_said_too(adapted: Callable[..., Any]) -> None:
    ran, _wanted = adapted(
        lambda wanted, _progress: Outcome(Verdict(0.0, ["the mean falls"]), wanted.keep_anyway, [], "D."),
        "--keep-anyway",
    )
    assert ran.status == 0 and "NOT better than the model before: the mean falls" in ran.out


def test_interrupted_it_says_how_to_go_on(adapted: Callable[..., Any]) -> None:
    def interrupted(*_: object) -> Outcome:
        raise KeyboardInterrupt

    ran, _wanted = adapted(interrupted)
    assert ran.status == 130
    assert ran.err.startswith("medsam-slicer: interrupted; the same command goes on where it was")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output", "litemedsam.medsam"], "litemedsam is a model of this version"),
        (["--output", "Our file.medsam"], "cannot be the name of a model"),
        (["--output", "ours.pth"], ".medsam"),
        (["--steps", "0"], "--steps 0 trains nothing"),
        (["--seed", "-1"], "--seed must not be negative"),
        (["--report", "cases.html/x"], "cases.html"),
    ],
)
def test_wrong_options_are_refused(
    adapted: Callable[..., Any], options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran, wanted = adapted(lambda *_: pytest.fail("nothing is to be computed"), *options)
    assert ran.status == 2 and words in ran.err and wanted == []
