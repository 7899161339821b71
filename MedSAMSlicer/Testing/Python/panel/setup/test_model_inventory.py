"""The list of models shows the known state of each weights file."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import Any

import pytest

from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.engine.errors import MedSAMError
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.panel.setup.model_inventory import (
    Model,
    ModelInventory,
    Presence,
    WeightsSource,
    folder_for_weights,
    format_bytes,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path))
    monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", "")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "medsam_vit_b.pth"
    path.write_bytes(b"0123456789")
    return path


def medsam(inventory: ModelInventory) -> Model:
    return next(model for model in inventory.models() if model.spec.key == "medsam")


def verified(path: Path) -> dict[str, Any]:
    return {"kind": "verified", "model": "medsam", "path": str(path), "sha256": "0" * 64}


def test_all_models_of_the_catalogue_are_listed_with_size_and_source(folder: Path) -> None:
    models = {model.spec.key: model for model in ModelInventory({}).models()}
    assert list(models) == list(CATALOGUE)
    assert models[DEFAULT_MODEL].is_default and models[DEFAULT_MODEL].weights_source is WeightsSource.PACKAGE
    assert models["medsam"].weights_source is WeightsSource.DOWNLOAD
    assert models["sam_med2d"].weights_source is WeightsSource.FILE_ONLY
    assert models["medsam"].presence is Presence.MISSING and not models["medsam"].usable
    # The published file of MedSAM has about 375 MB.
    assert format_bytes(models["medsam"].size) == "375 MB"


def test_a_file_is_found_then_verified_and_stays_verified_after_a_restart(file: Path) -> None:
    verified_before: dict[str, str] = {}
    inventory = ModelInventory(verified_before)
    assert medsam(inventory).presence is Presence.FOUND and medsam(inventory).size == 10
    inventory.update(verified(file))
    assert medsam(inventory).presence is Presence.VERIFIED
    assert medsam(ModelInventory(verified_before)).presence is Presence.VERIFIED


def test_a_changed_file_has_to_be_verified_again(file: Path) -> None:
    inventory = ModelInventory({})
    inventory.update(verified(file))
    file.write_bytes(b"0123456780")
    os.utime(file, ns=(1, 1))
    assert medsam(inventory).presence is Presence.FOUND


def test_a_wrong_file_is_not_usable_until_it_is_replaced(file: Path) -> None:
    verified_before: dict[str, str] = {}
    inventory = ModelInventory(verified_before)
    inventory.update(verified(file))
    inventory.update({"kind": "wrong", "model": "medsam", "path": str(file), "message": "its md5 is another"})
    assert medsam(inventory).presence is Presence.WRONG and not medsam(inventory).usable
    assert medsam(inventory).message == "its md5 is another"
    assert verified_before == {}
    file.write_bytes(b"the right one")
    assert medsam(inventory).presence is Presence.FOUND


def test_lines_of_other_kinds_and_of_unknown_models_change_nothing(file: Path) -> None:
    verified_before: dict[str, str] = {}
    inventory = ModelInventory(verified_before)
    for line in ({"kind": "progress", "done": 1}, {**verified(file), "model": "unknown"}, {"kind": "verified"}):
        inventory.update(line)
    assert verified_before == {} and medsam(inventory).presence is Presence.FOUND


def test_without_packages_the_error_asks_to_install_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_platformdirs(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "platformdirs":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_platformdirs)
    with pytest.raises(MedSAMError, match="install the packages first"):
        ModelInventory({}).models()
    with pytest.raises(MedSAMError, match="install the packages first"):
        folder_for_weights()


@pytest.mark.parametrize(
    ("count", "text"), [(10, "1 MB"), (39_370_479, "39 MB"), (375_000_000, "375 MB"), (2_564_550_879, "2.6 GB")]
)
def test_sizes_are_formatted(count: int, text: str) -> None:
    assert format_bytes(count) == text
