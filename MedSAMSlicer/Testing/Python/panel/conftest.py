"""The module's panel in a running application that keeps settings and weights in folders of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slicer

from host.fixture import host  # noqa: F401 - a fixture
from MedSAMSlicerLib.panel.setup import packages

MODULE = Path(__file__).resolve().parents[3] / "MedSAMSlicer.py"
EVERYTHING = {
    "torch": "2.12.0",
    "torchvision": "0.27.0",
    "cachetools": "6.0",
    "contourpy": "1.3",
    "highdicom": "0.28.2",
    "openvino": "2026.4.1",
    "platformdirs": "4.3",
    "pooch": "1.9",
    "safetensors": "0.8",
    "segment-anything": "1.0",
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Installed packages and their versions; initially all that the panel knows."""
    versions = dict(EVERYTHING)
    monkeypatch.setattr(packages, "installed_version", versions.get)
    return versions


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for models. Changes of the environment are undone."""
    for name in ("MEDSAM_SLICER_WEIGHTS", "MEDSAM_SLICER_EMBEDDINGS_MB"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    return tmp_path / "cache"


@pytest.fixture
def no_weights_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package that carries the LiteMedSAM weights were not installed."""
    from MedSAMSlicerLib.engine.models import weights

    monkeypatch.setattr(weights, "_in_installed_package", lambda spec: None)


@pytest.fixture
def widget(host: Any, cache: Path, installed: dict[str, str]) -> Iterator[Any]:  # noqa: F811
    """The module's widget when the user has just opened the module for the first time."""
    host.load_module(MODULE)
    host.complete_startup()
    widget = slicer.modules.medsamslicer.widgetRepresentation().self()
    yield widget
    widget.cleanup()


@pytest.fixture
def ui(widget: Any) -> Any:
    """The panel's widgets by name."""
    return slicer.util.childWidgetVariables(widget.uiWidget)
