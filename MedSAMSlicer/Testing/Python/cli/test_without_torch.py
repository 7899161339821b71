"""The default model needs no PyTorch; what needs it says so in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.environment import child_environment

pytestmark = pytest.mark.slow

pytest.importorskip("openvino", reason="needs openvino")

# None in sys.modules makes every import of that name fail.
RUN = """
import sys

sys.modules.update(dict.fromkeys(("torch", "torchvision", "segment_anything")))
from MedSAMSlicerLib.cli.main import main

sys.exit(main(sys.argv[1:]))
"""
NEEDS_TORCH = "needs PyTorch, which is not installed: 'pip install torch segment-anything'\n"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    return subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)


def test_an_object_is_segmented(phantom: Any, image_file: Path, tmp_path: Path, litemedsam_weights: Path) -> None:
    output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
    finished = run(
        *("segment", image_file, "--output", output, "--report", report, "--window", "350,400"),
        *("--box", 18, 42, 19, 49, 1, 5),
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert phantom.dice(sitk.GetArrayFromImage(sitk.ReadImage(str(output))) > 0) > 0.9
    described = json.loads(report.read_text())
    assert (described["runtime"], described["device"], described["notes"]) == ("openvino", "cpu", [])


@pytest.mark.parametrize(
    ("options", "what"), [(["--runtime", "torch"], "runtime 'torch'"), (["--device", "cuda"], "device 'cuda'")]
)
def test_what_needs_it_says_so(image_file: Path, tmp_path: Path, options: list[str], what: str) -> None:
    finished = run(*("segment", image_file, "--output", tmp_path / "out.nrrd", "--box", 18, 42, 19, 49, 1, 5, *options))
    assert finished.returncode == 2 and finished.stderr.endswith(f"{what} {NEEDS_TORCH}")
    assert not (tmp_path / "out.nrrd").exists()


def test_weights_of_ones_own_need_it_too(litemedsam_weights: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(litemedsam_weights.read_bytes() + b"trained further")
    finished = run("models", "import", mine, "--as", "litemedsam", "--own")
    assert finished.returncode == 2 and NEEDS_TORCH in finished.stderr
    finished = run("models", "import", mine, "--as", "litemedsam")
    assert finished.returncode == 3 and "is not the weights file of LiteMedSAM: its sha256 is" in finished.stderr
