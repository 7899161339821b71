"""SAM's prompt encoder for boxes and its mask decoder, written with OpenVINO's operators.

The computation is that of `quick_decoder`, which says how it is rearranged and why the results are the same.
"""

from __future__ import annotations

import math

import numpy as np
import openvino.opset13 as ops
from openvino import Model, Node

from .openvino_layers import Weights, gelu, integers, layer_norm, linear, mlp, reshape, token_norm, transpose

_DEPTH = 2
_HEADS = 8
# Of the networks that turn tokens into weights of masks and into predicted IoU.
_LAYERS = 3
_IOU_TOKEN, _MASK_TOKENS = 0, (1, 2, 3, 4)
"""Tokens of a prompt begin with one for the predicted IoU and one for each mask: the single one, then three others."""


def positions(weights: Weights, side: int) -> np.ndarray:
    """Positional encoding of an embedding of `side` x `side` tokens: float32 (side, side, channels)."""
    centres = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = np.meshgrid(centres, centres)
    angles = 2 * np.pi * ((2 * np.stack((x, y), axis=-1) - 1) @ _frequencies(weights))
    return np.concatenate((np.sin(angles), np.cos(angles)), axis=-1).astype(np.float32)


def decoder(weights: Weights, input_size: int, multimask: bool = False) -> Model:
    """Decoder of boxes, for embeddings of any size: a network for one size is no faster.

    Args:
        weights: parameters of the whole network.
        input_size: side of the square that coordinates of boxes refer to, in pixels.
        multimask: predict the three masks for ambiguous prompts instead of the single one.

    Returns:
        Network from embedding (1, channels, height x width), its part of `positions` (1, height x width, channels) and
        boxes (n, 4), x0, y0, x1, y1 in pixels of the network's input, to logits (n, 16 height x width, m), to be brought
        into order by `ordered`, and predicted IoU (n, m), with m = 3 or 1.
    """
    no_mask = weights.part("prompt_encoder").part("no_mask_embed").constant("weight")
    channels = no_mask.get_output_shape(0)[1]
    embedding = ops.parameter([1, channels, -1], np.float32, name="embedding")
    position = ops.parameter([1, -1, channels], np.float32, name="position")
    boxes = ops.parameter([-1, 4], np.float32, name="boxes")
    part = weights.part("mask_decoder")
    image = ops.add(transpose(embedding, (0, 2, 1)), no_mask)
    found, image = _transform(image, position, _tokens(boxes, weights, input_size), part.part("transformer"))
    chosen = _MASK_TOKENS[1:] if multimask else _MASK_TOKENS[:1]
    networks = part.part("output_hypernetworks_mlps")
    masks = [mlp(_token(found, n), networks.part(n - 1).part("layers"), _LAYERS) for n in chosen]
    logits = _upscaled(image, masks, part.part("output_upscaling"))
    ious = mlp(_token(found, _IOU_TOKEN), part.part("iou_prediction_head").part("layers"), _LAYERS)
    first, last = chosen[0] - 1, chosen[-1]
    ious = ops.slice(ious, integers([first]), integers([last]), integers([1]), integers([1]))
    return Model([logits, ious], [embedding, position, boxes], "decoder")


