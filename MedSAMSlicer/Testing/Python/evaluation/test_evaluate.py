"""From a table of cases to scores, tables and pictures, with the model that segments what is bright."""

from __future__ import annotations

import csv
import dataclasses
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.errors import InputError, MedSAMError, WeightsError
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.evaluation import evaluate
from MedSAMSlicerLib.evaluation.cases import Case, read_cases
from MedSAMSlicerLib.evaluation.evaluate_case import CaseScore, SliceScore, Task, run_case
from MedSAMSlicerLib.evaluation.metrics import Agreement
from MedSAMSlicerLib.evaluation.plots import PLOTS, POOR_SLICE_DSC, plot_writers, poor_slice_auc
from MedSAMSlicerLib.evaluation.result_tables import (
    RESULT_COLUMNS,
    SLICE_COLUMNS,
    result_row,
    slice_rows,
    summary,
)
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind
from MedSAMSlicerLib.io.tables import write_table
from support.failing_models import NOTES, load_crashing, load_missing
from support.shapes import ellipsoid
from support.small_predictor import load_small
from support.threshold_model import ThresholdFamily, ThresholdRuntime, threshold_predictor

TRUTH = ellipsoid((12, 50, 60), (6.0, 25.0, 30.0), (4.4, 12.0, 15.0))


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """The same object bright in one image, and with a wrong part as bright as itself in the other."""
    misleading = TRUTH.copy()
    misleading[:, 20:24, :] = True
    for name, shown in (("clear", TRUTH), ("misleading", misleading)):
        voxels = np.where(shown, 200, 50).astype(np.int16)
        voxels[0, 0, 0], voxels[0, 0, 1] = 0, 255
        for suffix, array in (("image", voxels), ("label", TRUTH.astype(np.uint8) * 3)):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((1.0, 1.0, 3.0))
            sitk.WriteImage(image, str(tmp_path / f"{name}_{suffix}.nrrd"))
    table = tmp_path / "cases.csv"
    lines = [f'{name},CT,{name}_image.nrrd,{name}_label.nrrd,3,K,"127.5,255"' for name in ("clear", "misleading")]
    table.write_text("\n".join(["id,modality,image,label,value,axis,window", *lines]) + "\n")
    return read_cases(table)


def score(case: Case, prompt: str = "box3d", **options) -> CaseScore:
    return run_case(case, Task(PromptKind.parse(prompt), **options), threshold_predictor())


def test_a_clear_case_scores_high_with_every_prompt(cases: list[Case]) -> None:
    for prompt in ("box3d", "midslice", "keyslices:3", "keyslices:all"):
        found = score(cases[0], prompt)
        assert found.agreement.dsc > 0.9, prompt
        assert found.extent == (2, 10)


def test_key_masks_count_for_nothing_on_their_own_slices(cases: list[Case]) -> None:
    found = score(cases[1], "keymasks:3")
    given = [one for one in found.slices if one.key]
    assert [(one.index, one.dsc, one.confidence) for one in given] == [(2, 1.0, 1.0), (6, 1.0, 1.0), (10, 1.0, 1.0)]
    others = [one.dsc for one in found.slices if not one.key]
    assert min(others) <= found.agreement.dsc <= max(others) < 1
    with pytest.raises(InputError, match="case clear: keymasks:9 gives all slices of the object"):
        score(cases[0], "keymasks:9")


def test_what_the_authors_algorithm_does_not_know_is_refused_before_any_case() -> None:
    with pytest.raises(InputError, match="^the authors' algorithm knows only 3D boxes.*, not midslice"):
        Task(PromptKind.parse("midslice"), method="reference")
    with pytest.raises(InputError, match="^the authors' 3D algorithm is LiteMedSAM's"):
        Task(PromptKind.parse("box3d"), method="reference", choice=ModelChoice("medsam"))


def test_every_case_pays_for_its_own_encodings(cases: list[Case]) -> None:
    predictor = threshold_predictor()
    task = Task(PromptKind.parse("keyslices:all"))
    first, second = (run_case(cases[0], task, predictor) for _ in range(2))
    assert first.timings.encoder_calls == second.timings.encoder_calls > 0


