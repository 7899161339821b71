"""SAM-Med2D: SAM's ViT-B at 256x256 with adapter layers, trained on medical images; prompted by boxes, points, masks.

Steps follow the authors' ``predictor_sammed.py`` (OpenGVLab/SAM-Med2D), the use of masks and of several masks for one
prompt their ``train.py``, ``test.py`` and notebook.
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
        from .sam_med2d_network import adapted_network

        return adapted_network(self.size, self.input_size)

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
        return expit(logits)

    def is_ambiguous(self, prompt: SlicePrompt) -> bool:
        """The authors train and test with several masks for whatever prompt, boxes included."""
        return True

    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        return masks_resize(scores_resize(logits, self.input_size, self.input_size), rows, columns)


FAMILY = SamMed2D()
