"""LiteMedSAM with the smallest of encoders and weights made by a rule, and a table of cases of three patients."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, WEIGHTS_VARIABLE
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.litemedsam import PIXELS_PER_TOKEN, LiteMedSAM
from MedSAMSlicerLib.engine.models.network import PromptableNetwork
from MedSAMSlicerLib.evaluation.cases import Case, read_cases
from support.seeded_weights import fill_with_seeded_weights
from support.shapes import ellipsoid

PATIENTS = ("anna", "bert", "carl")


SIDE = 32


class PatchEncoder(nn.Module):
    """One convolution in place of the encoder, a token for each 4 x 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 256, PIXELS_PER_TOKEN, stride=PIXELS_PER_TOKEN)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.patches(image)


class SmallLiteMedSAM(LiteMedSAM):
    """LiteMedSAM's prompts, masks and decoder."""

    def __init__(self) -> None:
        super().__init__(SIDE)

    def build_network(self) -> PromptableNetwork:
        return PromptableNetwork(PatchEncoder(), SIDE, SIDE // PIXELS_PER_TOKEN, encodes_parts=True)

    def fold(self, network: PromptableNetwork) -> None:
        """There is nothing to fold."""


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = SmallLiteMedSAM().build_network()
    fill_with_seeded_weights(network)
    path = tmp_path_factory.mktemp("small") / "lite_medsam.pth"
    torch.save(network.state_dict(), path)
    return path


def arrays_of(network: NetworkFile) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.build().state_dict().items()}


@pytest.fixture
def small_model(tmp_path: Path, small_file: Path, monkeypatch: pytest.MonkeyPatch) -> ModelChoice:
    """LiteMedSAM in the catalogue is the small one; with PyTorch, which takes it at any size."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    base = CATALOGUE["litemedsam"]
    sha256 = hashlib.sha256(small_file.read_bytes()).hexdigest()
    monkeypatch.setitem(CATALOGUE, "litemedsam", replace(base, weights=replace(base.weights, sha256=sha256)))
    monkeypatch.setattr("MedSAMSlicerLib.engine.models.litemedsam.FAMILY", SmallLiteMedSAM())
    # The table of tensors is that of the real network, whose encoder is larger.
    monkeypatch.setattr("MedSAMSlicerLib.learning.adapt.read_arrays", arrays_of)
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    os.link(small_file, tmp_path / "cache" / "weights" / "lite_medsam.pth")
    return ModelChoice("litemedsam", device="cpu", runtime="torch")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Cases of three patients, one with two images: a bright ellipsoid through four slices."""
    lines = ["id,modality,image,label,value,axis,window"]
    names = [f"{patient}_ct" for patient in PATIENTS] + ["anna_mr"]
    for number, name in enumerate(names):
        truth = ellipsoid((4, 40, 48), (1.5, 18.0 + number, 24.0), (2.2, 9.0, 11.0 + number))
        noise = np.random.default_rng(number).normal(0, 6, truth.shape)
        voxels = (np.where(truth, 180, 70) + noise).astype(np.int16)
        for kind, array in (("image", voxels), ("label", truth.astype(np.uint8))):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((1.0, 1.0, 5.0))
            sitk.WriteImage(image, str(tmp_path / f"{name}_{kind}.nrrd"))
        lines.append(f'{name},{name[-2:].upper()},{name}_image.nrrd,{name}_label.nrrd,1,K,"127,255"')
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def cases(table: Path) -> list[Case]:
    return read_cases(table)


@pytest.fixture
def case() -> Callable[..., Case]:
    """A case of a patient, whose files are not read."""

    def make(name: str, patient: str = "", modality: str = "CT", structure: str = "1") -> Case:
        return Case(name, modality, Path("i"), Path("l"), "1", "", "auto", patient or name, structure)

    return make
