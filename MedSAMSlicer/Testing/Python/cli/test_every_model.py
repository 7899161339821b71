"""`medsam-slicer segment` with every family: its prompts, the volume's own geometry, refusals by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from support.every_family import ONE_OF_EACH_FAMILY

SLICES, ROWS, COLUMNS = 5, 40, 52
TURNED = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    voxels = np.random.default_rng(3).integers(0, 200, (SLICES, ROWS, COLUMNS)).astype(np.int16)
    voxels[:, 12:30, 14:38] += 300
    return written(tmp_path / "scan.nrrd", voxels)


def written(path: Path, voxels: np.ndarray) -> Path:
    """In a geometry that is turned about the third axis."""
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.8, 1.3, 3.0))
    image.SetOrigin((-12.0, 30.5, 7.0))
    image.SetDirection(TURNED)
    sitk.WriteImage(image, str(path))
    return path


@ONE_OF_EACH_FAMILY
def test_a_volume_is_segmented_with_what_the_model_takes(
    key: str, scan: Path, tmp_path: Path, medsam_slicer: Callable[..., Any], small_choice: Callable[[str], ModelChoice]
) -> None:
    weights = small_choice(key).weights
    output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
    guess = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    guess[2, 15:25, 20:30] = 1
    mask = written(tmp_path / "guess.nrrd", guess)
    prompts: dict[str, list[object]] = {
        "box": ["--box", 12, 40, 8, 32, 0, 4],
        "points": ["--slice", 2, "--point", "26,20,+", "--point", "4,4.5,-"],
        "mask": ["--slice", 2, "--mask", mask],
    }
    for kind, prompt in prompts.items():
        ran = medsam_slicer(
            *("segment", scan, "--output", output, "--report", report, "--model", key, "--weights", weights),
            *("--runtime", "torch", "--window", "0,500", "--axis", "K", "--quiet", *prompt),
        )
        if kind not in CATALOGUE[key].prompts:
            assert ran.status == 2 and f"{CATALOGUE[key].title} was not trained for {kind}" in ran.err
            assert not output.exists()
            continue
        assert ran.status == 0, ran.err
        label, image = sitk.ReadImage(str(output)), sitk.ReadImage(str(scan))
        assert label.GetSize() == image.GetSize()
        for of in ("GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(label, of)() == pytest.approx(getattr(image, of)(), abs=1e-9)
        recorded = json.loads(report.read_text(encoding="utf-8"))
        assert recorded["model"] == key
        if kind == "box":
            outside = sitk.GetArrayFromImage(label) > 0
            outside[:, 8:33, 12:41] = False
            assert not outside.any()
        output.unlink()
