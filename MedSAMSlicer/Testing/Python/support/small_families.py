"""Every family of the catalogue as small as it can be, with weights made by a rule.

The families' own code runs: the same classes with narrower and shallower encoders at a smaller input, the real prompt
encoder and decoder; the encoders of LiteMedSAM and MobileSAM at a smaller input. What they find means nothing, but every
way through them is taken.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from MedSAMSlicerLib.engine.models import catalogue, litemedsam, medsam, mobile_sam, sam, sam_med2d
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, ModelSpec
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import Family
from MedSAMSlicerLib.engine.models.network import PromptableNetwork
from MedSAMSlicerLib.engine.models.vit import VIT_B, VIT_H, VIT_L, VitSize
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from support.seeded_weights import fill_with_seeded_weights

SIDE = 128


def small(size: VitSize) -> VitSize:
    """A sixteenth of the width, a third or less of the depth, and both kinds of attention."""
    return VitSize(size.width // 16, 4, size.heads // 4, (1, 3))


SMALL_FAMILIES: dict[str, Family] = {
    "litemedsam": litemedsam.LiteMedSAM(SIDE // 2),
    "medsam": medsam.MedSAM(small(VIT_B), SIDE),
    "mobile_sam": mobile_sam.MobileSAM(SIDE),
    "sam_vit_b": sam.Sam(small(VIT_B), SIDE),
    "sam_vit_l": sam.Sam(small(VIT_L), SIDE),
    "sam_vit_h": sam.Sam(small(VIT_H), SIDE),
    "sam_med2d": sam_med2d.SamMed2D(small(VIT_B), SIDE),
}


def write_small_weights(key: str, folder: Path) -> Path:
    """The state dictionary of a small family, filled by the rule, as a file that torch has written."""
    network = SMALL_FAMILIES[key].build_network()
    fill_with_seeded_weights(network)
    path = folder / f"{key}.pth"
    torch.save(network.state_dict(), path)
    return path


@cache
def shapes(key: str) -> Mapping[str, tuple[int, ...]]:
    """Of every entry of a small family's state dictionary."""
    state = SMALL_FAMILIES[key].build_network().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


@cache
def checksum(path: Path) -> str:
    """SHA-256 of a file that does not change."""
    return sha256(path.read_bytes()).hexdigest()


_build = NetworkFile.build
_built: dict[tuple[str, Path], PromptableNetwork] = {}


def use_small_families(monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]) -> None:
    """Have the catalogue load the small families and know them by their marks.

    Args:
        files: weights of some of them, whose checksums are known then. Files that do not change, and are run on the
            processor in float32: the network of each is built once in this process.
    """
    shared = set(files.values())

    def build_once(file: NetworkFile) -> PromptableNetwork:
        if file.path not in shared or file.adapter is not None:
            return _build(file)
        name = (file.spec.key, file.path)
        if name not in _built:
            _built[name] = _build(file)
        return _built[name]

    monkeypatch.setattr(ModelSpec, "load_family", lambda spec: SMALL_FAMILIES[spec.base_spec.key])
    monkeypatch.setattr(NetworkFile, "build", build_once)
    # Another process would know nothing of them.
    if importlib.util.find_spec("openvino"):
        monkeypatch.setattr("MedSAMSlicerLib.engine.runtimes.openvino_models.convert_in_process", _convert_here)
    for key in SMALL_FAMILIES:
        spec = CATALOGUE[key]
        spec = replace(spec, marks={name: shapes(key)[name] for name in spec.marks})
        if key in files:
            spec = replace(spec, weights=replace(spec.weights, sha256=checksum(files[key]), md5=None))
        monkeypatch.setitem(catalogue.CATALOGUE, key, spec)


def _convert_here(file: NetworkFile, folder: Path) -> None:
    from MedSAMSlicerLib.engine.jobs.convert_openvino import convert

    convert(file.build(), file.family.input_size, folder)


WEIGHTS_FOLDER = "SMALL_FAMILIES_WEIGHTS"


def small_service() -> SegmentationService:
    """The engine with the small families, for inference processes: weights are in ``$SMALL_FAMILIES_WEIGHTS``.

    Not for the process of the tests: there the catalogue would stay as it is changed here.
    """
    files = {path.stem: path for path in Path(os.environ[WEIGHTS_FOLDER]).glob("*.pth")}
    use_small_families(pytest.MonkeyPatch(), files)
    return SegmentationService()
