"""MedSAM: SAM's ViT-B at 1024x1024, fine-tuned on medical images; prompted by boxes.

Steps follow the authors' ``MedSAM_Inference.py`` (bowang-lab/MedSAM).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from ..prompts import Box
from ..resize import masks_resize, spline_resize
from .family import Family, LogitsGrid, min_max, rgb
from .vit import VIT_B, VitSize, logits_side, vit_network

if TYPE_CHECKING:
    from .network import PromptableNetwork

INPUT_SIZE = 1024
# Margin around the object as a share of the slice's side. In training, the authors enlarge boxes by 0 to 20 of 1024
# pixels on each side; this is about the middle.
MARGIN = 8 / 1024


class MedSAM(Family):
    """MedSAM.

    Args:
        size: size of the image encoder.
        input_size: side of the square network input in pixels.
    """

    def __init__(self, size: VitSize = VIT_B, input_size: int = INPUT_SIZE) -> None:
        self.size = size
        self.input_size = input_size

    def build_network(self) -> PromptableNetwork:
        return vit_network(self.size, self.input_size)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        # The authors stretch every slice to the square, without keeping the aspect ratio.
        resized = min_max(rgb(spline_resize(image, self.input_size, self.input_size)))
        return np.ascontiguousarray(resized.transpose(2, 0, 1))

    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        scale = np.array([columns, rows, columns, rows])
        return (np.array(box.xyxy) / scale * self.input_size).astype(np.float32)

    def with_margin(self, box: Box, rows: int, columns: int, factor: float = 1.0) -> Box:
        margin = factor * MARGIN
        return box.padded(margin * columns, margin * rows).intersection(Box.of_slice(rows, columns)) or box

    def logits_grid(self, rows: int, columns: int) -> LogitsGrid:
        side = logits_side(self.input_size)
        return LogitsGrid(side, side / rows, side / columns)

    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        # Like the authors, interpolate probabilities instead of logits, which changes the contour.
        return masks_resize(expit(logits) - np.float32(0.5), rows, columns)


FAMILY = MedSAM()
