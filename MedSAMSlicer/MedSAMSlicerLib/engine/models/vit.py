"""SAM's vision transformers, as the `segment-anything` package builds them."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from .network import EMBEDDING_CHANNELS, PromptableNetwork
from .sam_parts import ImageEncoderViT
from .vit_sizes import PATCH_SIZE, VitSize

WINDOW_SIZE = 14


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
