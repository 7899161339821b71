"""SAM-Med2D: SAM's ViT-B at 256x256 with adapter layers, trained on medical images; prompted by boxes, points, masks.

Steps follow the authors' ``predictor_sammed.py`` (OpenGVLab/SAM-Med2D); mask prompts and multimask output follow their
``train.py``, ``test.py`` and notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from ..prompts import MaskPrompt, SlicePrompt
from ..resize import masks_resize, scores_resize
from .family import rgb
from .sam import PIXEL_MEAN, PIXEL_STD, PromptedByAll
from .vit import VIT_B, VitSize

if TYPE_CHECKING:
    from .network import PromptableNetwork

INPUT_SIZE = 256


def nearest_pixels(source: int, target: int) -> np.ndarray:
    """Index of the source pixel for each of `target` pixels, as in OpenCV's ``INTER_NEAREST``.

    OpenCV takes the pixel that holds the left corner of the target pixel, and rounds the scale as below. With
    source / target, corners on the border of two pixels would sometimes give the other pixel, for example for 186 pixels.
    """
    scale = 1 / (target / source)
    return np.minimum(np.floor(np.arange(target) * scale).astype(int), source - 1)


class SamMed2D(PromptedByAll):
    """SAM-Med2D.

    Args:
        size: size of the image encoder.
        input_size: side of the square network input in pixels.
        colour_order: order of the channels in the network's input, "BGR" or "RGB". The authors' training and test code
            reads colour images as BGR, so the weights expect that, although `SammedPredictor.set_image` documents RGB.
            For grey images both are the same.
    """

    def __init__(self, size: VitSize = VIT_B, input_size: int = INPUT_SIZE, colour_order: str = "BGR") -> None:
        super().__init__(input_size)
        self.size = size
        self._channels = slice(None, None, {"RGB": 1, "BGR": -1}[colour_order])

    def build_network(self) -> PromptableNetwork:
        from .sam_med2d_network import adapted_network

        return adapted_network(self.size, self.input_size)

    def resized(self, rows: int, columns: int) -> tuple[int, int]:
        # The authors' predictor stretches every slice to the square, without keeping the aspect ratio.
        return self.input_size, self.input_size

    def prepare(self, image: np.ndarray) -> np.ndarray:
        rows, columns = image.shape[:2]
        row, column = nearest_pixels(rows, self.input_size), nearest_pixels(columns, self.input_size)
        nearest = rgb(image[row[:, None], column])[..., self._channels]
        return np.ascontiguousarray(((nearest - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1))

    def network_mask(self, mask: MaskPrompt, rows: int, columns: int) -> np.ndarray:
        """Convert a mask prompt to float32 (1, h, w) probabilities, with which the authors train and test."""
        logits = super().network_mask(mask, rows, columns)
        return expit(logits)

    def is_ambiguous(self, prompt: SlicePrompt) -> bool:
        """True: the authors train and test with several masks for every kind of prompt."""
        return True

    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        return masks_resize(scores_resize(logits, self.input_size, self.input_size), rows, columns)


FAMILY = SamMed2D()
