"""The .ui files can be loaded, and their custom widgets exist in Slicer or CTK."""

from __future__ import annotations

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"


def ui_files() -> list[Path]:
    return sorted((Path(__file__).resolve().parents[3] / "Resources" / "UI").glob("*.ui"))


@pytest.mark.parametrize("file", ui_files(), ids=lambda path: path.name)
def test_it_can_be_rendered_and_its_custom_widgets_exist(file: Path, repository: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("PySide6") is None:
        pytest.skip("needs PySide6: pip install PySide6-Essentials")
    picture = tmp_path / "panel.png"
    command = [sys.executable, "tools/render_ui.py", str(file), "--output", str(picture), "--width", "420"]
    finished = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    if "libEGL" in finished.stderr or "libGL" in finished.stderr:
        pytest.skip(f"Qt lacks a library of the system: {finished.stderr.splitlines()[-1]}")
    assert finished.returncode == 0, finished.stderr
    height, width = matplotlib.image.imread(picture).shape[:2]
    assert width == 420, "it fits Slicer's narrow column"
    assert height > 100
    with gzip.open(DATA / "slicer_api.json.gz") as listed:
        known = json.load(listed)["qt"]
    _, _, framed = finished.stdout.strip().partition("; drawn as frames: ")
    assert [name for name in framed.split(", ") if name and name not in known] == []
