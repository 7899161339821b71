"""The encoder in int8: near to float32, only where the processor adds without loss, and only for those who choose it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import child_environment
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.weight_arrays import read_arrays
from MedSAMSlicerLib.engine.prompts import Box
from support.shapes import textured_slice

openvino = pytest.importorskip("openvino", reason="needs openvino")
ops = pytest.importorskip("openvino.opset13", reason="needs openvino")
int8 = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_int8", reason="needs openvino")
layers = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_layers", reason="needs openvino")
encoder = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_encoder", reason="needs openvino").encoder
network = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_network", reason="needs openvino")

needs_vnni = pytest.mark.skipif(not int8.adds_exactly(), reason="needs a processor with VNNI")


@pytest.fixture(scope="module")
def arrays(litemedsam_weights: Path) -> dict[str, np.ndarray]:
    spec = CATALOGUE["litemedsam"]
    assert spec.weights.sha256 is not None
    return dict(read_arrays(NetworkFile(spec, spec.load_family(), litemedsam_weights, spec.weights.sha256)))


def made(arrays: dict[str, np.ndarray], multiply: layers.Product) -> network.CompiledNetwork:
    weights = layers.Weights(dict(arrays), multiply=multiply)
    return network.CompiledNetwork(encoder(weights.part("image_encoder"), 112, 112), 2)


def test_each_range_is_that_of_a_layer_of_the_encoder(arrays: dict[str, np.ndarray]) -> None:
    ranges, seen = int8.stored_ranges(), {}

    def multiply(name: str, x, weight, bias):
        seen[name] = weight.get_output_shape(0)[1]
        return layers.product(name, x, weight, bias)

    encoder(layers.Weights(dict(arrays), multiply=multiply).part("image_encoder"), 56, 56)
    assert ranges.keys() <= seen.keys() and len(ranges) == 3 * 10 + 1
    for name, one in ranges.items():
        assert one.low <= 0 < one.high
        if one.divisors is not None:
            assert len(one.divisors) == seen[name] and one.divisors.min() > 0


def test_a_product_is_rounded_to_the_steps_of_its_input_and_weights() -> None:
    rng = np.random.default_rng(3)
    x, weight, bias = rng.normal(size=(50, 96)), rng.normal(size=(40, 96)), rng.normal(size=40)
    x, weight, bias = (values.astype(np.float32) for values in (x, weight, bias))
    divisors = np.exp(rng.normal(size=96)).astype(np.float32)
    for known in (int8.InputRange(-3.0, 3.0), int8.InputRange(-3.0, 3.0, divisors), int8.InputRange(0.0, 3.0)):
        given = ops.parameter(list(x.shape), np.float32)
        node = int8.product_in_int8({"layer": known})("layer", given, ops.constant(weight), ops.constant(bias))
        (found,) = network.CompiledNetwork(openvino.Model([node], [given], "one product"), 1)([x])
        scaled, scaled_weight = (x, weight) if known.divisors is None else (x / known.divisors, weight * known.divisors)
        step = (known.high - known.low) / 255
        rounded = np.clip(np.round(scaled / step), known.low / step - 0.5, known.high / step + 0.5) * step
        steps = np.abs(scaled_weight).max(axis=1, keepdims=True) / 127
        expected = rounded @ (np.round(scaled_weight / steps) * steps).T + bias
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
        other = int8.product_in_int8({})("layer", given, ops.constant(weight), ops.constant(bias))
        (exact,) = network.CompiledNetwork(openvino.Model([other], [given], "one product"), 1)([x])
        np.testing.assert_allclose(exact, x @ weight.T + bias, rtol=1e-4, atol=1e-4)


def test_networks_that_keep_memory_answer_as_before_when_another_has_run() -> None:
    given = ops.parameter([1, 4], np.float32)
    model = openvino.Model([ops.relu(given)], [given], "relu")
    keeping, other = network.CompiledNetwork(model, 1, keeps_memory=True), network.CompiledNetwork(model, 1)
    x = np.array([[-1.0, 0.0, 2.0, 3.0]], np.float32)
    for _ in range(3):
        for one in (keeping, other, keeping):
            np.testing.assert_array_equal(one([x])[0], np.maximum(x, 0))


@needs_vnni
def test_embeddings_and_masks_are_near_to_those_in_float32(litemedsam_weights: Path) -> None:
    image, box = textured_slice(96, 128, 96), Box(25, 24, 85, 76)
    exact, faster = (
        load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), device))[0] for device in ("cpu", "cpu-int8")
    )
    assert (
        faster.notes == ["Encoder in int8: faster; masks differ a little from those in float32"] and exact.notes == []
    )
    assert faster.runtime.device == "cpu-int8" and faster.runtime.version != exact.runtime.version
    assert faster.room_ahead == 0, "the encoder uses every core"
    difference = np.linalg.norm(faster.embed(image) - exact.embed(image)) / np.linalg.norm(exact.embed(image))
    assert 1e-4 < difference < 0.12, "rounded, and not by much"
    assert dice(faster.predict(image, box).mask, exact.predict(image, box).mask) > 0.98


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instructions of this processor family")
@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_without_vnni_sums_are_cut_off_and_int8_is_not_offered(instructions: str) -> None:
    code = (
        "from MedSAMSlicerLib.engine.runtimes.devices import available_devices\n"
        "print('cpu' in available_devices(), 'cpu-int8' in available_devices())"
    )
    environment = {**child_environment(), "ONEDNN_MAX_CPU_ISA": instructions}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert ran == ["True", "False"]
