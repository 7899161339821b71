"""The benchmark of clicks clicks where a user would, and its scores are those of the corrected masks."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.inference import point_corrections
from support.shapes import ellipsoid
from support.threshold_model import load_threshold_model, threshold_predictor

# The model finds what is bright: all of the object but a part, and beside it something else.
TRUTH = ellipsoid((8, 50, 60), (3.5, 25, 26), (4, 12, 14))
BRIGHT = (TRUTH & (np.arange(60) < 34)) | ellipsoid((8, 50, 60), (3.5, 25, 4), (4, 6, 4))


@pytest.fixture
def bench(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    module = importlib.import_module("bench_clicks")
    monkeypatch.setattr(
        module, "load_predictor", lambda choice: (threshold_predictor(), load_threshold_model(choice)[1])
    )
    # The benchmark changes it.
    monkeypatch.setattr(point_corrections, "REACH", point_corrections.REACH)
    return module


def test_the_click_lies_in_the_middle_of_the_larger_error(bench: Any) -> None:
    x, y, positive = bench.next_click(BRIGHT[3], TRUTH[3])
    assert not positive and BRIGHT[3, int(y), int(x)] and x < 10
    x, y, positive = bench.next_click(BRIGHT[3] & TRUTH[3], TRUTH[3])
    assert positive and TRUTH[3, int(y), int(x)] and x > 33
    assert bench.next_click(TRUTH[3], TRUTH[3]) is None


def test_each_click_is_scored(bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, voxels in (("image", np.where(BRIGHT, 200, 50)), ("label", TRUTH)):
        image = sitk.GetImageFromArray(voxels.astype(np.int16))
        image.SetSpacing((1, 1, 3))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    (tmp_path / "cases.csv").write_text(
        'id,modality,image,label,value,axis,window\none,MR,image.nrrd,label.nrrd,1,K,"127.5,255"\n'
    )
    assert bench.main([str(tmp_path / "cases.csv"), "--clicks", "2", "--reach", "0.2", "0.9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    scores = [[float(one) for one in line.partition(": ")[2].split()] for line in lines[:4]]
    assert [line.partition(": ")[0] for line in lines[:2]] == ["one slice 2 reach 0.2", "one slice 2 reach 0.9"]
    for narrow, wide in (scores[:2], scores[2:]):
        assert 0 < narrow[0] < narrow[1] < narrow[2] < 1
        assert narrow[0] == wide[0] and narrow[2] != wide[2]
    assert len(lines) == 4 + 2 * 3 and lines[4].startswith("reach 0.2, 0 clicks, 2 slices: mean 0.")