def test_tables_and_summary(cases: list[Case], tmp_path: Path) -> None:
    task = Task(PromptKind.parse("box3d"))
    scores = [score(case) for case in cases]
    write_table(tmp_path / "results.csv", RESULT_COLUMNS, [result_row(one, task) for one in scores])
    write_table(tmp_path / "slices.csv", SLICE_COLUMNS, [row for one in scores for row in slice_rows(one)])
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert ",".join(RESULT_COLUMNS) == (
        "id,modality,prompt,method,model,dsc,nsd_2mm,hd95_mm,volume_error_pct,slices,seconds,seconds_per_slice,"
        "flagged_slices"
    )
    assert [row["id"] for row in rows] == ["clear", "misleading"]
    assert float(rows[0]["dsc"]) == pytest.approx(scores[0].agreement.dsc, abs=1e-6)
    assert int(rows[0]["slices"]) == 9
    with (tmp_path / "slices.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 18
    text = summary(scores)
    middle = np.median([one.agreement.dsc for one in scores])
    assert f"{middle:.3f} [" in text and text.splitlines()[1].startswith("CT") and "all" in text
    cost = [sum(getattr(one.timings, name) for one in scores) / 18 for name in ("encoder_calls", "decoder_calls")]
    assert text.splitlines()[-1] == (
        f"18 slices, of each on average {cost[0]:.2f} encoder calls and {cost[1]:.2f} decoder calls"
    )


def test_true_slices_that_no_answer_came_for_are_counted_and_told(cases: list[Case], tmp_path: Path) -> None:
    """The object fades on the slices near its ends, where a run from the middle slice stops."""
    path = tmp_path / "clear_image.nrrd"
    image = sitk.ReadImage(str(path))
    voxels = sitk.GetArrayFromImage(image)
    voxels[[2, 3, 9, 10]] = 50
    faded = sitk.GetImageFromArray(voxels)
    faded.CopyInformation(image)
    sitk.WriteImage(faded, str(path))
    early, whole = score(cases[0], "midslice"), score(cases[0], "box3d")
    answered = {one.index for one in early.slices}
    assert early.not_reached == len(set(range(2, 11)) - answered) > 0
    assert whole.not_reached == 0 and "not reached" not in summary([whole])
    assert summary([early, whole, early]).splitlines()[-1] == (
        f"{2 * early.not_reached} slices that hold the object were not reached: they are in no figure of confidence"
    )
    one = dataclasses.replace(early, not_reached=1)
    assert summary([one]).splitlines()[-1] == (
        "1 slice that holds the object was not reached: it is in no figure of confidence"
    )


@pytest.mark.parametrize(
    ("failure", "ending"),
    [(MemoryError(), "run failed: 12 slices"), (KeyboardInterrupt(), "run cancelled: 12 slices")],
    ids=lambda value: type(value).__name__,
)
def test_a_run_that_begins_in_the_log_also_ends_there(
    cases: list[Case], caplog: pytest.LogCaptureFixture, failure: BaseException, ending: str
) -> None:
    class Failing(ThresholdRuntime):
        def encode(self, prepared: np.ndarray) -> np.ndarray:
            raise failure

    caplog.set_level(logging.INFO, logger="MedSAMSlicer")
    with pytest.raises(type(failure)):
        run_case(cases[0], Task(PromptKind.parse("box3d")), Predictor(ThresholdFamily(), Failing(), "threshold"))
    begun, ended = (record.getMessage() for record in caplog.records if record.getMessage().startswith("run "))
    assert begun.startswith("run begins") and ended.startswith(ending)


def test_an_empty_result_does_not_break_the_summary(cases: list[Case]) -> None:
    found = score(cases[0])
    empty = type(found.agreement)(0.0, 0.0, float("inf"), -100.0)
    lost = type(found)(**{**vars(found), "agreement": empty})
    assert "inf" in summary([lost, found, found])


@pytest.mark.slow
def test_side_by_side_gives_to_the_digit_what_one_by_one_gives(cases: list[Case]) -> None:
    """With a real network, small and with made-up weights: what it finds means nothing, but every digit is computed."""
    task = Task(PromptKind.parse("keyslices:3"), jitter=2, seed=5, choice=ModelChoice("medsam"))
    alone, together = (
        {one.case.id: one for one in evaluate.evaluate(cases, task, processes, load_small)} for processes in (1, 2)
    )
    assert sorted(alone) == sorted(together) == ["clear", "misleading"]
    for name, one in alone.items():
        other = together[name]
        assert one.slices == other.slices, "reproducible to the digit"
        assert (one.agreement, one.extent, one.timings.encoder_calls) == (
            other.agreement,
            other.extent,
            other.timings.encoder_calls,
        )
        assert len({found.predicted_iou for found in one.slices}) > 3, "the network looked at the slices"
    assert alone["clear"].slices != alone["misleading"].slices


@pytest.mark.slow
def test_what_hinders_every_case_is_said_as_it_is(cases: list[Case]) -> None:
    recorded: list[Case] = []
    task = Task(PromptKind.parse("box3d"), choice=ModelChoice("litemedsam"))
    with pytest.raises(WeightsError, match="^the weights of litemedsam do not match their checksum$"):
        list(evaluate.evaluate(cases, task, 2, load_missing, lambda case, _: recorded.append(case)))
    assert recorded == [], "no case is to blame"


@pytest.mark.slow
def test_a_case_that_ends_its_process_does_not_take_the_others_along(cases: list[Case]) -> None:
    recorded: dict[str, MedSAMError] = {}
    task = Task(PromptKind.parse("box3d"))
    clear, misleading = cases
    found = evaluate.evaluate(
        [misleading, clear], task, 1, load_crashing, lambda case, error: recorded.update({case.id: error})
    )
    assert [one.case.id for one in found] == ["clear"]
    assert list(recorded) == ["misleading"]
    assert "case misleading: the process that evaluated it died" in str(recorded["misleading"])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.slow
def test_nothing_goes_on_when_the_command_is_killed(cases: list[Case], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    table = cases[0].image.parent / "cases.csv"
    code = (
        "from support.failing_models import load_never\n"
        "from MedSAMSlicerLib.evaluation import cases, evaluate, evaluate_case, simulated_prompts\n"
        "if __name__ == '__main__':\n"
        "    task = evaluate_case.Task(simulated_prompts.PromptKind.parse('box3d'))\n"
        f"    list(evaluate.evaluate(cases.read_cases({str(table)!r}), task, 2, load_never))\n"
    )
    script = tmp_path / "killed.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), NOTES: str(notes)}
    command = subprocess.Popen([sys.executable, str(script)], env=environment)
    try:
        _wait_until(lambda: len(list(notes.iterdir())) == 2)
    finally:
        command.kill()
        command.wait()
    _wait_until(lambda: not any(_runs(int(note.name)) for note in notes.iterdir()))


def _wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_plots_are_written(cases: list[Case], tmp_path: Path) -> None:
    scores = [score(case) for case in cases]
    writers = plot_writers(scores)
    assert tuple(writers) == PLOTS
    for name, write in writers.items():
        write(path := tmp_path / name)
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000
    assert poor_slice_auc([score(cases[0], "keyslices:all")]) is None, "no poor slice, nothing to find"


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 1], ids=["nothing else", "beside another"])
def test_an_empty_result_is_drawn_as_such(cases: list[Case], tmp_path: Path, kept: int) -> None:
    """One of its kind that found nothing: infinitely far from the truth, and no reason to lose the tables."""
    found = score(cases[0])
    lost = dataclasses.replace(found, agreement=Agreement(0.0, 0.0, float("inf"), -100.0), slices=[])
    lost = dataclasses.replace(lost, case=dataclasses.replace(found.case, modality="PET"))
    for name, write in plot_writers([lost] + [found] * kept).items():
        write(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("good", "poor", "area"),
    [
        ([0.9, 0.8], [0.7, 0.1, 0.2], 1.0),
        ([0.1, 0.2], [0.7, 0.9], 0.0),
        ([0.9, 0.3], [0.5, 0.2], 0.75),
        ([0.9, 0.5], [0.5, 0.5], 0.75),
        ([0.4, 0.4], [0.4], 0.5),
        ([0.4], [], None),
        ([], [0.4], None),
    ],
)
def test_the_area_is_the_share_of_pairs_in_which_the_poor_slice_has_less_confidence(
    cases: list[Case], good: list[float], poor: list[float], area: float | None
) -> None:
    """A tie is half a pair; slices count together whichever case they are of."""

    def slices(dsc: float, confidences: list[float]) -> list[SliceScore]:
        return [SliceScore(n, dsc, 0.5, one, False, False, True) for n, one in enumerate(confidences)]

    # Empty in truth and result alike: nothing to be sure of.
    nothing = [SliceScore(n, 1.0, 0.5, one, False, False, False) for n, one in enumerate((0.0, 1.0))]
    found = score(cases[0])
    scores = [
        dataclasses.replace(found, slices=slices(POOR_SLICE_DSC, good) + nothing),
        dataclasses.replace(found, slices=slices(POOR_SLICE_DSC - 0.001, poor)),
    ]
    assert poor_slice_auc(scores) == (None if area is None else pytest.approx(area))
