"""SAM's vision transformers: their sizes, and the network with one of them as image encoder.

Only `vit_network` imports torch, because the model families name a size before a network is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .network import PromptableNetwork

PATCH_SIZE = 16
WINDOW_SIZE = 14
# Pixels of the decoder's logits per token of the encoder, along each side.
LOGITS_PER_TOKEN = 4


@dataclass(frozen=True)
class VitSize:
    """Size of an image encoder.

    Attributes:
        width: channels of a token.
        depth: number of transformer blocks.
        heads: attention heads of each block.
        global_blocks: indices of the blocks with attention over the whole image; the others attend within windows.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


VIT_B = VitSize(768, 12, 12, (2, 5, 8, 11))
VIT_L = VitSize(1024, 24, 16, (5, 11, 17, 23))
VIT_H = VitSize(1280, 32, 16, (7, 15, 23, 31))


def logits_side(input_size: int) -> int:
    """Side of the decoder's logits, in pixels, for a square input of `input_size` pixels."""
    return input_size // PATCH_SIZE * LOGITS_PER_TOKEN


def vit_network(size: VitSize, input_size: int) -> PromptableNetwork:
    """SAM's network with uninitialised parameters, on the CPU.

    For the largest encoder, drawing random numbers would take longer than loading the weights.

    Args:
        size: size of the image encoder.
        input_size: side of the square input in pixels.
    """
    import torch
    from torch import nn

    from .network import EMBEDDING_CHANNELS, ImageEncoderViT, PromptableNetwork

    with torch.device("meta"):
        encoder = ImageEncoderViT(
            img_size=input_size,
            patch_size=PATCH_SIZE,
            embed_dim=size.width,
            depth=size.depth,
            num_heads=size.heads,
            mlp_ratio=4,
            out_chans=EMBEDDING_CHANNELS,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=WINDOW_SIZE,
            global_attn_indexes=size.global_blocks,
        )
        network = PromptableNetwork(encoder, input_size, input_size // PATCH_SIZE)
    return network.to_empty(device="cpu")
