"""SAM's mask decoder rearranged: the same results up to rounding, for a box at about half of the cost.

Nearly all of the cost is per position of the embedding, of which there are up to 4,096, while a box has about seven
tokens. Two computations are rearranged without any approximation:

- Cross-attention. ``q @ (x @ W.T).T`` equals ``(q @ W) @ x.T``, so the few tokens are projected instead of the many
  positions. The bias of the keys shifts all scores of a token equally, which the softmax cancels. The attention weights
  sum to one, so the bias of the values is added once.
- Upscaling. A transposed convolution whose stride equals its kernel size is a matrix product per position. Computed as
  such, only the final masks have to be permuted into the order of an image.

Source: ``MaskDecoder`` and ``TwoWayTransformer`` of the package segment-anything, whose parameters are used.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.network import MaskDecoder

# With more prompt tokens the original decoder is cheaper: 3.6 GFLOP and 0.02 for each token beyond two, here 2.0 and 0.17.
MOST_TOKENS = 12


class QuickDecoder(nn.Module):
    """Mask decoder that shares the parameters of another one, with rearranged copies of some.

    Args:
        decoder: decoder with its weights, on its final device.
    """

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder: Any = decoder
        transformer = self.decoder.transformer
        self.to_image = nn.ModuleList(_TokensToImage(layer.cross_attn_token_to_image) for layer in transformer.layers)
        self.to_tokens = nn.ModuleList(_ImageToTokens(layer.cross_attn_image_to_token) for layer in transformer.layers)
        self.last_to_image = _TokensToImage(transformer.final_attn_token_to_image)
        self.upscale = _Upscaling(self.decoder.output_upscaling)

    def forward(self, embedding: Tensor, position: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Predict masks for n prompts on one slice.

        Args:
            embedding: (1, channels, h, w), embedding of the slice.
            position: (1, channels, h, w), dense positional encoding of the prompt encoder.
            sparse: (n, tokens, channels), sparse embeddings of the prompts.
            dense: (n or 1, channels, h or 1, w or 1), dense embeddings of the prompts.

        Returns:
            float32 logits (n, masks, 4 h, 4 w) and predicted IoU (n, masks). The first mask is the decoder's single
            one, the others are its three for ambiguous prompts.
        """
        decoder = self.decoder
        if sparse.shape[1] > MOST_TOKENS:
            logits, ious = decoder.predict_masks(embedding, position, sparse, dense)
            return logits, ious
        known = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight))
        tokens = torch.cat((known.expand(sparse.shape[0], -1, -1), sparse), dim=1)
        found, image = self._transform((embedding + dense).flatten(2).transpose(1, 2), position, tokens)
        weights = [mlp(found[:, 1 + n]) for n, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        logits = self.upscale(image, torch.stack(weights, dim=2), embedding.shape[2], embedding.shape[3])
        return logits, decoder.iou_prediction_head(found[:, 0])

    def _transform(self, image: Tensor, position: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Two-way transformer: updated tokens (n, tokens, channels) and positions (n, positions, channels)."""
        transformer = self.decoder.transformer
        position_encoding = position.flatten(2).transpose(1, 2)
        queries = tokens
        for layer, to_image, to_tokens in zip(transformer.layers, self.to_image, self.to_tokens, strict=True):
            if layer.skip_first_layer_pe:
                queries = layer.self_attn(queries, queries, queries)
            else:
                positioned = queries + tokens
                queries = queries + layer.self_attn(positioned, positioned, queries)
            queries = layer.norm1(queries)
            keys = image + position_encoding
            queries = layer.norm2(queries + to_image(queries + tokens, keys, image))
            queries = layer.norm3(queries + layer.mlp(queries))
            image = layer.norm4(image + to_tokens(keys, queries + tokens, queries))
        queries = queries + self.last_to_image(queries + tokens, image + position_encoding, image)
        return transformer.norm_final_attn(queries), image


class _Attention(nn.Module):
    """Base class of both directions of cross-attention."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attention: Any = attention
        self.heads: int = attention.num_heads
        self.width: int = attention.internal_dim // attention.num_heads
        self.scale = 1 / math.sqrt(self.width)

    def _by_head(self, tokens: Tensor) -> Tensor:
        """(n, tokens, heads x width) -> (n, heads, tokens, width)."""
        return tokens.view(tokens.shape[0], tokens.shape[1], self.heads, self.width).transpose(1, 2)


class _TokensToImage(_Attention):
    """Cross-attention from tokens to positions of the image."""

    def __init__(self, attention: Any) -> None:
        super().__init__(attention)
        shape = (self.heads, self.width, attention.embedding_dim)
        with torch.inference_mode(False), torch.no_grad():
            self.register_buffer("key", attention.k_proj.weight.view(shape) * self.scale)
            self.register_buffer("value", attention.v_proj.weight.view(shape).transpose(1, 2).contiguous())
        self.key: Tensor
        self.value: Tensor

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(n, tokens, channels), keys and values (n or 1, positions, channels) -> (n, tokens, channels)."""
        n, count, channels = tokens.shape
        projected = (self._by_head(self.attention.q_proj(tokens)) @ self.key).reshape(n, self.heads * count, channels)
        weights = torch.softmax(projected @ keys.transpose(1, 2), dim=-1)
        attended = (weights @ values).view(n, self.heads, count, channels) @ self.value
        joined = attended.transpose(1, 2).reshape(n, count, self.heads * self.width)
        return self.attention.out_proj(joined + self.attention.v_proj.bias)


class _ImageToTokens(_Attention):
    """Cross-attention from positions of the image to tokens."""

    def __init__(self, attention: Any) -> None:
        super().__init__(attention)
        channels = attention.embedding_dim
        with torch.inference_mode(False), torch.no_grad():
            query = attention.q_proj.weight.view(self.heads, self.width, channels) * self.scale
            out = attention.out_proj.weight.view(channels, self.heads, self.width).permute(1, 2, 0).contiguous()
            self.register_buffer("query", query)
            self.register_buffer("query_bias", attention.q_proj.bias.view(self.heads, self.width, 1) * self.scale)
            self.register_buffer("out", out)
        self.query: Tensor
        self.query_bias: Tensor
        self.out: Tensor

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Queries (n or 1, positions, channels), keys and values (n, tokens, channels) -> (n, positions, channels)."""
        n, count, channels = keys.shape
        rows = self.heads * count
        key = self._by_head(self.attention.k_proj(keys))
        projected = (key @ self.query).reshape(n, rows, channels)
        scores = projected @ queries.transpose(1, 2) + (key @ self.query_bias).reshape(n, rows, 1)
        weights = torch.softmax(scores.view(n, self.heads, count, -1), dim=2).view(n, rows, -1)
        attended = (self._by_head(self.attention.v_proj(values)) @ self.out).reshape(n, rows, channels)
        return weights.transpose(1, 2) @ attended + self.attention.out_proj.bias


class _Upscaling(nn.Module):
    """Upscales each position to 4 x 4 pixels in two steps, and multiplies the result with the weights of the masks."""

    def __init__(self, upscaling: Any) -> None:
        super().__init__()
        first, norm, _, second, _ = upscaling
        self.norm: Any = norm
        with torch.inference_mode(False), torch.no_grad():
            for name, layer in (("first", first), ("second", second)):
                self.register_buffer(name, layer.weight.permute(0, 2, 3, 1).flatten(1).contiguous())
                self.register_buffer(f"{name}_bias", layer.bias.repeat(4))
        self.first: Tensor
        self.first_bias: Tensor
        self.second: Tensor
        self.second_bias: Tensor

    def forward(self, image: Tensor, weights: Tensor, h: int, w: int) -> Tensor:
        """Positions (n, h x w, channels) and weights of the masks (n, channels / 8, masks) -> (n, masks, 4 h, 4 w)."""
        n = image.shape[0]
        width = self.norm.weight.shape[0]
        pixels = (image @ self.first + self.first_bias).reshape(n, -1, width)
        pixels = functional.layer_norm(pixels, (width,), self.norm.weight, self.norm.bias, self.norm.eps)
        pixels = functional.gelu(pixels) @ self.second + self.second_bias
        pixels = functional.gelu(pixels).reshape(n, -1, weights.shape[1])
        # Axes: row and column of the position, then twice row and column within 2 x 2 pixels, then the mask.
        masks = (pixels @ weights).view(n, h, w, 2, 2, 2, 2, -1)
        return masks.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(n, -1, 4 * h, 4 * w)
