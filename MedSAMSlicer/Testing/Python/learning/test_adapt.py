"""From a table of cases to an adapted model: refused unless it is better, without a trace of patients, and resumable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError, MissingPackage
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.adapter import read_adapter
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.evaluation.cases import Case
from MedSAMSlicerLib.learning.adapt import Adaptation, Outcome, adapt
from MedSAMSlicerLib.learning.settings import (
    JudgementSettings,
    LearningSettings,
    PromptSettings,
    SampleSettings,
    TrainingSettings,
)
from support.shapes import textured_slice

pytestmark = pytest.mark.slow

IMPOSSIBLE, ANY = JudgementSettings(smallest_gain=2.0), JudgementSettings(smallest_gain=-2.0, largest_loss=2.0)
SETTINGS = LearningSettings(
    samples=SampleSettings(slices=1, variants=2),
    prompts=PromptSettings(boxes=2),
    training=TrainingSettings(steps=2, samples_per_step=1, warm_up=1, full_rate=0.05, low_rank_rate=0.05),
)
Run = Callable[..., Outcome]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "ours.medsam"


@pytest.fixture
def run(cases: list[Case], small_model: ModelChoice, output: Path) -> Run:
    def start(judgement: JudgementSettings = ANY, progress=lambda _stage, _done: None, **changed) -> Outcome:
        wanted = Adaptation(
            cases=cases,
            output=output,
            report=output.with_name("report.html"),
            choice=small_model,
            title="Our ellipsoids",
            licence="CC-BY-4.0",
            settings=replace(SETTINGS, judgement=judgement),
        )
        return adapt(replace(wanted, **changed), progress)

    return start


def files(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


@pytest.fixture
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time."""
    for name in ("agreement_plot", "course_plot"):
        monkeypatch.setattr(f"MedSAMSlicerLib.learning.report.{name}", lambda _shown: b"")


@pytest.mark.usefixtures("_no_pictures")
def test_a_model_that_is_not_better_is_not_written(run: Run, output: Path) -> None:
    found = run(IMPOSSIBLE)
    assert found.verdict is not None and not found.verdict.better and not found.written
    assert files(output) == ["report.html"]
    report = output.with_name("report.html").read_text(encoding="utf-8")
    assert "<b>Not better</b>: the mean DSC in a 3D box changes by" in report
    assert "there are 3 patients only, and one patient is held back" in report


def test_an_adapted_model_has_other_masks_and_holds_nothing_of_patients(
    run: Run, output: Path, small_model: ModelChoice, cases: list[Case], tmp_path: Path
) -> None:
    found = run()
    assert found.verdict is not None and found.verdict.better and found.written
    assert files(output) == ["ours.medsam", "report.html"]
    image, box = textured_slice(40, 48, 3), Box(8, 8, 30, 30)
    before, after = (
        load_predictor(replace(small_model, model=key))[0].predict(image, box) for key in ("litemedsam", str(output))
    )
    assert not np.array_equal(before.mask, after.mask) and before.predicted_iou != after.predicted_iou
    content = output.read_bytes()
    for case in cases:
        for text in (case.id, case.patient, case.image.name, case.label.name, str(tmp_path)):
            assert text.encode() not in content
    metadata = read_adapter(output).metadata
    assert (metadata.base, metadata.title, metadata.licence) == ("litemedsam", "Our ellipsoids", "CC-BY-4.0")
    assert metadata.propagation == SETTINGS.propagation
    assert metadata.base_sha256 == CATALOGUE["litemedsam"].weights.sha256
    assert metadata.description.startswith(
        "LiteMedSAM, adapted with 3 contours of 2 patients (CT 2, MR 1). On 1 contour of "
    )
    # The report is for those who have the table of cases.
    report = output.with_name("report.html").read_text(encoding="utf-8")
    assert report.count("data:image/png;base64,iVBOR") >= 2
    assert "<b>Better</b>" in report and all(case.patient in report for case in cases)


class Ended(KeyboardInterrupt):
    """Stands for Ctrl-C."""


def test_an_interrupted_run_encodes_nothing_again_and_ends_with_the_same_file(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(hold_back=False)
    whole = output.read_bytes()
    output.unlink()

    def end(stage: str, done: float) -> None:
        if stage == "Training" and done:
            raise Ended

    with pytest.raises(Ended):
        run(progress=end, hold_back=False)
    assert files(output) == ["ours.medsam.work"]

    def encode(*_: object) -> None:
        raise AssertionError("it was encoded before")

    monkeypatch.setattr("MedSAMSlicerLib.engine.runtimes.torch_runtime.TorchRuntime.encode", encode)
    found = run(hold_back=False)
    assert output.read_bytes() == whole
    assert files(output) == ["ours.medsam"] and found.verdict is None


def test_learning_goes_on_from_an_adapted_model(run: Run, output: Path, small_model: ModelChoice) -> None:
    run(hold_back=False)
    first = read_adapter(output)
    further = output.with_name("further.medsam")
    run(hold_back=False, choice=replace(small_model, model=str(output)), output=further, keep_work=True)
    second = read_adapter(further)
    assert second.metadata.base == "litemedsam" and second.parameters == first.parameters
    assert "Our ellipsoids, adapted with" in second.metadata.description
    assert files(output) == ["further.medsam", "further.medsam.work", "ours.medsam"]


def test_what_cannot_be_adapted_is_refused_before_anything_is_made(
    run: Run, cases: list[Case], output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_patient = [dataclasses.replace(case, patient="x") for case in cases]
    with pytest.raises(InputError, match="all 4 cases are of one patient"):
        run(cases=one_patient)
    with pytest.raises(InputError, match=r"MedSAM \(ViT-B\) cannot be adapted: choose --model litemedsam"):
        run(choice=ModelChoice("medsam"))
    work = output.with_name("ours.medsam.work")
    work.mkdir()
    (work / "thesis.docx").touch()
    with pytest.raises(InputError, match="is something else than the folder of a run"):
        run()
    assert [path.name for path in work.iterdir()] == ["thesis.docx"]
    monkeypatch.setattr("MedSAMSlicerLib.engine.optional_packages.torch_installed", lambda: False)
    with pytest.raises(MissingPackage, match="adapting a model needs PyTorch.*pip install torch segment-anything"):
        run()
