"""The decoder that learns is the one that is used, and its changes are what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from MedSAMSlicerLib.engine.models.adapter import Adapter
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.models.litemedsam import LiteMedSAM
from MedSAMSlicerLib.engine.models.model_files import verified_files
from MedSAMSlicerLib.engine.models.weight_arrays import read_arrays
from MedSAMSlicerLib.engine.runtimes.choose import make_runtime
from MedSAMSlicerLib.learning.decoder import decode_boxes, positions
from MedSAMSlicerLib.learning.low_rank import DecoderChanges, adapter_tensors
from support.adapters import MLP, TOKENS, UPSCALING, changes, metadata
from support.seeded_weights import fill_with_seeded_weights

BOXES = np.array([[8, 16, 90, 100], [30, 30, 60, 111]], np.float32)


def test_numbers_are_those_of_the_runtime(litemedsam_weights: Path) -> None:
    network = verified_files(CATALOGUE["litemedsam"], litemedsam_weights)
    embedding = np.random.default_rng(1).normal(size=(256, 28, 28)).astype(np.float32)
    logits, ious = make_runtime("auto", "cpu", network)[0].decode(embedding, [NetworkPrompt(box) for box in BOXES])
    parameters = DecoderChanges(read_arrays(network), rank=8, seed=0).changed()
    # A runtime knows where a part of the input lies; here it is the upper left one.
    position = positions(parameters, 64)[:28, :28]
    ours, our_ious = decode_boxes(parameters, torch.from_numpy(embedding), position, torch.from_numpy(BOXES), 256)
    assert np.abs(ours.detach().numpy() - logits[:, 0]).max() < 1e-4 * np.abs(logits).max()
    assert np.abs(our_ious.detach().numpy() - ious[:, 0]).max() < 1e-4


def test_boxes_on_different_slices_give_what_each_gives_alone() -> None:
    network = LiteMedSAM(32).build_network()
    fill_with_seeded_weights(network)
    parameters = network.requires_grad_(False).state_dict()
    embeddings = torch.randn(2, 256, 8, 8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[2.0, 3.0, 20.0, 25.0], [8.0, 8.0, 15.0, 30.0]])
    position = positions(parameters, 8)
    logits, ious = decode_boxes(parameters, embeddings, position, boxes, 32)
    for n in range(2):
        alone, iou = decode_boxes(parameters, embeddings[n], position, boxes[n : n + 1], 32)
        assert torch.allclose(logits[n], alone[0], atol=1e-5) and torch.allclose(ious[n], iou[0], atol=1e-5)
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


SHAPES = {TOKENS: (1, 256), MLP: (2048, 256), UPSCALING: (256, 64, 2, 2)}


@pytest.mark.parametrize("continued", [False, True])
def test_the_file_holds_the_sum_of_what_was_learned_before_and_now(continued: bool) -> None:
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    before = changes(0.1) if continued else {}
    start = Adapter(metadata(), before, "", Path("a.medsam")).changed(arrays) if continued else arrays
    learned = DecoderChanges(start, rank=8, seed=0)
    with torch.no_grad():
        for number, parameter in enumerate(learned.parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
    state = {name: value.numpy() for name, value in learned.state_dict().items()}
    file = Adapter(metadata(), adapter_tensors(state, before), "", Path("b.medsam"))
    assert {tensor.dtype for tensor in file.tensors.values()} == {np.dtype(np.float16)}
    result, wanted = file.changed(arrays), learned.changed()
    assert result.keys() == SHAPES.keys()
    for name, array in result.items():
        assert np.abs(array - wanted[name].detach().numpy()).max() < 2e-3
        assert np.abs(array - start[name]).max() > 0.1


def test_nothing_is_changed_at_the_beginning_and_only_what_boxes_use_later(litemedsam_weights: Path) -> None:
    arrays = read_arrays(verified_files(CATALOGUE["litemedsam"], litemedsam_weights))
    learned = DecoderChanges(arrays, rank=8, seed=0)
    assert all(torch.equal(value, torch.from_numpy(arrays[name])) for name, value in learned.changed().items())
    names = {
        name.rpartition(".")[0] for name in adapter_tensors({k: v.numpy() for k, v in learned.state_dict().items()}, {})
    }
    unused = [name for name in names if "mask_downscaling" in name or "mlps.1." in name or "gaussian" in name]
    assert unused == [] and "mask_decoder.output_hypernetworks_mlps.0.layers.0.weight" in names
    assert sum(parameter.numel() for parameter in learned.parameters()) < 300_000
