"""LiteMedSAM: TinyViT encoder at 256x256 with SAM's prompt encoder and mask decoder; prompted by boxes.

Steps follow the authors' ``CVPR24_LiteMedSAM_infer.py`` (bowang-lab/MedSAM, branch LiteMedSAM).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ..prompts import Box
from ..resize import area_resize, longest_side_size
from .family import Family, PromptableNetwork, min_max, rgb
from .tinyvit import TinyViT

INPUT_SIZE = 256
PIXELS_PER_TOKEN = 4


class LiteMedSAM(Family):
    """LiteMedSAM.

    Args:
        input_size: side of the square network input in pixels.
    """

    def __init__(self, input_size: int = INPUT_SIZE) -> None:
        self.input_size = input_size

    def build_network(self) -> PromptableNetwork:
        return PromptableNetwork(TinyViT(), self.input_size, self.input_size // PIXELS_PER_TOKEN)

    def fold(self, network: PromptableNetwork) -> None:
        assert isinstance(network.image_encoder, TinyViT)
        network.image_encoder.fold()

    def prepare(self, image: np.ndarray) -> np.ndarray:
        height, width = longest_side_size(image.shape[0], image.shape[1], self.input_size)
        resized = min_max(rgb(area_resize(image, height, width)))
        padded = np.zeros((3, self.input_size, self.input_size), np.float32)
        padded[:, :height, :width] = resized.transpose(2, 0, 1)
        return padded

    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        ratio = self.input_size / max(rows, columns)
        # The authors truncate to whole pixels, in training and in inference.
        return np.array([int(edge * ratio) for edge in box.xyxy], np.float32)

    def slice_scores(self, logits: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        height, width = longest_side_size(rows, columns, self.input_size)
        unpadded = logits[..., :height, :width]
        return F.interpolate(unpadded, size=(rows, columns), mode="bilinear", align_corners=False)[:, 0]


FAMILY = LiteMedSAM()
