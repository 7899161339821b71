"""What the user sees, in a real Qt: the effect's options and the module's panel in a narrow column, light and dark."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

pytestmark = pytest.mark.slow

NARROW, IN_1500_BY_900 = "420", "467"
EFFECT_WIDTH = 290
ROOM_IN_1500_BY_900 = 214
"""Pixels from the top of the help text to the end of the module panel, with the Data Probe below it (Slicer 5.13)."""
GAP = 6
EFFECT = ("nothing", "idle", "running", "result", "again", "problem", "open")
PANEL = ("first", "ready", "failed")
NAMES = [*(f"effect-{name}" for name in EFFECT), *(f"panel-{name}" for name in PANEL)]


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and measurements, drawn once by a process of its own."""
    try:
        for part in ("PySide6.QtUiTools", "PySide6.QtWidgets"):
            importlib.import_module(part)
    except ImportError as error:
        pytest.skip(
            f"Qt cannot be loaded ({error}): install PySide6-Essentials and the system's EGL and OpenGL libraries"
        )
    pytest.importorskip("slicer", reason="the effect needs Slicer's MRML (slicer-core)")
    made = tmp_path_factory.mktemp("look")
    finished = subprocess.run(
        [sys.executable, "-m", "real_qt.draw", str(made)],
        cwd=repository / "MedSAMSlicer" / "Testing" / "Python",
        env={**os.environ, "PYTHONPATH": str(repository / "MedSAMSlicer")},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return made


@pytest.fixture(scope="module")
def measured(folder: Path) -> Any:
    """Width of the module panel -> state -> what `real_qt.draw.measure` says."""
    return json.loads((folder / "measured.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_for_little_width_and_for_no_more_after_ten_refreshes(measured: Any, name: str) -> None:
    hints = measured[NARROW][name]["hints"]
    assert len(hints) == 10 and len(set(hints)) == 1
    assert hints[0] <= (EFFECT_WIDTH if name.startswith("effect") else int(NARROW))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [NARROW, IN_1500_BY_900])
def test_every_text_can_be_read_whole(measured: Any, name: str, width: str) -> None:
    assert measured[width][name]["cut"] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_pictures_are_light_and_dark_and_their_labels_can_be_read(measured: Any, folder: Path, name: str) -> None:
    light, dark = (matplotlib.image.imread(folder / f"{name}-{shade}.png") for shade in ("light", "dark"))
    assert light.shape == dark.shape and light.shape[1] == (EFFECT_WIDTH if name.startswith("effect") else int(NARROW))
    assert light[..., :3].mean() > 0.6 and dark[..., :3].mean() < 0.4
    assert measured[NARROW][name]["faint"] == []


def test_the_bar_of_a_run_follows_a_dark_palette(folder: Path) -> None:
    """A part of the bar that is not filled yet does not stay as bright as in a light one."""
    picture = matplotlib.image.imread(folder / "effect-running-dark.png")
    white = (picture[..., :3].min(axis=2) > 0.95).mean(axis=1)
    assert white.max() < 0.3


@pytest.mark.parametrize("name", EFFECT)
def test_what_is_needed_next_is_seen_without_scrolling(measured: Any, name: str) -> None:
    ends = measured[IN_1500_BY_900][f"effect-{name}"]["ends"]
    room = ROOM_IN_1500_BY_900 - measured[IN_1500_BY_900]["help"]["height"] - GAP
    first = [ends["runButton"], ends["cancelButton"]]
    first += [ends[part] for part in ("progressBar", "progressLabel", "stripTable") if part in ends]
    first += [ends[part] for part in ("problemLabel", "hintLabel", "nextReviewButton", "applyButton") if part in ends]
    assert max(first) <= room
    assert max(first) < ends["extentSection"], "the sections come after it"


@pytest.mark.parametrize("background", [(0xEF, 0xEF, 0xEF), (0x32, 0x32, 0x32)], ids=["light", "dark"])
def test_the_effects_icon_is_seen_on_a_light_and_on_a_dark_button(
    repository: Path, background: tuple[int, int, int]
) -> None:
    """Slicer asks for it once, so it cannot follow a change of the style."""
    pixels = matplotlib.image.imread(repository / "MedSAMSlicer" / "Resources" / "Icons" / "SegmentEditorEffect.png")
    lines = pixels[pixels[..., 3] > 0.9][:, :3]
    assert len(lines) > 100
    light, dark = np.sort(
        np.stack([luminance(lines), np.broadcast_to(luminance(np.array(background) / 255), len(lines))]), 0
    )[::-1]
    assert ((light + 0.05) / (dark + 0.05)).min() >= 3, "what WCAG 2 asks of pictures"


def luminance(colors: np.ndarray) -> np.ndarray:
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])
