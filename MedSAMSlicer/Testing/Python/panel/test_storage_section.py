"""The folder for models and the size of the cache, which child processes read from the environment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from MedSAMSlicerLib.engine.environment import (
    CACHE_VARIABLE,
    DEFAULT_EMBEDDINGS_MB,
    WEIGHTS_VARIABLE,
    embeddings_megabytes,
)
from support.panel_views import rows_of


def choose_folder(ui: Any, folder: Path | str) -> None:
    ui.weightsFolderButton.directory = str(folder)


def test_a_chosen_folder_applies_to_the_panel_and_to_processes(
    litemedsam_weights: Path, no_weights_package: None, host: Any, widget: Any, ui: Any, tmp_path: Path
) -> None:
    drive = tmp_path / "lab drive"
    drive.mkdir()
    shutil.copyfile(litemedsam_weights, drive / "lite_medsam.pth")
    assert ui.modelsSection.text == "2. Models (none installed)"
    choose_folder(ui, drive)
    assert host.settings["MedSAMSlicer/WeightsFolder"] == str(drive)
    assert os.environ[CACHE_VARIABLE] == os.environ[WEIGHTS_VARIABLE] == str(drive)
    assert rows_of(ui.modelsTable)[0][1] == "not verified"
    assert "previous folder" in ui.storageMessage.text
    widget.enter()
    host.wait_until(lambda: not widget.panel.models.busy, seconds=60)
    assert rows_of(ui.modelsTable)[0][1] == "installed", "the process looked there, too"


def test_the_default_folder_can_be_restored(host: Any, ui: Any, cache: Path, tmp_path: Path) -> None:
    assert not ui.defaultFolderButton.enabled
    choose_folder(ui, tmp_path)
    host.user.click(ui.defaultFolderButton)
    assert os.environ[CACHE_VARIABLE] == str(cache)
    assert not os.environ.get(WEIGHTS_VARIABLE)
    assert ui.weightsFolderButton.directory == str(cache / "weights")
    assert not ui.defaultFolderButton.enabled


def test_a_chosen_folder_survives_a_restart_of_slicer(host: Any, ui: Any, tmp_path: Path, monkeypatch: Any) -> None:
    choose_folder(ui, tmp_path)
    for name in (CACHE_VARIABLE, WEIGHTS_VARIABLE):
        monkeypatch.setenv(name, "")
    host.complete_startup()
    assert os.environ[CACHE_VARIABLE] == str(tmp_path)


def test_the_folder_is_shown_in_the_file_browser(host: Any, ui: Any, cache: Path) -> None:
    host.user.click(ui.openFolderButton)
    assert (cache / "weights").is_dir(), "a folder that is not there cannot be shown"
    assert len(host.opened) == 1 and host.opened[0].endswith("/cache/weights")


@pytest.mark.parametrize(("megabytes", "hint"), [(1024, "about 256 slices"), (0, "No slices are cached")])
def test_the_cache_size_is_shown_and_passed_to_processes(ui: Any, host: Any, megabytes: int, hint: str) -> None:
    ui.memorySpinBox.value = megabytes
    assert host.settings["MedSAMSlicer/EncodedSlicesMB"] == megabytes
    assert embeddings_megabytes() == megabytes
    assert hint in ui.memoryHint.text


def test_invalid_settings_are_ignored(host: Any, widget: Any) -> None:
    from MedSAMSlicerLib.panel import settings

    host.settings["MedSAMSlicer/EncodedSlicesMB"] = "plenty"
    host.settings["MedSAMSlicer/VerifiedWeights"] = "[1, 2"
    settings.apply()
    assert embeddings_megabytes() == DEFAULT_EMBEDDINGS_MB
    assert dict(settings.VerifiedWeights()) == {}


def test_the_clear_button_says_whether_anything_was_kept(host: Any, ui: Any) -> None:
    from MedSAMSlicerLib.panel.setup import embedding_caches

    class Owner:
        process = False

        def clear_embedding_cache(self) -> bool:
            existed, self.process = self.process, False
            return existed

    owner = Owner()
    embedding_caches.register(owner)
    host.user.click(ui.clearCacheButton)
    assert "already empty" in ui.storageMessage.text, "no process was started"
    owner.process = True
    host.user.click(ui.clearCacheButton)
    assert not owner.process and "is cleared" in ui.storageMessage.text
