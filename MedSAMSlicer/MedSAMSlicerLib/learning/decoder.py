"""SAM's prompt encoder for boxes and mask decoder as one function of their parameters, through which gradients flow.

The computation is that of `quick_decoder`, which says how it is rearranged and why the results are the same; here parameters
are not copied in a rearranged form but used as they are, so that they can be learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

_HEADS = 8
_DEPTH = 2
# Of the networks that turn tokens into weights of masks and into predicted IoU.
_LAYERS = 3
_FREQUENCIES = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_TRANSFORMER, _UPSCALING = "mask_decoder.transformer", "mask_decoder.output_upscaling"
# The default of torch.nn.LayerNorm, and that of SAM's LayerNorm2d.
_EPSILON, _EPSILON_2D = 1e-5, 1e-6


def decode_boxes(
    parameters: Mapping[str, Tensor], embedding: Tensor, position: Tensor, boxes: Tensor, input_size: int
) -> tuple[Tensor, Tensor]:
    """Predict one mask for each box, on one slice or each on a slice of its own.

    Args:
        parameters: of prompt encoder and mask decoder, under the names that the authors gave them.
        embedding: float32 (channels, h, w) of the slice, or (n, channels, h, w) of a slice for each box.
        position: float32 (h, w, channels), see `positions`.
        boxes: float32 (n, 4), x0, y0, x1, y1 in pixels of the network's input.
        input_size: side of the network's input in pixels.

    Returns:
        Logits (n, 4 h, 4 w) and predicted IoU (n,).
    """
    return _Decoder(parameters, boxes.shape[0]).masks(embedding, position, boxes, input_size)


def positions(parameters: Mapping[str, Tensor], side: int) -> Tensor:
    """Positional encoding of an embedding of `side` x `side` tokens: float32 (side, side, channels)."""
    frequencies = parameters[_FREQUENCIES]
    centres = (torch.arange(side, dtype=torch.float32, device=frequencies.device) + 0.5) / side
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    angles = 2 * math.pi * ((2 * torch.stack((x, y), -1) - 1) @ frequencies)
    return torch.cat((angles.sin(), angles.cos()), -1)


class _Decoder:
    """The decoder for `n` boxes."""

    def __init__(self, parameters: Mapping[str, Tensor], n: int) -> None:
        self._parameters, self._n = parameters, n

    def masks(self, embedding: Tensor, position: Tensor, boxes: Tensor, input_size: int) -> tuple[Tensor, Tensor]:
        channels, height, width = embedding.shape[-3:]
        image = embedding.reshape(-1, channels, height * width).transpose(1, 2) + self._of(
            "prompt_encoder.no_mask_embed.weight"
        )
        positioned = position.reshape(1, height * width, channels)
        found, image = self._transform(image, positioned, self._tokens(boxes, input_size))
        weights = self._mlp(found[:, 1], "mask_decoder.output_hypernetworks_mlps.0")
        ious = self._mlp(found[:, 0], "mask_decoder.iou_prediction_head")[:, 0]
        return self._upscaled(image, weights, height, width), ious

    def _of(self, name: str) -> Tensor:
        return self._parameters[name]

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self._of(f"{name}.weight"), self._of(f"{name}.bias"))

    def _norm(self, x: Tensor, name: str, epsilon: float = _EPSILON) -> Tensor:
        return functional.layer_norm(x, (x.shape[-1],), self._of(f"{name}.weight"), self._of(f"{name}.bias"), epsilon)

    def _mlp(self, x: Tensor, name: str) -> Tensor:
        for layer in range(_LAYERS):
            x = self._linear(x, f"{name}.layers.{layer}")
            x = functional.relu(x) if layer < _LAYERS - 1 else x
        return x

    def _tokens(self, boxes: Tensor, input_size: int) -> Tensor:
        """Tokens of predicted IoU, of the masks and of the corners of the boxes: (n, tokens, channels)."""
        # Half a pixel: coordinates name pixels, whose centres are meant. Then from -1 to 1.
        corners = (boxes.view(-1, 2, 2) + 0.5) * (2 / input_size) - 1
        angles = 2 * math.pi * (corners @ self._of(_FREQUENCIES))
        kinds = [self._of(f"prompt_encoder.point_embeddings.{n}.weight") for n in (2, 3)]
        sparse = torch.cat((angles.sin(), angles.cos()), -1) + torch.stack(kinds, 1)
        known = torch.cat([self._of(f"mask_decoder.{name}.weight") for name in ("iou_token", "mask_tokens")])
        return torch.cat((known.expand(self._n, -1, -1), sparse), 1)

    def _transform(self, image: Tensor, position: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Two-way transformer: updated tokens (n, tokens, channels) and positions (n, positions, channels)."""
        queries = tokens
        for index in range(_DEPTH):
            layer = f"{_TRANSFORMER}.layers.{index}"
            if index == 0:
                queries = self._self_attention(queries, queries, f"{layer}.self_attn")
            else:
                queries = queries + self._self_attention(queries + tokens, queries, f"{layer}.self_attn")
            queries = self._norm(queries, f"{layer}.norm1")
            keys = image + position
            attended = self._to_image(queries + tokens, keys, image, f"{layer}.cross_attn_token_to_image")
            queries = self._norm(queries + attended, f"{layer}.norm2")
            hidden = functional.relu(self._linear(queries, f"{layer}.mlp.lin1"))
            queries = self._norm(queries + self._linear(hidden, f"{layer}.mlp.lin2"), f"{layer}.norm3")
            attended = self._to_tokens(keys, queries + tokens, queries, f"{layer}.cross_attn_image_to_token")
            image = self._norm(image + attended, f"{layer}.norm4")
        last = f"{_TRANSFORMER}.final_attn_token_to_image"
        queries = queries + self._to_image(queries + tokens, image + position, image, last)
        return self._norm(queries, f"{_TRANSFORMER}.norm_final_attn"), image

    @staticmethod
    def _by_head(x: Tensor) -> Tensor:
        """(n, tokens, heads x width) -> (n, heads, tokens, width)."""
        n, count, channels = x.shape
        return x.view(n, count, _HEADS, channels // _HEADS).transpose(1, 2)

    def _self_attention(self, x: Tensor, values: Tensor, name: str) -> Tensor:
        q, k, v = (
            self._by_head(self._linear(y, f"{name}.{part}_proj")) for part, y in (("q", x), ("k", x), ("v", values))
        )
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self._linear(attended.transpose(1, 2).flatten(2), f"{name}.out_proj")

    def _to_image(self, tokens: Tensor, keys: Tensor, values: Tensor, name: str) -> Tensor:
        """Attention from tokens to positions; see ``quick_decoder._TokensToImage``."""
        key = self._of(f"{name}.k_proj.weight")
        width = key.shape[0] // _HEADS
        key = key.view(_HEADS, width, -1) * width**-0.5
        value = self._of(f"{name}.v_proj.weight").view(_HEADS, width, -1)
        count = tokens.shape[1]
        projected = (self._by_head(self._linear(tokens, f"{name}.q_proj")) @ key).reshape(self._n, _HEADS * count, -1)
        weights = torch.softmax(projected @ keys.transpose(1, 2), -1)
        attended = (weights @ values).view(self._n, _HEADS, count, -1) @ value.transpose(1, 2)
        joined = attended.transpose(1, 2).reshape(self._n, count, -1) + self._of(f"{name}.v_proj.bias")
        return self._linear(joined, f"{name}.out_proj")

    def _to_tokens(self, positioned: Tensor, keys: Tensor, values: Tensor, name: str) -> Tensor:
        """Attention from positions to tokens; see ``quick_decoder._ImageToTokens``."""
        query = self._of(f"{name}.q_proj.weight")
        width, channels = query.shape[0] // _HEADS, query.shape[1]
        query = query.view(_HEADS, width, channels) * width**-0.5
        bias = self._of(f"{name}.q_proj.bias").view(_HEADS, width, 1) * width**-0.5
        out = self._of(f"{name}.out_proj.weight").view(channels, _HEADS, width).permute(1, 2, 0)
        count = keys.shape[1]
        rows = _HEADS * count
        key = self._by_head(self._linear(keys, f"{name}.k_proj"))
        scores = (key @ query).reshape(self._n, rows, channels) @ positioned.transpose(1, 2)
        scores = scores + (key @ bias).reshape(self._n, rows, 1)
        weights = torch.softmax(scores.view(self._n, _HEADS, count, -1), 2).view(self._n, rows, -1)
        attended = (self._by_head(self._linear(values, f"{name}.v_proj")) @ out).reshape(self._n, rows, channels)
        return weights.transpose(1, 2) @ attended + self._of(f"{name}.out_proj.bias")

    def _upscaled(self, image: Tensor, weights: Tensor, height: int, width: int) -> Tensor:
        """Positions (n, h x w, channels) and weights of the mask (n, channels / 8) -> logits (n, 4 h, 4 w)."""
        pixels = self._doubled(image, f"{_UPSCALING}.0")
        pixels = functional.gelu(self._norm(pixels, f"{_UPSCALING}.1", _EPSILON_2D))
        pixels = functional.gelu(self._doubled(pixels, f"{_UPSCALING}.3"))
        # Axes: row and column of the position, then twice row and column within 2 x 2 pixels.
        masks = (pixels @ weights[:, :, None]).view(self._n, height, width, 2, 2, 2, 2)
        return masks.permute(0, 1, 3, 5, 2, 4, 6).reshape(self._n, 4 * height, 4 * width)

    def _doubled(self, x: Tensor, name: str) -> Tensor:
        """(n, positions, channels) -> (n, 4 positions, channels of the layer).

        A transposed convolution whose stride equals its kernel size is a matrix product for each position.
        """
        weight = self._of(f"{name}.weight")
        product = x @ weight.permute(0, 2, 3, 1).flatten(1) + self._of(f"{name}.bias").repeat(4)
        return product.reshape(self._n, -1, weight.shape[1])
