"""SAM: vision transformers at 1024x1024, trained on photographs; prompted by boxes, points and masks.

Steps follow the authors' ``SamPredictor`` and ``Sam`` (facebookresearch/segment-anything).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..prompts import Box, MaskPrompt, Points, SlicePrompt
from ..resize import longest_side_size, masks_resize, scores_resize
from .family import Family, LogitsGrid, rgb
from .vit import VIT_B, VIT_H, VIT_L, VitSize, logits_side, vit_network

if TYPE_CHECKING:
    from .network import PromptableNetwork

INPUT_SIZE = 1024
# Statistics of ImageNet for values from 0 to 255, in the order R, G, B.
PIXEL_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
PIXEL_STD = np.array([58.395, 57.12, 57.375], np.float32)
# Margin per unit of `factor` above 1, as a share of the slice's longer side. With the factor of the loose box in
# `propagation.outward` that is 3 pixels of 256, as for LiteMedSAM.
EXTRA_MARGIN = 2 / 256
# Probability that a pixel inside a drawn mask belongs to the object; see `coverage_to_logits`.
DRAWN_MASK_CERTAINTY = 0.999


class PromptedByAll(Family):
    """Base class of SAM, MobileSAM and SAM-Med2D, which take prompts of every kind, scaled with the slice.

    Args:
        input_size: side of the square network input in pixels.
    """

    def __init__(self, input_size: int) -> None:
        self.input_size = input_size

    @property
    def logits_size(self) -> int:
        """Side of the decoder's logits and of mask prompts."""
        return logits_side(self.input_size)

    def resized(self, rows: int, columns: int) -> tuple[int, int]:
        """Height and width of a slice of `rows` x `columns` pixels in the network's input."""
        raise NotImplementedError

    def with_margin(self, box: Box, rows: int, columns: int, factor: float = 1.0) -> Box:
        """Unchanged up to a factor of 1: the authors prompt with boxes as they are drawn, without a margin."""
        margin = max(0.0, factor - 1) * EXTRA_MARGIN * max(rows, columns)
        return box.padded(margin, margin).intersection(Box.of_slice(rows, columns)) or box

    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        return self._scaled(np.array(box.xyxy).reshape(2, 2), rows, columns).reshape(4)

    def network_points(self, points: Points, rows: int, columns: int) -> np.ndarray:
        return self._scaled(np.array(points.coordinates), rows, columns)

    def _scaled(self, xy: np.ndarray, rows: int, columns: int) -> np.ndarray:
        height, width = self.resized(rows, columns)
        return (xy * np.array([width / columns, height / rows])).astype(np.float32)

    def logits_grid(self, rows: int, columns: int) -> LogitsGrid:
        height, width = self.resized(rows, columns)
        share = self.logits_size / self.input_size
        return LogitsGrid(self.logits_size, height / rows * share, width / columns * share)

    def network_mask(self, mask: MaskPrompt, rows: int, columns: int) -> np.ndarray:
        if mask.mask is not None:
            return coverage_to_logits(self.coverage(mask.mask))[None]
        assert mask.logits is not None
        if mask.logits.shape != (self.logits_size, self.logits_size):
            raise InputError(
                f"a mask prompt of {mask.logits.shape} logits does not fit the model, which takes "
                f"{self.logits_size} x {self.logits_size}: give those of an earlier prediction by the same model"
            )
        return mask.logits[None]

    def coverage(self, mask: np.ndarray) -> np.ndarray:
        """Share of each pixel of the decoder's logits that a bool mask (rows, columns) covers, as float32."""
        import torch
        import torch.nn.functional as F

        rows, columns = mask.shape
        height, width = self.resized(rows, columns)
        whole = torch.from_numpy(mask.astype(np.float32))[None, None]
        resized = F.interpolate(whole, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
        padded = F.pad(resized, (0, self.input_size - width, 0, self.input_size - height))
        return F.avg_pool2d(padded, self.input_size // self.logits_size)[0, 0].clamp(0, 1).numpy()


def coverage_to_logits(coverage: np.ndarray) -> np.ndarray:
    """Convert float32 coverage from 0 to 1 to logits like those of a decoder that is nearly certain.

    SAM was trained with the logits of its own previous prediction, and its authors publish no conversion of drawn masks.
    This is the inverse of the sigmoid, clipped at `DRAWN_MASK_CERTAINTY` (logits of about +-6.9), as in micro-sam
    (Archit et al., Segment Anything for Microscopy, Nature Methods 22:579, 2025).
    """
    share = np.clip(coverage, 1 - DRAWN_MASK_CERTAINTY, DRAWN_MASK_CERTAINTY)
    return np.log(share / (1 - share)).astype(np.float32)


class PreparedAsSam(PromptedByAll):
    """Base class of SAM and MobileSAM, which resize the longest side of a slice and pad the other."""

    def resized(self, rows: int, columns: int) -> tuple[int, int]:
        return longest_side_size(rows, columns, self.input_size)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        height, width = self.resized(*image.shape[:2])
        from PIL import Image  # comes with torchvision: Slicer has it where it has PyTorch

        resized = rgb(np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)))
        # The authors pad after normalization: the padding has the mean colour instead of black.
        prepared = np.zeros((3, self.input_size, self.input_size), np.float32)
        prepared[:, :height, :width] = ((resized - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1)
        return prepared

    def is_ambiguous(self, prompt: SlicePrompt) -> bool:
        """True for a single point, which may mean a part, an object or a group of objects."""
        return prompt.kinds == {"points"} and prompt.points is not None and len(prompt.points) == 1

    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        height, width = self.resized(rows, columns)
        # Like the authors, in two steps; one step from the logits to the slice would change the contour.
        whole = scores_resize(logits, self.input_size, self.input_size)
        return masks_resize(whole[:, :height, :width], rows, columns)


class Sam(PreparedAsSam):
    """SAM.

    Args:
        size: size of the image encoder.
        input_size: side of the square network input in pixels.
    """

    def __init__(self, size: VitSize, input_size: int = INPUT_SIZE) -> None:
        super().__init__(input_size)
        self.size = size

    def build_network(self) -> PromptableNetwork:
        return vit_network(self.size, self.input_size)


SAM_VIT_B = Sam(VIT_B)
SAM_VIT_L = Sam(VIT_L)
SAM_VIT_H = Sam(VIT_H)
