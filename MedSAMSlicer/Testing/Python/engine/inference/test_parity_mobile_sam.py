"""MobileSAM gives what the authors' own code gives, for every kind of prompt, with weights filled by the rule.

``data/mobile_sam_parity.npz`` was made by the authors' ``SamPredictor`` and ``sam_model_registry["vit_t"]``
(ChaoningZhang/MobileSAM at 34bbbfdf, unmodified, with timm 1.0.31, PyTorch 2.14.1, float32 on a CPU): weights filled as in
`support.seeded_weights`, then ``train()`` and ``eval()``, by which the encoder gathers its relative biases; ``set_image``
with `image`; ``predict`` with `PROMPTS`. Kept are every 32nd pixel of the network's input, every eighth of channels, rows
and columns of the embedding and of the logits, masks as `numpy.packbits`, and CRC-32 of names and shapes
(``json.dumps([[name, shape], ...])``) and of all weights one after the other.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.mobile_sam import FAMILY
from MedSAMSlicerLib.engine.models.network import PromptableNetwork
from MedSAMSlicerLib.engine.prompts import MaskPrompt, Points, SlicePrompt
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from support.parity import IOU_TOLERANCE, LOGITS_TOLERANCE, reference_prompts
from support.seeded_weights import fill_with_seeded_weights
from support.shapes import textured_slice

REFERENCE = np.load(Path(__file__).parents[2] / "data" / "mobile_sam_parity.npz")
IMAGE = np.stack([textured_slice(90, 132, seed) for seed in (1, 2, 3)], axis=2)
BOX, POINTS = reference_prompts(REFERENCE["box"])
CLICK = Points(POINTS.coordinates[:1], (True,))
PROMPTS = {
    "box": SlicePrompt(BOX),
    "point": SlicePrompt(points=CLICK),
    "points": SlicePrompt(points=POINTS),
    "boxpoints": SlicePrompt(BOX, POINTS),
}


@pytest.fixture(scope="module")
def network() -> PromptableNetwork:
    made = FAMILY.build_network()
    fill_with_seeded_weights(made)
    return made


@pytest.fixture(scope="module")
def predictor(network: PromptableNetwork) -> Predictor:
    FAMILY.fold(network)
    return Predictor(FAMILY, TorchRuntime(network, "cpu"), "rule-filled", prompts=CATALOGUE["mobile_sam"].prompts)


def assert_same(prediction: object, name: str) -> None:
    candidates = prediction.candidates or (prediction,)  # type: ignore[attr-defined]
    masks = np.unpackbits(REFERENCE[f"{name}_mask"], axis=-1)[..., : IMAGE.shape[1]].astype(bool)
    assert len(candidates) == len(masks)
    for one, *expected in zip(
        candidates, REFERENCE[f"{name}_logits_every8"], REFERENCE[f"{name}_iou"], masks, strict=True
    ):
        assert np.abs(one.low_res_logits[::8, ::8] - expected[0]).max() <= LOGITS_TOLERANCE
        assert abs(one.predicted_iou - float(expected[1])) <= IOU_TOLERANCE
        assert (one.mask != expected[2]).mean() < 1e-3


@pytest.mark.slow
def test_the_network_has_the_parameters_of_the_authors_network(network: PromptableNetwork) -> None:
    state, spec = network.state_dict(), CATALOGUE["mobile_sam"]
    rows = [[name, list(tensor.shape)] for name, tensor in state.items()]
    assert zlib.crc32(json.dumps(rows).encode()) == REFERENCE["names_crc32"]
    checksum = 0
    for tensor in state.values():
        checksum = zlib.crc32(tensor.contiguous().numpy().tobytes(), checksum)
    assert checksum == REFERENCE["weights_crc32"]
    assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters
    # The published file holds them in float32, with a few hundred bytes around each.
    assert spec.weights.size is not None
    assert 0 < spec.weights.size - sum(tensor.nbytes for tensor in state.values()) < 500 * len(state)


def test_the_slice_enters_as_the_authors_pixels() -> None:
    prepared = FAMILY.prepare(IMAGE)
    assert np.abs(prepared[:, ::32, ::32] - REFERENCE["input_every32"]).max() <= 1e-6
    numbers = prepared.astype(np.float64)
    assert REFERENCE["input_stats"][[0, 2]] == pytest.approx([numbers.mean(), (numbers**2).sum()], rel=1e-6)


@pytest.mark.slow
def test_every_prompt_gives_the_authors_numbers(predictor: Predictor) -> None:
    embedding = predictor.embed(IMAGE)
    assert np.abs(embedding[::8, ::8, ::8] - REFERENCE["embedding_every8"]).max() <= 1e-5
    channels = embedding.reshape(len(embedding), -1).astype(np.float64)
    assert np.abs(channels.mean(axis=1) - REFERENCE["embedding_channel_mean"]).max() <= 1e-5
    assert np.abs(channels.std(axis=1) - REFERENCE["embedding_channel_std"]).max() <= 1e-5
    answers = {name: predictor.predict_prompt(IMAGE, prompt) for name, prompt in PROMPTS.items()}
    for name, answer in answers.items():
        assert_same(answer, name)
    again = SlicePrompt(BOX, mask=MaskPrompt(logits=answers["box"].low_res_logits))
    assert_same(predictor.predict_prompt(IMAGE, again), "boxmask")
    assert predictor.timings.encoder_calls == 1
