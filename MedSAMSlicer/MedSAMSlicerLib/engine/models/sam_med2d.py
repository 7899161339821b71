"""SAM-Med2D: SAM's ViT-B at 256x256 with adapter layers, trained on medical images; prompted by boxes, points, masks.

Steps follow the authors' ``predictor_sammed.py`` (OpenGVLab/SAM-Med2D), the use of masks and of several masks for one
prompt their ``train.py``, ``test.py`` and notebook.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import window_partition, window_unpartition
from torch import Tensor, nn

from ..prompts import MaskPrompt, SlicePrompt
from .family import PromptableNetwork, rgb
from .sam import PIXEL_MEAN, PIXEL_STD, PromptedByAll
from .vit import VIT_B, VitSize, vit_network

INPUT_SIZE = 256
BOTTLENECK = 4


class AdapterLayer(nn.Module):
    """Weighs the channels by what the whole image holds, then looks at each token's surroundings."""

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
        """(batch, height, width, channels) -> the same shape."""
        image = tokens.permute(0, 3, 1, 2)
        gate = self.channel(image.mean(dim=(2, 3)))
        image = image + self.spatial(gate[:, :, None, None] * image)
        return self.norm(image.permute(0, 2, 3, 1))


class AdaptedBlock(nn.Module):
    """A block of SAM's encoder whose feed-forward part has an adapter beside it.

    Args:
        block: SAM's, of which it takes the parts.
        width: numbers in a token.
    """

    def __init__(self, block: nn.Module, width: int) -> None:
        super().__init__()
        self.norm1, self.attn = block.get_submodule("norm1"), block.get_submodule("attn")
        self.norm2, self.mlp = block.get_submodule("norm2"), block.get_submodule("mlp")
        self.window_size = int(block.window_size)  # type: ignore[arg-type]
        # Capitalised in the authors' weights files.
        self.Adapter = AdapterLayer(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, height, width, channels) -> the same shape."""
        tokens = tokens + self._attend(self.norm1(tokens))
        normed = self.norm2(tokens)
        return tokens + self.mlp(normed) + self.Adapter(normed)

    def _attend(self, tokens: Tensor) -> Tensor:
        if self.window_size == 0:
            return self.attn(tokens)
        windows, padded = window_partition(tokens, self.window_size)
        return window_unpartition(self.attn(windows), self.window_size, padded, tokens.shape[1:3])


def nearest_pixels(source: int, target: int) -> np.ndarray:
    """For each of `target` pixels the one of `source` that OpenCV's ``INTER_NEAREST`` takes: that of its left corner.

    The quotient is rounded as OpenCV does it: where a corner falls on the border between two pixels, for 186 pixels
    for example, source / target would sometimes give the other one.
    """
    scale = 1 / (target / source)
    return np.minimum(np.floor(np.arange(target) * scale).astype(int), source - 1)


class SamMed2D(PromptedByAll):
    """SAM-Med2D.

    Args:
        colour_order: of the channels that enter the network. The authors' training and test code reads colour images
            as BGR and never swaps them, so that is what their weights know; their `SammedPredictor.set_image` calls
            its input RGB. Grey images are the same either way.
    """

    def __init__(self, size: VitSize = VIT_B, input_size: int = INPUT_SIZE, colour_order: str = "BGR") -> None:
        super().__init__(size, input_size)
        self._channels = slice(None, None, {"RGB": 1, "BGR": -1}[colour_order])

    def build_network(self) -> PromptableNetwork:
        network = vit_network(self.size, self.input_size)
        blocks = network.image_encoder.get_submodule("blocks").children()
        with torch.device("meta"):
            adapted = [AdaptedBlock(block, self.size.width) for block in blocks]
        network.image_encoder.blocks = nn.ModuleList(adapted)
        for block in adapted:
            block.Adapter.to_empty(device="cpu")
        return network

    def resized(self, rows: int, columns: int) -> tuple[int, int]:
        # The aspect ratio is not kept: the authors' predictor stretches every slice to the square.
        return self.input_size, self.input_size

    def prepare(self, image: np.ndarray) -> np.ndarray:
        rows, columns = image.shape[:2]
        row, column = nearest_pixels(rows, self.input_size), nearest_pixels(columns, self.input_size)
        nearest = rgb(image[row[:, None], column])[..., self._channels]
        return np.ascontiguousarray(((nearest - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1))

    def network_mask(self, mask: MaskPrompt, rows: int, columns: int) -> np.ndarray:
        """Probabilities, not logits: that is what the authors train, test and show their model with."""
        logits = super().network_mask(mask, rows, columns)
        return torch.sigmoid(torch.from_numpy(logits)).numpy()

    def is_ambiguous(self, prompt: SlicePrompt) -> bool:
        """The authors train and test with several masks for whatever prompt, boxes included."""
        return True

    def slice_scores(self, logits: Tensor, rows: int, columns: int) -> Tensor:
        side = (self.input_size, self.input_size)
        whole = F.interpolate(logits, size=side, mode="bilinear", align_corners=False)
        return F.interpolate(whole, size=(rows, columns), mode="bilinear", align_corners=False)[:, 0]


FAMILY = SamMed2D()
