#!/usr/bin/env python3
"""Measures the ranges with which LiteMedSAM's encoder is computed in int8, on the middle slice of each object.

    python tools/int8_ranges.py CASES.csv

Writes `openvino_int8.RANGES_FILE`. Left in float32 are the second layers of the MLPs but one: their inputs (after GELU) have few
large values, and they alone doubled the error of the embedding (docs/development/models.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

from openvino import Model, Node  # noqa: E402

from MedSAMSlicerLib.engine.models.catalogue import find_model  # noqa: E402
from MedSAMSlicerLib.engine.models.model_files import verified_files  # noqa: E402
from MedSAMSlicerLib.engine.models.weight_arrays import read_arrays  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.openvino_encoder import encoder  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.openvino_int8 import RANGES_FILE  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.openvino_layers import Weights, product  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.openvino_network import core  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import read_cases  # noqa: E402
from MedSAMSlicerLib.evaluation.evaluate_case import open_case  # noqa: E402

OUTLIERS_PERCENT = 0.01
"""Share of an input's values at either end that may be clipped, on each slice."""
SMOOTHING = {"proj": 0.5, "fc1": 0.5, "fc2": 0.7}
"""Last part of a layer's name -> exponent of SmoothQuant, 0: none, 1: all channels of the input get the same range."""


def is_computed_in_int8(name: str) -> bool:
    return not name.endswith("fc2") or name == "image_encoder.layers.1.blocks.0.mlp.fc2"


class Recorder:
    """Computes products in float32 and keeps what went into them."""

    def __init__(self) -> None:
        self.inputs: dict[str, Node] = {}
        self.weights: dict[str, np.ndarray] = {}

    def __call__(self, name: str, x: Node, weight: Node, bias: Node) -> Node:
        if is_computed_in_int8(name):
            largest = np.abs(weight.data).max(axis=0)
            self.inputs[name] = x
            # Queries, keys and values have the same input.
            self.weights[name] = np.maximum(largest, self.weights.get(name, 0))
        return product(name, x, weight, bias)


def divisors(name: str, largest: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    exponent = SMOOTHING.get(name.rpartition(".")[2])
    if exponent is None:
        return None
    values = np.maximum(largest, 1e-3) ** exponent / np.maximum(weights, 1e-4) ** (1 - exponent)
    return values / np.exp(np.log(values).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="CASES.csv")
    options = parser.parse_args()
    network = verified_files(find_model("litemedsam"))
    recorder, side = Recorder(), network.family.input_size
    made = encoder(Weights(dict(read_arrays(network)), multiply=recorder).part("image_encoder"), side, side)
    outputs = [node.output(0) for node in recorder.inputs.values()]
    compiled = core().compile_model(Model(outputs, made.get_parameters(), "inputs of products"), "CPU")
    slices = []
    for case in read_cases(options.cases):
        opened = open_case(case)
        held = np.flatnonzero(opened.truth.any(axis=(1, 2)))
        prepared = network.family.prepare(opened.source.slice_uint8(int(held[len(held) // 2])))
        found = compiled([prepared[None]])
        slices.append([np.asarray(found[n]).reshape(-1, np.shape(found[n])[-1]) for n in range(len(outputs))])
        print(case.id, flush=True)
    layers: dict[str, dict[str, object]] = {}
    for n, name in enumerate(recorder.inputs):
        largest = np.max([np.abs(inputs[n]).max(axis=0) for inputs in slices], axis=0)
        by = divisors(name, largest, recorder.weights[name])
        scaled = [inputs[n] if by is None else inputs[n] / by for inputs in slices]
        ends = [np.percentile(one, (OUTLIERS_PERCENT, 100 - OUTLIERS_PERCENT)) for one in scaled]
        low, high = np.min(ends, axis=0)[0], np.max(ends, axis=0)[1]
        layers[name] = {"low": _short(min(low, 0)), "high": _short(high)}
        if by is not None:
            layers[name]["divisors"] = [_short(value) for value in by]
    about = "Ranges of inputs of LiteMedSAM's encoder, measured by tools/int8_ranges.py"
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in layers.items())
    RANGES_FILE.write_text(f'{{"about": {json.dumps(about)}, "layers": {{\n{lines}\n}}}}\n', encoding="utf-8")


def _short(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
