"""Every snippet of docs/api.md that needs no Slicer runs, in the order of the page, with the real LiteMedSAM weights."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.serving import service
from support.component_model import load_component_model
from support.patient_series import write_patient_series

_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_SLICER = "slicer."


def snippets(page: str) -> list[str]:
    """The code blocks of a page, but for those that only Slicer can run."""
    return [code for code in _SNIPPET.findall(page) if _IN_SLICER not in code]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an image of a cylinder in the box, and an ROI around it.

    Its slices are alike but for those beyond the cylinder: embeddings are found by content, so few are encoded.
    """
    j, i = np.ogrid[:512, :512]
    one = np.random.default_rng(0).normal(-800, 30, (512, 512))
    voxels = np.repeat(one[None], 30, axis=0)
    voxels[15:26][:, ((i - 361) / 40) ** 2 + ((j - 365) / 30) ** 2 <= 1] = 30
    image = sitk.GetImageFromArray(voxels.astype(np.int16))
    image.SetSpacing((0.8, 0.8, 3.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    write_patient_series(tmp_path / "ct", voxels.astype(np.int16), spacing=(0.8, 0.8, 3.0), origin=(0, 0, 0))
    center = np.multiply([361, 365, 20], (0.8, 0.8, 3.0)).tolist()
    markup = {"type": "ROI", "coordinateSystem": "LPS", "center": center, "size": [75.0, 60.0, 34.0]}
    markup["orientation"] = [0.96, -0.28, 0, 0.28, 0.96, 0, 0, 0, 1]
    (tmp_path / "ROI.mrk.json").write_text(json.dumps({"markups": [markup]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_snippets_run(
    repository: Path,
    files: Path,
    litemedsam_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: list[Any] = []

    def load(choice: ModelChoice, cache: Any = None) -> Any:
        """PyTorch starts faster than OpenVINO; for SAM-Med2D, whose weights are not installed, another model stands in.

        All snippets share one LiteMedSAM and its embeddings.
        """
        if choice.model == "sam_med2d":
            return load_component_model(choice, cache)
        if not loaded:
            loaded.append(load_predictor(replace(choice, device="cpu", runtime="torch")))
        return loaded[0]

    monkeypatch.setattr(service, "load_predictor", load)
    found = snippets((repository / "docs" / "api.md").read_text(encoding="utf-8"))
    assert len(found) >= 8
    namespace: dict[str, Any] = {}
    for code in found:
        exec(compile(code, "docs/api.md", "exec"), namespace)  # noqa: S102

    written = sitk.GetArrayFromImage(sitk.ReadImage(str(files / "tumour.seg.nrrd"))) > 0
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(files / "ct.nrrd"))) == 30
    assert written.any() and (written & truth).sum() > 0.95 * written.sum()
    assert namespace["second"].mask.any()
    printed = capsys.readouterr().out
    assert "K = 15 to 2500 lies outside the volume" in printed


def test_the_readme_shows_a_snippet_of_the_page(repository: Path) -> None:
    shown = _SNIPPET.findall((repository / "README.md").read_text(encoding="utf-8"))
    tested = _SNIPPET.findall((repository / "docs" / "api.md").read_text(encoding="utf-8"))
    assert shown and set(shown) <= set(tested)
