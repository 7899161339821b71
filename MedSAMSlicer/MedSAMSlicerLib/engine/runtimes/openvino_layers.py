"""Layers of the networks that are written with OpenVINO's own operators; parameters come as numpy arrays.

Parameter names are those of the authors' weights file: `Weights.part` goes down into a module, as the dots in the names do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import openvino.opset13 as ops
from openvino import Node

LAYER_NORM_EPSILON = 1e-5
_IMAGE_NORM_EPSILON = 1e-6
_BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Weights:
    """Parameters of a module and of the modules in it.

    Attributes:
        arrays: all parameters of the network, float32, under the names of the weights file.
        prefix: name of the module with a dot at its end; empty for the network.
    """

    arrays: Mapping[str, np.ndarray]
    prefix: str = ""

    def part(self, name: str | int) -> Weights:
        return Weights(self.arrays, f"{self.prefix}{name}.")

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[self.prefix + name]


def constant(values: np.ndarray | Sequence[int]) -> Node:
    """A constant: float32 for an array, int64 for a shape, an order of axes and the like."""
    if isinstance(values, np.ndarray):
        return ops.constant(np.ascontiguousarray(values, np.float32))
    return ops.constant(np.asarray(values, np.int64))


def reshape(x: Node, shape: Sequence[int]) -> Node:
    return ops.reshape(x, constant(shape), False)


def transpose(x: Node, order: Sequence[int]) -> Node:
    return ops.transpose(x, constant(order))


def product(x: Node, weight: np.ndarray, bias: np.ndarray | None = None) -> Node:
    """``x @ weight.T + bias``, with the weight as PyTorch stores it: (outputs, inputs)."""
    result = ops.matmul(x, constant(weight), False, True)
    return result if bias is None else ops.add(result, constant(bias))


def linear(x: Node, weights: Weights) -> Node:
    return product(x, weights["weight"], weights["bias"])


def mlp(x: Node, layers: Weights, count: int) -> Node:
    """`count` linear layers with ReLU between them."""
    for n in range(count):
        x = linear(x, layers.part(n))
        if n < count - 1:
            x = ops.relu(x)
    return x


def gelu(x: Node) -> Node:
    return ops.gelu(x, "erf")


def layer_norm(x: Node, weights: Weights, epsilon: float = LAYER_NORM_EPSILON) -> Node:
    """Layer normalization over the last axis."""
    normal = ops.mvn(x, constant([-1]), True, epsilon, "inside_sqrt")
    return ops.add(ops.multiply(normal, constant(weights["weight"])), constant(weights["bias"]))


def image_norm(x: Node, weights: Weights) -> Node:
    """Layer normalization over the channels of (n, channels, h, w): SAM's ``LayerNorm2d``."""
    normal = ops.mvn(x, constant([1]), True, _IMAGE_NORM_EPSILON, "inside_sqrt")
    scale, shift = (weights[name].reshape(1, -1, 1, 1) for name in ("weight", "bias"))
    return ops.add(ops.multiply(normal, constant(scale)), constant(shift))


def token_norm(x: Node, weights: Weights) -> Node:
    """`image_norm` of (n, pixels, channels)."""
    return layer_norm(x, weights, _IMAGE_NORM_EPSILON)


def convolution(x: Node, weight: np.ndarray, bias: np.ndarray | None = None, stride: int = 1, groups: int = 1) -> Node:
    """Convolution that keeps the size (divided by the stride) of (n, channels, h, w)."""
    steps, margin, dilation = [stride, stride], [weight.shape[-1] // 2] * 2, [1, 1]
    if groups == 1:
        result = ops.convolution(x, constant(weight), steps, margin, margin, dilation)
    else:
        # OpenVINO has the groups as an axis of their own.
        grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
        result = ops.group_convolution(x, constant(grouped), steps, margin, margin, dilation)
    return result if bias is None else ops.add(result, constant(bias.reshape(1, -1, 1, 1)))


def convolution_norm(x: Node, weights: Weights, stride: int = 1, groups: int = 1) -> Node:
    """Convolution without bias and the batch normalization after it, merged into one convolution."""
    norm = weights.part("bn")
    scale = norm["weight"] / np.sqrt(norm["running_var"] + _BATCH_NORM_EPSILON)
    weight = weights.part("c")["weight"] * scale[:, None, None, None]
    return convolution(x, weight, norm["bias"] - norm["running_mean"] * scale, stride, groups)
