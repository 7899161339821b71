"""The network of every model family: an image encoder with SAM's prompt encoder and mask decoder."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def _skip_init(package: str) -> Iterator[None]:
    """Import modules of a package without running its ``__init__``. Afterwards it counts as not imported."""
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is None:
        yield
        return
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]


# The package's __init__ imports torchvision for what is not used here. That doubles the time to start an inference
# process with PyTorch and adds 180 MB to its memory.
with _skip_init("segment_anything"):
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
    from segment_anything.modeling.common import LayerNorm2d
    from segment_anything.modeling.image_encoder import window_partition, window_unpartition

__all__ = [
    "EMBEDDING_CHANNELS",
    "ImageEncoderViT",
    "LayerNorm2d",
    "MaskDecoder",
    "PromptableNetwork",
    "TwoWayTransformer",
    "window_partition",
    "window_unpartition",
]

EMBEDDING_CHANNELS = 256


class PromptableNetwork(nn.Module):
    """Image encoder, prompt encoder and mask decoder, with the parameter names of all SAM-like weights files.

    Args:
        image_encoder: maps float32 (n, 3, input_size, input_size) to (n, 256, embedding_size, embedding_size).
        input_size: side of the square input in pixels.
        embedding_size: side of the square embedding.
        encodes_parts: whether the image encoder takes smaller images, too.
    """

    def __init__(
        self, image_encoder: nn.Module, input_size: int, embedding_size: int, encodes_parts: bool = False
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.encodes_parts = encodes_parts
        self.prompt_encoder = PromptEncoder(
            embed_dim=EMBEDDING_CHANNELS,
            image_embedding_size=(embedding_size, embedding_size),
            input_image_size=(input_size, input_size),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=2048, num_heads=8),
            transformer_dim=EMBEDDING_CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )
