"""SAM's mask decoder with the same weights and, but for rounding, the same numbers; for a box, for about half of the work.

Nearly all of its work is done once for every place of the embedding, of which there are up to 4,096 beside about seven tokens.
Two things are rearranged, neither of which approximates anything:

- Attention between tokens and image. Each place's projection to a key, value or query only ever meets the few tokens:
  ``q @ (x @ W.T).T`` is ``(q @ W) @ x.T``, so that tokens are projected and places are not. A key's bias moves all
  scores of a token alike, which the softmax does not see; the weights of values sum to one, so their bias is added once.
- Enlarging. A transposed convolution whose step is its size is a matrix product for each place; done as such, results lie
  so that the next step finds them, and only the masks' few numbers are put in the order of an image.

Source: ``MaskDecoder`` and ``TwoWayTransformer`` of the package segment-anything, whose parameters it uses.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.network import MaskDecoder

# With more tokens of a prompt the package's way is the shorter one: 2.0 GFLOP and 0.17 more for each token beyond two, beside
# its 3.6 and 0.02.
MOST_TOKENS = 12


class QuickDecoder(nn.Module):
    """A mask decoder that shares the parameters of another, but for rearranged copies of some, made now.

    Args:
        decoder: with its weights loaded, on the device on which it stays.
    """

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder: Any = decoder
        transformer = self.decoder.transformer
        self.to_image = nn.ModuleList(_TokensToImage(layer.cross_attn_token_to_image) for layer in transformer.layers)
        self.to_tokens = nn.ModuleList(_ImageToTokens(layer.cross_attn_image_to_token) for layer in transformer.layers)
        self.last_to_image = _TokensToImage(transformer.final_attn_token_to_image)
        self.enlarge = _Enlarging(self.decoder.output_upscaling)

    def forward(self, embedding: Tensor, position: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all masks and their predicted IoU.

        Args:
            embedding: (1, channels, h, w) of the slice.
            position: (1, channels, h, w), the prompt encoder's dense positions.
            sparse: (n, tokens, channels) of n prompts.
            dense: (n or 1, channels, h or 1, w or 1), what is added to the embedding for each prompt.

        Returns:
            float32 (n, masks, 4 h, 4 w) and (n, masks). The first mask is the decoder's single one, the others are its
            three for ambiguous prompts.
        """
        decoder = self.decoder
        if sparse.shape[1] > MOST_TOKENS:
            logits, ious = decoder.predict_masks(embedding, position, sparse, dense)
            return logits, ious
        known = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight))
        tokens = torch.cat((known.expand(sparse.shape[0], -1, -1), sparse), dim=1)
        found, places = self._transform((embedding + dense).flatten(2).transpose(1, 2), position, tokens)
        weights = [mlp(found[:, 1 + n]) for n, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        logits = self.enlarge(places, torch.stack(weights, dim=2), embedding.shape[2], embedding.shape[3])
        return logits, decoder.iou_prediction_head(found[:, 0])

    def _transform(self, places: Tensor, position: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(n or 1, places, channels) and (n, tokens, channels) -> both, with what each has learnt of the other."""
        transformer = self.decoder.transformer
        place = position.flatten(2).transpose(1, 2)
        queries = tokens
        for layer, to_image, to_tokens in zip(transformer.layers, self.to_image, self.to_tokens, strict=True):
            if layer.skip_first_layer_pe:
                queries = layer.self_attn(queries, queries, queries)
            else:
                placed = queries + tokens
                queries = queries + layer.self_attn(placed, placed, queries)
            queries = layer.norm1(queries)
            keys = places + place
            queries = layer.norm2(queries + to_image(queries + tokens, keys, places))
            queries = layer.norm3(queries + layer.mlp(queries))
            places = layer.norm4(places + to_tokens(keys, queries + tokens, queries))
        queries = queries + self.last_to_image(queries + tokens, places + place, places)
        return transformer.norm_final_attn(queries), places


class _Attention(nn.Module):
    """What both ways share: the attention's own parameters, and those of each head by itself."""

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
    """Tokens attend to places."""

    def __init__(self, attention: Any) -> None:
        super().__init__(attention)
        shape = (self.heads, self.width, attention.embedding_dim)
        with torch.inference_mode(False), torch.no_grad():
            self.register_buffer("key", attention.k_proj.weight.view(shape) * self.scale)
            self.register_buffer("value", attention.v_proj.weight.view(shape).transpose(1, 2).contiguous())
        self.key: Tensor
        self.value: Tensor

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(n, tokens, channels), twice (n or 1, places, channels) -> (n, tokens, channels)."""
        n, count, channels = tokens.shape
        asked = (self._by_head(self.attention.q_proj(tokens)) @ self.key).reshape(n, self.heads * count, channels)
        weights = torch.softmax(asked @ keys.transpose(1, 2), dim=-1)
        seen = (weights @ values).view(n, self.heads, count, channels) @ self.value
        joined = seen.transpose(1, 2).reshape(n, count, self.heads * self.width)
        return self.attention.out_proj(joined + self.attention.v_proj.bias)


class _ImageToTokens(_Attention):
    """Places attend to tokens."""

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
        """(n or 1, places, channels), twice (n, tokens, channels) -> (n, places, channels)."""
        n, count, channels = keys.shape
        rows = self.heads * count
        key = self._by_head(self.attention.k_proj(keys))
        asked = (key @ self.query).reshape(n, rows, channels)
        scores = asked @ queries.transpose(1, 2) + (key @ self.query_bias).reshape(n, rows, 1)
        weights = torch.softmax(scores.view(n, self.heads, count, -1), dim=2).view(n, rows, -1)
        given = (self._by_head(self.attention.v_proj(values)) @ self.out).reshape(n, rows, channels)
        return weights.transpose(1, 2) @ given + self.attention.out_proj.bias


class _Enlarging(nn.Module):
    """Each place becomes 4 x 4 pixels: twice 2 x 2, and then a product with the masks' weights."""

    def __init__(self, upscaling: Any) -> None:
        super().__init__()
        first, norm, _, second, _ = upscaling
        self.norm: Any = norm
        with torch.inference_mode(False), torch.no_grad():
            for name, step in (("first", first), ("second", second)):
                self.register_buffer(name, step.weight.permute(0, 2, 3, 1).flatten(1).contiguous())
                self.register_buffer(f"{name}_bias", step.bias.repeat(4))
        self.first: Tensor
        self.first_bias: Tensor
        self.second: Tensor
        self.second_bias: Tensor

    def forward(self, places: Tensor, weights: Tensor, h: int, w: int) -> Tensor:
        """(n, h x w, channels) and masks' weights (n, channels / 8, masks) -> (n, masks, 4 h, 4 w)."""
        n = places.shape[0]
        width = self.norm.weight.shape[0]
        pixels = (places @ self.first + self.first_bias).reshape(n, -1, width)
        pixels = functional.layer_norm(pixels, (width,), self.norm.weight, self.norm.bias, self.norm.eps)
        pixels = functional.gelu(pixels) @ self.second + self.second_bias
        pixels = functional.gelu(pixels).reshape(n, -1, weights.shape[1])
        # (rows, columns, twice (rows, columns) of the 2 x 2 within)
        masks = (pixels @ weights).view(n, h, w, 2, 2, 2, 2, -1)
        return masks.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(n, -1, 4 * h, 4 * w)
