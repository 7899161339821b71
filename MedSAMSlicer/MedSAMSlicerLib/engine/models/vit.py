"""SAM's vision transformers, as the `segment-anything` package builds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from .family import EMBEDDING_CHANNELS, PromptableNetwork

PATCH_SIZE = 16
WINDOW_SIZE = 14


@dataclass(frozen=True)
class VitSize:
    """Size of an image encoder.

    Attributes:
        width: numbers in a token.
        depth: transformer blocks.
        heads: of each block's attention.
        global_blocks: indices of the blocks that attend to the whole image; the others attend in windows.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


VIT_B = VitSize(768, 12, 12, (2, 5, 8, 11))
VIT_L = VitSize(1024, 24, 16, (5, 11, 17, 23))
VIT_H = VitSize(1280, 32, 16, (7, 15, 23, 31))


def vit_network(size: VitSize, input_size: int) -> PromptableNetwork:
    """SAM with an image encoder of that size and a square input of `input_size` pixels, on the CPU.

    Its parameters hold no values, not even random ones, which for the largest encoder would take longer to draw than
    the weights take to load.
    """
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
