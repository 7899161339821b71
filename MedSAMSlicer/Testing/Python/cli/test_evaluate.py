"""`medsam-slicer evaluate` as a department runs it, on one small case."""

from __future__ import annotations

import csv
import errno
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.cli import evaluate as evaluate_command
from MedSAMSlicerLib.cli.main import main
from MedSAMSlicerLib.evaluation.evaluate import evaluate
from MedSAMSlicerLib.evaluation.evaluate_case import run_case
from support.shapes import ellipsoid
from support.threshold_model import load_threshold_model, threshold_predictor


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lesion = ellipsoid((4, 64, 64), (1.5, 30.0, 34.0), (2.2, 14.0, 16.0))
    for name, array in (("image", np.where(lesion, 90, -100).astype(np.int16)), ("label", lesion.astype(np.uint8))):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.0, 4.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    path = tmp_path / "cases.csv"
    path.write_text('id,modality,image,label,value,axis,window\nlesion,CT,image.nrrd,label.nrrd,1,K,"0,300"\n')
    return path


@pytest.fixture
def quick(litemedsam_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes of their own, as always, but with the model that finds what is bright: seconds instead of minutes."""
    monkeypatch.setattr(evaluate_command, "evaluate", partial(evaluate, load=load_threshold_model))


@pytest.mark.usefixtures("quick")
def test_a_case_is_scored_and_shown(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plots = tmp_path / "plots"
    results, slices = tmp_path / "results.csv", tmp_path / "slices.csv"
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(results), "--slices", str(slices)]
    assert main([*arguments, "--plots", "plots", "--processes", "1"]) == 0
    (row,) = csv.DictReader(results.open())
    assert float(row["dsc"]) > 0.9 and row["method"] == "ours" and row["slices"] == "4"
    assert len(list(csv.DictReader(slices.open()))) == 4
    assert sorted(path.name for path in plots.iterdir()) == ["agreement.png", "confidence.png"]
    assert "CT" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_a_case_that_cannot_be_used_does_not_lose_the_others(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours may have passed: the others are written, and the command says what is missing and fails."""
    good = table.read_text()
    empty = 'nothing,CT,image.nrrd,label.nrrd,7,K,"0,300"\n'
    results = tmp_path / "results.csv"
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(results), "--processes", "1"]

    table.write_text(good + empty)
    assert main(arguments) == 2
    assert [row["id"] for row in csv.DictReader(results.open())] == ["lesion"]
    recorded = capsys.readouterr()
    assert "1 of 2 cases could not be used and are in no table or figure: case nothing: " in recorded.err
    assert recorded.err.count("\n") == 1 and "Written: " in recorded.out

    results.unlink()
    table.write_text(good.splitlines()[0] + "\n" + empty)
    assert main(arguments) == 2
    assert "case nothing: " in capsys.readouterr().err and not results.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--prompt", "scribble"], "keyslices:all"),
        (["--method", "theirs"], "ours or reference"),
        (["--prompt", "midslice", "--method", "reference"], "knows only 3D boxes"),
        (["--jitter", "-1"], "must not be negative"),
        (["--processes", "0"], "give 1 or more"),
        (["--plots", "nowhere/plots"], "nowhere, the folder of plots, does not exist"),
        (["--plots", __file__], "is not a folder"),
        (["--slices", "both.csv", "--plots", "./both.csv"], "--slices and --plots name the same file"),
        (["--output", "results.txt"], "ending"),
        (["--slices", "slices.txt"], "ending"),
        (["--output", "both.csv", "--slices", "./both.csv"], "--output and --slices name the same file"),
        (["--model", "unet"], "is unknown"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    table: Path, tmp_path: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(tmp_path / "results.csv")]
    assert main([*arguments, *changes]) == 2
    recorded = capsys.readouterr().err
    assert words in recorded and recorded.count("\n") == 1
    assert not (tmp_path / "results.csv").exists()


def test_an_output_in_a_folder_of_slices_that_are_read_is_refused(
    table: Path, tmp_path: Path, litemedsam_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series = tmp_path / "series"
    series.mkdir()
    table.write_text(table.read_text().replace("image.nrrd", "series"))
    for more in (
        ["--slices", str(series / "slices.csv")],
        ["--plots", str(series)],
        ["--plots", str(series / "plots")],
    ):
        arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(tmp_path / "results.csv")]
        assert main([*arguments, *more]) == 2
        assert "lies in the folder that is read" in capsys.readouterr().err


NAMES = ("results.csv", "slices.csv", "agreement.png", "confidence.png")
# Tables are stored by their writer, and as pictures are, beside their place.
STORED = ("results.csv", "results.csv", "slices.csv", "slices.csv", "agreement.png", "confidence.png")


@pytest.mark.parametrize("number", [*range(len(STORED)), None])
def test_tables_and_plots_are_written_all_or_none(
    table: Path,
    tmp_path: Path,
    litemedsam_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int | None,
) -> None:
    """A disk that is full when one of the four is stored; the model is one that finds what is bright."""
    monkeypatch.setattr(
        evaluate_command,
        "evaluate",
        lambda cases, task, _, **_options: (run_case(case, task, threshold_predictor()) for case in cases),
    )
    store, stored = os.fsync, []

    def fsync(descriptor: int) -> None:
        stored.append(descriptor)
        if number == len(stored) - 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        store(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_text("older")
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(paths[0]), "--slices", str(paths[1])]
    before = sorted(tmp_path.iterdir())
    status = main([*arguments, "--plots", str(tmp_path), "--processes", "1"])
    recorded = capsys.readouterr()
    assert sorted(tmp_path.iterdir()) == before
    if number is None:
        assert len(stored) == len(STORED)
        assert status == 0 and f"Written: {', '.join(map(str, paths))}" in recorded.out
        assert not [path for path in paths if path.read_bytes() == b"older"]
    else:
        assert status == 2 and recorded.out == ""
        assert f"{tmp_path / STORED[number]} was not written: the disk is full" in recorded.err
        assert [path.read_text() for path in paths] == ["older"] * len(paths)


def test_a_folder_that_was_made_for_plots_goes_when_nothing_is_written(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        evaluate_command,
        "evaluate",
        lambda cases, task, _, **_options: (run_case(case, task, threshold_predictor()) for case in cases),
    )
    plots, seen = tmp_path / "plots", []

    def fsync(descriptor: int) -> None:
        seen.append(plots.is_dir())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(tmp_path / "results.csv")]
    before = sorted(tmp_path.iterdir())
    assert main([*arguments, "--plots", str(plots), "--processes", "1"]) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert seen == [True] and sorted(tmp_path.iterdir()) == before
