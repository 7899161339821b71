"""Weights are read without PyTorch as it reads them, and refused as it refuses them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile, load_network
from MedSAMSlicerLib.engine.models.weight_arrays import read_arrays

SPEC = CATALOGUE["litemedsam"]
FAMILY = SPEC.load_family()


@pytest.fixture(scope="module")
def authors(litemedsam_weights: Path) -> NetworkFile:
    assert SPEC.weights.sha256 is not None
    return NetworkFile(SPEC, FAMILY, litemedsam_weights, SPEC.weights.sha256)


def own(path: Path) -> NetworkFile:
    """A file of the user's."""
    return NetworkFile(SPEC, FAMILY, path, "0" * 64)


def test_the_authors_file_is_read_as_pytorch_reads_it(authors: NetworkFile, monkeypatch: pytest.MonkeyPatch) -> None:
    known = torch.load(authors.path, weights_only=True)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("PyTorch was used"))
    found = read_arrays(authors)
    assert list(found) == list(known)
    for name, tensor in known.items():
        assert found[name].dtype == tensor.numpy().dtype and np.array_equal(found[name], tensor.numpy()), name


def test_a_checkpoint_of_the_users_is_read_in_whatever_order_it_was_written(
    authors: NetworkFile, tmp_path: Path
) -> None:
    known = torch.load(authors.path, weights_only=True)
    backwards = {name: tensor + 1 for name, tensor in reversed(known.items())}
    torch.save({"model": backwards}, tmp_path / "mine.pth")
    found = read_arrays(own(tmp_path / "mine.pth"))
    assert found.keys() == known.keys()
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in backwards.items())


def test_another_network_is_refused_in_the_words_of_pytorchs_way(authors: NetworkFile, tmp_path: Path) -> None:
    known = torch.load(authors.path, weights_only=True)
    del known["image_encoder.neck.0.weight"]
    torch.save(known, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="1 tensors are missing, unexpected or of another shape") as caught:
        read_arrays(own(tmp_path / "other.pth"))
    with pytest.raises(WeightsError) as known_error:
        load_network(SPEC, FAMILY, tmp_path / "other.pth")
    assert (str(caught.value), caught.value.brief) == (str(known_error.value), known_error.value.brief)


@pytest.mark.parametrize("kept", [0, 100, 1_000_000])
def test_a_file_that_was_cut_off_after_it_was_verified_is_refused(
    authors: NetworkFile, tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(authors.path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="is not a checkpoint of LiteMedSAM: it cannot be opened as weights"):
        read_arrays(replace(authors, path=path))
