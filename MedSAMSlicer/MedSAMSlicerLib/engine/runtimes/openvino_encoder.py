"""LiteMedSAM's image encoder, written with OpenVINO's operators: `models.tinyvit` without PyTorch, for any size of image."""

from __future__ import annotations

from collections.abc import Sequence

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
    linear,
    normalized,
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
        stage, size = weights.part("layers").part(index), x.get_output_shape(0)[2:]
        tokens = _tokens(x)
        for block in range(_DEPTHS[index]):
            tokens = _attention_block(tokens, stage.part("blocks").part(block), index, size)
        x = _image(tokens, size)
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


def _tokens(x: Node) -> Node:
    """(1, channels, height, width) -> (height * width, channels).

    Tokens have two axes. With four, the processor would store them in the order that suits convolutions of images, and change
    it again for each product: a seventh of the encoder's time.
    """
    _one, channels, height, width = x.get_output_shape(0)
    return reshape(transpose(x, (0, 2, 3, 1)), (height * width, channels))


def _image(tokens: Node, size: Sequence[int]) -> Node:
    """The inverse of `_tokens`, for an image of a size (height, width)."""
    return transpose(reshape(tokens, (1, *size, tokens.get_output_shape(0)[1])), (0, 3, 1, 2))


def _attention_block(tokens: Node, weights: Weights, stage: int, size: Sequence[int]) -> Node:
    x = ops.add(tokens, _attend(tokens, weights.part("attn"), _HEADS[stage], _WINDOWS[stage], size))
    image = _image(x, size)
    x = _tokens(convolution_norm(image, weights.part("local_conv"), groups=_channels(image)))
    return ops.add(x, _mlp(x, weights.part("mlp")))


def _mlp(x: Node, weights: Weights) -> Node:
    first, norm = weights.part("fc1"), weights.part("norm")
    weight = first.constant("after norm", lambda: first["weight"] * norm["weight"])
    bias = first.constant("bias after norm", lambda: first["bias"] + first["weight"] @ norm["bias"])
    return linear(gelu(first.product(normalized(x), weight, bias)), weights.part("fc2"))


def _attend(tokens: Node, weights: Weights, heads: int, window: int, size: Sequence[int]) -> Node:
    """Attention within windows of `window` x `window` tokens: (height * width, channels) -> the same shape."""
    (height, width), channels = size, tokens.get_output_shape(0)[1]
    down, across = -(-height // window), -(-width // window)
    x = reshape(tokens, (1, height, width, channels))
    padded = (down * window, across * window) != (height, width)
    if padded:
        # As in training, padding is not masked.
        ends = integers([0, down * window - height, across * window - width, 0])
        x = ops.pad(x, integers([0, 0, 0, 0]), ends, "constant", ops.constant(np.float32(0)))
    x = transpose(reshape(x, (down, window, across, window, channels)), (0, 2, 1, 3, 4))
    x = _attention(reshape(x, (down * across, window * window, channels)), weights, heads, window)
    attended = linear(x, weights.part("proj"))
    x = transpose(reshape(attended, (down, across, window, window, channels)), (0, 2, 1, 3, 4))
    x = reshape(x, (1, down * window, across * window, channels))
    if padded:
        x = ops.slice(x, integers([0, 0]), integers([height, width]), integers([1, 1]), integers([1, 2]))
    return reshape(x, (height * width, channels))


def _attention(tokens: Node, weights: Weights, heads: int, size: int) -> Node:
    """Layer normalization and multi-head attention with position biases: (windows, tokens, channels) -> the same shape."""
    windows, count, channels = tokens.get_output_shape(0)
    width = channels // heads
    part, norm, normal = weights.part("qkv"), weights.part("norm"), normalized(tokens)

    def projected(which: int, scale: float = 1.0) -> Node:
        # In the weights, q, k and v alternate within each head.
        def rows(name: str) -> np.ndarray:
            return scale * part[name].reshape(heads, 3, width, -1)[:, which].reshape(channels, -1)

        weight = part.constant(f"weight {which}", lambda: rows("weight") * norm["weight"])
        bias = part.constant(f"bias {which}", lambda: rows("bias")[:, 0] + rows("weight") @ norm["bias"])
        return transpose(reshape(part.product(normal, weight, bias), (windows, count, heads, width)), (0, 2, 1, 3))

    def position_bias() -> np.ndarray:
        rows, columns = (axis.ravel() for axis in np.indices((size, size)))
        offsets = np.abs(rows[:, None] - rows) * size + np.abs(columns[:, None] - columns)
        return weights["attention_biases"][None][:, :, offsets]

    q, k, v = projected(0, width**-0.5), projected(1), projected(2)
    scores = ops.add(ops.matmul(q, k, False, True), weights.constant("position bias", position_bias))
    attended = ops.matmul(ops.softmax(scores, -1), v, False, False)
    return reshape(transpose(attended, (0, 2, 1, 3)), (windows, count, channels))
