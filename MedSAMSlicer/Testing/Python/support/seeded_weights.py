"""Pseudo-random weights with fixed seeds, for models whose real weights are not available everywhere.

The rule is that of the reference data: each tensor is drawn from a generator seeded with the CRC-32 of its name.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from torch import nn

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.models.family import Family
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime

UNSCALED = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"


def fill_with_seeded_weights(network: nn.Module) -> None:
    """Replace every floating-point tensor of the network's state by the one that the rule gives."""
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            state[name] = torch.from_numpy(_values(name, tuple(tensor.shape)))
    network.load_state_dict(state)


def seeded_predictor(folder: Path, key: str, family: Family, prompts: Collection[str]) -> Predictor:
    """A predictor of the family with the weights of the reference data in `folder`, names and values checked.

    Args:
        key: how the reference files of the model begin.
        prompts: kinds that the predictor takes.
    """
    network = family.build_network()
    fill_with_seeded_weights(network)
    ours = network.state_dict()
    theirs = json.loads((folder / f"{key}__state_dict.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == {name: shape for name, shape, _ in theirs}
    checksums = json.loads((folder / f"{key}__weights_crc32.json").read_text())
    assert all(zlib.crc32(ours[name].contiguous().numpy().tobytes()) == checksum for name, checksum in checksums)
    return Predictor(family, TorchRuntime(network, "cpu"), f"rule-filled {key}", prompts=prompts)


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    values = generator.standard_normal(size=shape, dtype=np.float32)
    if name == UNSCALED:
        return values
    values *= np.float32(0.02)
    if len(shape) == 1 and name.endswith("weight"):
        values += np.float32(1)
    elif name.endswith("running_var"):
        values = np.abs(values) + np.float32(1)
    return values
