"""LiteMedSAM's image encoder, written with OpenVINO's operators: `models.tinyvit` without PyTorch, for any size of image."""

from __future__ import annotations

import numpy as np
import openvino.opset13 as ops
from openvino import Model, Node

from .openvino_layers import (
    Weights,
    convolution,
    convolution_norm,
    gelu,
    image_norm,
    integers,
    layer_norm,
    linear,
    product,
    reshape,
    transpose,
)

_DEPTHS = (2, 2, 6, 2)
_HEADS = (2, 4, 5, 10)
_WINDOWS = (7, 7, 14, 7)
_DOWNSAMPLING = (2, 2, 1)
_STRIP, _MARGIN = 128, 4
"""Rows of the image in a strip of the first stage, and rows beside it that its results depend on. The first stage alone takes more
memory for intermediate results than all others together: 157 MB for 256 x 256 pixels, in strips 87 MB, at no cost in time."""


def encoder(weights: Weights, height: int, width: int) -> Model:
    """Encoder for images of one size.

    Args:
        weights: parameters of ``image_encoder``.
        height, width: size of the image in pixels, multiples of 4. Multiples of 56 waste nothing: windows of attention
            are completed with zeros.

    Returns:
        Network from float32 (1, 3, height, width) in 0..1 to (1, 256, height / 4, width / 4).
    """
    image = ops.parameter([1, 3, height, width], np.float32, name="image")
    x = _in_strips(image, weights, height)
    for index in range(1, len(_DEPTHS)):
        stage = weights.part("layers").part(index)
        for block in range(_DEPTHS[index]):
            x = _attention_block(x, stage.part("blocks").part(block), index)
        if index < len(_DOWNSAMPLING):
            x = _downsample(x, stage.part("downsample"), _DOWNSAMPLING[index])
    neck = weights.part("neck")
    x = image_norm(convolution(x, neck.part(0).constant("weight")), neck.part(1))
    x = image_norm(convolution(x, neck.part(2).constant("weight")), neck.part(3))
    return Model([x], [image], "encoder")


def _in_strips(image: Node, weights: Weights, height: int) -> Node:
    """Patch embedding and first stage, which see no further than `_MARGIN` rows: (1, 3, h, w) -> (1, channels, h / 2, w / 2)."""
    strips = []
    for first in range(0, height, _STRIP):
        end = min(first + _STRIP, height)
        above, below = max(0, first - _MARGIN), min(height, end + _MARGIN)
        start = (first - above) // _DOWNSAMPLING[0]
        strip = _first_stage(_rows(image, above, below), weights)
        strips.append(_rows(strip, start, start + (end - first) // _DOWNSAMPLING[0]))
    return strips[0] if len(strips) == 1 else ops.concat(strips, 2)


def _rows(x: Node, first: int, end: int) -> Node:
    if (first, end) == (0, x.get_output_shape(0)[2]):
        return x
    return ops.slice(x, integers([first]), integers([end]), integers([1]), integers([2]))


def _first_stage(image: Node, weights: Weights) -> Node:
    embedding, stage = weights.part("patch_embed").part("seq"), weights.part("layers").part(0)
    x = convolution_norm(gelu(convolution_norm(image, embedding.part(0))), embedding.part(2))
    for block in range(_DEPTHS[0]):
        x = _bottleneck(x, stage.part("blocks").part(block))
    return _downsample(x, stage.part("downsample"), _DOWNSAMPLING[0])


def _channels(x: Node) -> int:
    return x.get_output_shape(0)[1]


def _bottleneck(x: Node, weights: Weights) -> Node:
    hidden = gelu(convolution_norm(x, weights.part("conv1")))
    hidden = gelu(convolution_norm(hidden, weights.part("conv2"), groups=_channels(hidden)))
    return gelu(ops.add(convolution_norm(hidden, weights.part("conv3")), x))


def _downsample(x: Node, weights: Weights, stride: int) -> Node:
    x = gelu(convolution_norm(x, weights.part("conv1")))
    x = gelu(convolution_norm(x, weights.part("conv2"), stride, groups=_channels(x)))
    return convolution_norm(x, weights.part("conv3"))


def _attention_block(x: Node, weights: Weights, stage: int) -> Node:
    attended = _attend(transpose(x, (0, 2, 3, 1)), weights.part("attn"), _HEADS[stage], _WINDOWS[stage])
    x = ops.add(x, transpose(attended, (0, 3, 1, 2)))
    x = convolution_norm(x, weights.part("local_conv"), groups=_channels(x))
    tokens, part = transpose(x, (0, 2, 3, 1)), weights.part("mlp")
    hidden = gelu(linear(layer_norm(tokens, part.part("norm")), part.part("fc1")))
    return transpose(ops.add(tokens, linear(hidden, part.part("fc2"))), (0, 3, 1, 2))


def _attend(x: Node, weights: Weights, heads: int, size: int) -> Node:
    """Attention within windows of `size` x `size` tokens: (1, height, width, channels) -> the same shape."""
    _one, height, width, channels = x.get_output_shape(0)
    down, across = -(-height // size), -(-width // size)
    padded = (down * size, across * size) != (height, width)
    if padded:
        # As in training, padding is not masked.
        ends = integers([0, down * size - height, across * size - width, 0])
        x = ops.pad(x, integers([0, 0, 0, 0]), ends, "constant", ops.constant(np.float32(0)))
    x = transpose(reshape(x, (down, size, across, size, channels)), (0, 2, 1, 3, 4))
    tokens = layer_norm(reshape(x, (down * across, size * size, channels)), weights.part("norm"))
    attended = linear(_attention(tokens, weights, heads, size), weights.part("proj"))
    x = transpose(reshape(attended, (down, across, size, size, channels)), (0, 2, 1, 3, 4))
    x = reshape(x, (1, down * size, across * size, channels))
    if padded:
        x = ops.slice(x, integers([0, 0]), integers([height, width]), integers([1, 1]), integers([1, 2]))
    return x


def _attention(tokens: Node, weights: Weights, heads: int, size: int) -> Node:
    """Multi-head attention with position biases: (windows, tokens, channels) -> the same shape."""
    windows, count, channels = tokens.get_output_shape(0)
    width = channels // heads
    part = weights.part("qkv")

    def projected(which: int, order: tuple[int, ...], scale: float = 1.0) -> Node:
        # In the weights, q, k and v alternate within each head.
        def rows(name: str) -> np.ndarray:
            return scale * part[name].reshape(heads, 3, width, -1)[:, which].reshape(channels, -1)

        weight = part.constant(f"weight {which}", lambda: rows("weight"))
        bias = part.constant(f"bias {which}", lambda: rows("bias").reshape(-1))
        return transpose(reshape(product(tokens, weight, bias), (windows, count, heads, width)), order)

    def position_bias() -> np.ndarray:
        rows, columns = (axis.ravel() for axis in np.indices((size, size)))
        offsets = np.abs(rows[:, None] - rows) * size + np.abs(columns[:, None] - columns)
        return weights["attention_biases"][None][:, :, offsets]

    q = projected(0, (0, 2, 1, 3), width**-0.5)
    k, v = projected(1, (0, 2, 3, 1)), projected(2, (0, 2, 1, 3))
    scores = ops.add(ops.matmul(q, k, False, False), weights.constant("position bias", position_bias))
    attended = ops.matmul(ops.softmax(scores, -1), v, False, False)
    return reshape(transpose(attended, (0, 2, 1, 3)), (windows, count, channels))
