"""`medsam-slicer evaluate` as a department runs it, on one small case."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.cli import main
from support.shapes import ellipsoid


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


def test_a_case_is_scored_and_shown(
    table: Path, tmp_path: Path, litemedsam_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plots = tmp_path / "plots"
    plots.mkdir()
    results, slices = tmp_path / "results.csv", tmp_path / "slices.csv"
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(results), "--slices", str(slices)]
    assert main([*arguments, "--plots", str(plots), "--processes", "1"]) == 0
    (row,) = csv.DictReader(results.open())
    assert float(row["dsc"]) > 0.9 and row["method"] == "ours" and row["slices"] == "4"
    assert len(list(csv.DictReader(slices.open()))) == 4
    assert sorted(path.name for path in plots.iterdir()) == ["agreement.png", "confidence.png"]
    assert "CT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--prompt", "scribble"], "keyslices:all"),
        (["--method", "theirs"], "ours or reference"),
        (["--jitter", "-1"], "must not be negative"),
        (["--processes", "0"], "give 1 or more"),
        (["--plots", "nowhere"], "is not a folder"),
        (["--output", "results.txt"], "ending"),
        (["--model", "unet"], "is unknown"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    table: Path, tmp_path: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(table), "--prompt", "box3d", "--output", str(tmp_path / "results.csv")]
    assert main([*arguments, *changes]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not (tmp_path / "results.csv").exists()
