"""Layers of the networks that are written with OpenVINO's own operators; parameters come as numpy arrays.

Parameter names are those of the authors' weights file: `Weights.part` goes down into a module, as the dots in the names do.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import openvino.opset13 as ops
from openvino import Node

LAYER_NORM_EPSILON = 1e-5
_IMAGE_NORM_EPSILON = 1e-6
_BATCH_NORM_EPSILON = 1e-5


Product = Callable[[str, Node, Node, Node], Node]
"""From the name of a layer, its input, weight and bias to its output: `product`, or another way to compute the same."""


def product(_name: str, x: Node, weight: Node, bias: Node) -> Node:
    """``x @ weight.T + bias``, with the weight as PyTorch stores it: (outputs, inputs)."""
    return ops.add(ops.matmul(x, weight, False, True), bias)


@dataclass(frozen=True)
class Weights:
    """Parameters of a module and of the modules in it.

    Networks for several sizes of image that are made from the same object share the memory of their constants.

    Attributes:
        arrays: all parameters of the network, under the names of the weights file.
        prefix: name of the module with a dot at its end; empty for the network.
        multiply: computes the linear layers.
    """

    arrays: MutableMapping[str, np.ndarray]
    prefix: str = ""
    multiply: Product = product
    _constants: dict[str, np.ndarray] = field(default_factory=dict)

    def part(self, name: str | int) -> Weights:
        return Weights(self.arrays, f"{self.prefix}{name}.", self.multiply, self._constants)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[self.prefix + name]

    def constant(self, name: str, values: Callable[[], np.ndarray] | None = None) -> Node:
        """A float32 constant of a network.

        Args:
            name: name of the parameter, or for values that are computed from parameters a name of its own.
            values: computes the values; it is not called again for the same name.
        """
        key = self.prefix + name
        if key not in self._constants:
            made = self[name] if values is None else values()
            self._constants[key] = np.ascontiguousarray(made, np.float32)
        return ops.constant(self._constants[key], shared_memory=True)

    def product(self, x: Node, weight: Node, bias: Node) -> Node:
        """A linear layer of this module, whose weight and bias may be merged with others; see `product`."""
        return self.multiply(self.prefix.removesuffix("."), x, weight, bias)

    def release(self) -> None:
        """Forget the parameters of this module and of the modules in it, once a network is made of them.

        Constants that were computed from them, such as merged ones, take memory of their own. Networks for other sizes can still
        be made, from the same constants.
        """
        for name in [name for name in self.arrays if name.startswith(self.prefix)]:
            del self.arrays[name]


def integers(values: Sequence[int]) -> Node:
    """A constant shape, order of axes or the like."""
    return ops.constant(np.asarray(values, np.int64))


def reshape(x: Node, shape: Sequence[int]) -> Node:
    return ops.reshape(x, integers(shape), False)


def transpose(x: Node, order: Sequence[int]) -> Node:
    return ops.transpose(x, integers(order))


def linear(x: Node, weights: Weights) -> Node:
    return weights.product(x, weights.constant("weight"), weights.constant("bias"))


def mlp(x: Node, layers: Weights, count: int) -> Node:
    """`count` linear layers with ReLU between them."""
    for n in range(count):
        x = linear(x, layers.part(n))
        if n < count - 1:
            x = ops.relu(x)
    return x


def gelu(x: Node) -> Node:
    return ops.gelu(x, "erf")


def normalized(x: Node, epsilon: float = LAYER_NORM_EPSILON) -> Node:
    """Layer normalization over the last axis without its weight and bias, which can be merged into the linear layer after it."""
    return ops.mvn(x, integers([-1]), True, epsilon, "inside_sqrt")


def layer_norm(x: Node, weights: Weights, epsilon: float = LAYER_NORM_EPSILON) -> Node:
    """Layer normalization over the last axis."""
    return ops.add(ops.multiply(normalized(x, epsilon), weights.constant("weight")), weights.constant("bias"))


def image_norm(x: Node, weights: Weights) -> Node:
    """Layer normalization over the channels of (n, channels, h, w): SAM's ``LayerNorm2d``."""
    normal = ops.mvn(x, integers([1]), True, _IMAGE_NORM_EPSILON, "inside_sqrt")
    scale = weights.constant("scale", lambda: weights["weight"].reshape(1, -1, 1, 1))
    shift = weights.constant("shift", lambda: weights["bias"].reshape(1, -1, 1, 1))
    return ops.add(ops.multiply(normal, scale), shift)


def token_norm(x: Node, weights: Weights) -> Node:
    """`image_norm` of (n, pixels, channels)."""
    return layer_norm(x, weights, _IMAGE_NORM_EPSILON)


def convolution(x: Node, weight: Node, stride: int = 1) -> Node:
    """Convolution that keeps the size (divided by the stride) of (n, channels, h, w).

    Args:
        weight: (outputs, inputs, k, k), or (groups, outputs, inputs, k, k), whose sizes are those of one group.
    """
    shape = weight.get_output_shape(0)
    convolve = ops.convolution if len(shape) == 4 else ops.group_convolution
    return convolve(x, weight, [stride] * 2, [shape[-1] // 2] * 2, [shape[-1] // 2] * 2, [1, 1])


def convolution_norm(x: Node, weights: Weights, stride: int = 1, groups: int = 1) -> Node:
    """Convolution without bias and the batch normalization after it, merged into one convolution."""
    norm = weights.part("bn")

    def scale() -> np.ndarray:
        return norm["weight"] / np.sqrt(norm["running_var"] + _BATCH_NORM_EPSILON)

    def weight() -> np.ndarray:
        merged = weights.part("c")["weight"] * scale()[:, None, None, None]
        return merged if groups == 1 else merged.reshape(groups, -1, *merged.shape[1:])

    def bias() -> np.ndarray:
        return (norm["bias"] - norm["running_mean"] * scale()).reshape(1, -1, 1, 1)

    result = convolution(x, weights.constant("merged weight", weight), stride)
    return ops.add(result, weights.constant("merged bias", bias))