def ordered(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """Logits of the decoder (n, 16 height x width, m) as images (n, m, 4 height, 4 width)."""
    # Axes: row and column of the position, then twice row and column within 2 x 2 pixels, then the mask.
    pixels = logits.reshape(len(logits), height, width, 2, 2, 2, 2, -1)
    return pixels.transpose(0, 7, 1, 3, 5, 2, 4, 6).reshape(len(logits), -1, 4 * height, 4 * width)


def _frequencies(weights: Weights) -> np.ndarray:
    return weights["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]


def _tokens(boxes: Node, weights: Weights, input_size: int) -> Node:
    """Tokens of predicted IoU, of the masks and of the corners of the boxes: (n, 1 + masks + 2, channels)."""
    # Half a pixel: coordinates name pixels, whose centres are meant. Then from -1 to 1.
    corners = ops.add(ops.multiply(reshape(boxes, (-1, 2, 2)), _scalar(2 / input_size)), _scalar(1 / input_size - 1))
    frequencies = weights.constant("frequencies", lambda: _frequencies(weights))
    angles = ops.multiply(ops.matmul(corners, frequencies, False, False), _scalar(2 * math.pi))

    def kinds() -> np.ndarray:
        return np.stack([weights[f"prompt_encoder.point_embeddings.{n}.weight"] for n in (2, 3)], axis=1)

    def known() -> np.ndarray:
        return np.concatenate([weights[f"mask_decoder.{name}.weight"] for name in ("iou_token", "mask_tokens")])[None]

    sparse = ops.add(ops.concat([ops.sin(angles), ops.cos(angles)], -1), weights.constant("kinds of corner", kinds))
    output = weights.constant("known tokens", known)
    repeated = ops.broadcast(output, ops.concat([_size(sparse, 0), integers(output.get_output_shape(0)[1:])], 0))
    return ops.concat([repeated, sparse], 1)


def _size(x: Node, axis: int) -> Node:
    """Size of `x` along an axis, known when the network runs: int64 (1,)."""
    return ops.slice(ops.shape_of(x), integers([axis]), integers([axis + 1]), integers([1]))


def _reshape_each(x: Node, *shape: int | Node) -> Node:
    """Reshape (n, ...) to (n, *shape); sizes are given, or known when the network runs."""
    sizes = [integers([size]) if isinstance(size, int) else size for size in shape]
    return ops.reshape(x, ops.concat([_size(x, 0), *sizes], 0), False)


def _scalar(value: float) -> Node:
    return ops.constant(np.float32(value))


def _token(tokens: Node, index: int) -> Node:
    """(n, tokens, channels) -> (n, channels)."""
    return ops.gather(tokens, ops.constant(np.int64(index)), ops.constant(np.int64(1)))


def _transform(image: Node, position: Node, tokens: Node, weights: Weights) -> tuple[Node, Node]:
    """Two-way transformer: updated tokens (n, tokens, channels) and positions (n, positions, channels)."""
    queries = tokens
    for index in range(_DEPTH):
        layer = weights.part("layers").part(index)
        if index == 0:
            queries = _self_attention(queries, queries, layer.part("self_attn"))
        else:
            attended = _self_attention(ops.add(queries, tokens), queries, layer.part("self_attn"))
            queries = ops.add(queries, attended)
        queries = layer_norm(queries, layer.part("norm1"))
        keys = ops.add(image, position)
        attended = _to_image(ops.add(queries, tokens), keys, image, layer.part("cross_attn_token_to_image"))
        queries = layer_norm(ops.add(queries, attended), layer.part("norm2"))
        hidden = ops.relu(linear(queries, layer.part("mlp").part("lin1")))
        queries = layer_norm(ops.add(queries, linear(hidden, layer.part("mlp").part("lin2"))), layer.part("norm3"))
        attended = _to_tokens(keys, ops.add(queries, tokens), queries, layer.part("cross_attn_image_to_token"))
        image = layer_norm(ops.add(image, attended), layer.part("norm4"))
    last = weights.part("final_attn_token_to_image")
    queries = ops.add(queries, _to_image(ops.add(queries, tokens), ops.add(image, position), image, last))
    return layer_norm(queries, weights.part("norm_final_attn")), image


def _by_head(x: Node, order: tuple[int, ...] = (0, 2, 1, 3)) -> Node:
    """(n, tokens, heads x width) -> (n, heads, tokens, width), or another order of these axes."""
    count, width = x.get_output_partial_shape(0)[1].get_length(), x.get_output_partial_shape(0)[2].get_length()
    return transpose(reshape(x, (-1, count, _HEADS, width // _HEADS)), order)


def _joined(x: Node) -> Node:
    """(n, heads, tokens, width) -> (n, tokens, heads x width)."""
    _n, heads, count, width = x.get_output_partial_shape(0)
    shape = (-1, count.get_length(), heads.get_length() * width.get_length())
    return reshape(transpose(x, (0, 2, 1, 3)), shape)


def _rows(x: Node) -> Node:
    """(n, heads, tokens, channels) -> (n, heads x tokens, channels)."""
    _n, heads, count, channels = x.get_output_partial_shape(0)
    return reshape(x, (-1, heads.get_length() * count.get_length(), channels.get_length()))


def _split(name: str, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Weight (heads, width, channels) and bias (heads, width) of a projection."""
    part = weights.part(name)
    return part["weight"].reshape(_HEADS, -1, part["weight"].shape[1]), part["bias"].reshape(_HEADS, -1)


def _self_attention(x: Node, values: Node, weights: Weights) -> Node:
    q, k = (_by_head(linear(x, weights.part(name))) for name in ("q_proj", "k_proj"))
    v = _by_head(linear(values, weights.part("v_proj")))
    scale = q.get_output_partial_shape(0)[3].get_length() ** -0.5
    scores = ops.softmax(ops.multiply(ops.matmul(q, k, False, True), _scalar(scale)), -1)
    return linear(_joined(ops.matmul(scores, v, False, False)), weights.part("out_proj"))


def _to_image(tokens: Node, keys: Node, values: Node, weights: Weights) -> Node:
    """Attention from tokens to positions; see ``quick_decoder._TokensToImage``."""
    key, _bias = _split("k_proj", weights)
    value, value_bias = _split("v_proj", weights)
    count = tokens.get_output_partial_shape(0)[1].get_length()
    q = _by_head(linear(tokens, weights.part("q_proj")))
    key_weight = weights.constant("scaled keys", lambda: key[None] * key.shape[1] ** -0.5)
    projected = _rows(ops.matmul(q, key_weight, False, False))
    # Positions by tokens: the other way round OpenVINO merges product and softmax into a step that is three times as slow.
    scores = ops.softmax(ops.matmul(keys, projected, False, True), 1)
    attended = reshape(ops.matmul(scores, values, True, False), (-1, _HEADS, count, key.shape[2]))
    joined = _joined(ops.matmul(attended, weights.constant("values", lambda: value[None]), False, True))
    joined = ops.add(joined, weights.constant("bias of values", lambda: value_bias.reshape(-1)))
    return linear(joined, weights.part("out_proj"))


def _to_tokens(positioned: Node, keys: Node, values: Node, weights: Weights) -> Node:
    """Attention from positions to tokens; see ``quick_decoder._ImageToTokens``."""
    query, query_bias = _split("q_proj", weights)
    width, channels = query.shape[1:]
    scale = width**-0.5

    def outputs() -> np.ndarray:
        return weights.part("out_proj")["weight"].reshape(channels, _HEADS, width).transpose(1, 2, 0)[None]

    count = keys.get_output_partial_shape(0)[1].get_length()
    places = _size(positioned, 1)
    key = _by_head(linear(keys, weights.part("k_proj")))
    query_weight = weights.constant("scaled queries", lambda: query[None] * scale)
    offset_weight = weights.constant("scaled bias of queries", lambda: query_bias[None, :, :, None] * scale)
    projected = _rows(ops.matmul(key, query_weight, False, False))
    offsets = _rows(ops.matmul(key, offset_weight, False, False))
    scores = ops.add(ops.matmul(projected, positioned, False, True), offsets)
    scores = ops.softmax(_reshape_each(scores, _HEADS, count, places), 2)
    scores = _reshape_each(scores, _HEADS * count, places)
    value = _by_head(linear(values, weights.part("v_proj")))
    attended = _rows(ops.matmul(value, weights.constant("outputs", outputs), False, False))
    return ops.add(ops.matmul(scores, attended, True, False), weights.part("out_proj").constant("bias"))


def _upscaled(image: Node, masks: list[Node], weights: Weights) -> Node:
    """Upscale positions to 4 x 4 pixels in two steps, and multiply them with the weights of m masks.

    (n, positions, channels) and m x (n, channels / 8) -> logits (n, 16 positions, m).
    """

    def upscale(x: Node, layer: int) -> Node:
        # A transposed convolution whose stride equals its kernel size is a matrix product for each position.
        part = weights.part(layer)

        def matrix() -> np.ndarray:
            return part["weight"].transpose(2, 3, 1, 0).reshape(-1, part["weight"].shape[0])

        biases = part.constant("biases", lambda: np.tile(part["bias"], 4))
        return part.product(x, part.constant("matrix", matrix), biases)

    hidden, channels = (weights.part(layer)["weight"].shape[1] for layer in (0, 3))
    pixels = _reshape_each(upscale(image, 0), -1, hidden)
    pixels = gelu(upscale(gelu(token_norm(pixels, weights.part(1))), 3))
    pixels = _reshape_each(pixels, -1, channels)
    weights_of_masks = ops.concat([ops.unsqueeze(mask, integers([2])) for mask in masks], 2)
    return ops.matmul(pixels, weights_of_masks, False, False)
