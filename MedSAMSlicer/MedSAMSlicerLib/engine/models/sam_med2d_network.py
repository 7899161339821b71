"""Network of SAM-Med2D: SAM's vision transformer with an adapter parallel to the MLP of every block.

Architecture: Cheng et al., "SAM-Med2D", arXiv:2308.16184 (2023). Parameter names are those of the authors' weights file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import PromptableNetwork, window_partition, window_unpartition
from .vit import VitSize, vit_network

BOTTLENECK = 4


class AdapterLayer(nn.Module):
    """Channel attention over the whole image, then spatial attention around each token.

    Args:
        width: channels of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.channel = nn.Sequential(
            nn.Linear(width, width // BOTTLENECK, bias=False),
            nn.ReLU(),
            nn.Linear(width // BOTTLENECK, width, bias=False),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, kernel_size=4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, height, width, channels) -> tokens of the same shape."""
        image = tokens.permute(0, 3, 1, 2)
        gate = self.channel(image.mean(dim=(2, 3)))
        image = image + self.spatial(gate[:, :, None, None] * image)
        return self.norm(image.permute(0, 2, 3, 1))


class AdaptedBlock(nn.Module):
    """Block of SAM's encoder with an adapter parallel to its MLP.

    Args:
        block: block of `ImageEncoderViT`, whose submodules are used.
        width: channels of a token.
    """

    def __init__(self, block: nn.Module, width: int) -> None:
        super().__init__()
        self.norm1, self.attn = block.get_submodule("norm1"), block.get_submodule("attn")
        self.norm2, self.mlp = block.get_submodule("norm2"), block.get_submodule("mlp")
        self.window_size = int(block.window_size)  # type: ignore[arg-type]
        # Capitalised in the authors' weights files.
        self.Adapter = AdapterLayer(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, height, width, channels) -> tokens of the same shape."""
        tokens = tokens + self._attend(self.norm1(tokens))
        normed = self.norm2(tokens)
        return tokens + self.mlp(normed) + self.Adapter(normed)

    def _attend(self, tokens: Tensor) -> Tensor:
        if self.window_size == 0:
            return self.attn(tokens)
        windows, padded = window_partition(tokens, self.window_size)
        return window_unpartition(self.attn(windows), self.window_size, padded, tokens.shape[1:3])


def adapted_network(size: VitSize, input_size: int) -> PromptableNetwork:
    """`vit_network` with adapters: uninitialised parameters, on the CPU."""
    network = vit_network(size, input_size)
    blocks = network.image_encoder.get_submodule("blocks").children()
    with torch.device("meta"):
        adapted = [AdaptedBlock(block, size.width) for block in blocks]
    network.image_encoder.blocks = nn.ModuleList(adapted)
    for block in adapted:
        block.Adapter.to_empty(device="cpu")
    return network
