"""Sizes of SAM's vision transformers."""

from __future__ import annotations

from dataclasses import dataclass

PATCH_SIZE = 16


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
