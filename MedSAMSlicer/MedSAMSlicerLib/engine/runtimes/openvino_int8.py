"""Products of LiteMedSAM's encoder in integers of 8 bits, which processors with VNNI multiply up to four times as fast.

Inputs and weights are rounded to 8 bits before they are multiplied (post-training quantization); all else stays in float32.
Which products are, and the ranges of their inputs, stands in ``litemedsam_int8.json``, which ``tools/int8_ranges.py`` measures.
Channels of very different size are brought nearer to each other before, and the weights the other way (SmoothQuant, Xiao et
al. 2023). Weights are rounded in this process: only ranges are stored.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import openvino.opset13 as ops
from openvino import Model, Node

from .openvino_layers import Product, product
from .openvino_network import CompiledNetwork

REVISION = 1
"""To be raised with the ranges: embeddings of different revisions differ."""
RANGES_FILE = Path(__file__).with_name("litemedsam_int8.json")


@dataclass(frozen=True)
class InputRange:
    """Values that a product's input takes.

    Attributes:
        low, high: ends of the range after the division by `divisors`; values outside are clipped.
        divisors: float32 (inputs,), by which the channels of the input are divided, and weights multiplied; None for 1.
    """

    low: float
    high: float
    divisors: np.ndarray | None = None


def stored_ranges() -> dict[str, InputRange]:
    """Name of a layer in the encoder -> range of its input, of the layers that are computed in int8."""
    stored = json.loads(RANGES_FILE.read_text(encoding="utf-8"))["layers"]
    return {
        name: InputRange(one["low"], one["high"], np.array(one["divisors"], np.float32) if "divisors" in one else None)
        for name, one in stored.items()
    }


def product_in_int8(ranges: Mapping[str, InputRange]) -> Product:
    """A function that multiplies in int8 where there is a range for the layer, and in float32 elsewhere."""

    def multiply(name: str, x: Node, weight: Node, bias: Node) -> Node:
        known = ranges.get(name)
        if known is None:
            return product(name, x, weight, bias)
        values = np.array(weight.data)
        if known.divisors is not None:
            x = ops.multiply(x, ops.constant(1 / known.divisors))
            values = values * known.divisors
        return product(name, _rounded_input(x, known), _rounded_weight(values), bias)

    return multiply


def _rounded_input(x: Node, known: InputRange) -> Node:
    low, high = known.low, known.high
    if -low < high / 4:
        # Hardly negative: all 256 steps lie between the ends, and one of them at 0.
        step = (high - low) / 255
        zero = round(-low / step)
        low, high = -zero * step, (255 - zero) * step
    else:
        high = max(-low, high)
        low = -high * 128 / 127
    return _rounded(x, np.float32(low), np.float32(high), 256)


def _rounded_weight(weight: np.ndarray) -> Node:
    """One range for each output, symmetric."""
    largest = np.abs(weight).max(axis=1, keepdims=True)
    return _rounded(ops.constant(weight), -largest, largest, 255)


def _rounded(x: Node, low: np.ndarray | np.float32, high: np.ndarray | np.float32, levels: int) -> Node:
    ends = ops.constant(low), ops.constant(high)
    return ops.fake_quantize(x, *ends, *ends, levels)


@cache
def adds_exactly() -> bool:
    """Whether this processor multiplies and adds integers of 8 bits without loss, as those with VNNI do.

    Others add pairs of products in 16 bits, where large ones are cut off. Tried with the largest ones there are.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    inputs, outputs = 256, 64
    x = ops.parameter([64, inputs], np.float32)
    weight = np.ones((outputs, inputs), np.float32)
    multiply = product_in_int8({"trial": InputRange(0.0, 1.0)})
    network = Model(
        [multiply("trial", x, ops.constant(weight), ops.constant(np.zeros(outputs, np.float32)))], [x], "trial"
    )
    (found,) = CompiledNetwork(network, 1)([np.ones((64, inputs), np.float32)])
    return bool(np.abs(found - inputs).max() < 0.01 * inputs)
