"""LiteMedSAM: TinyViT encoder at 256x256 with SAM's prompt encoder and mask decoder; prompted by boxes.

Steps follow the authors' ``CVPR24_LiteMedSAM_infer.py`` (bowang-lab/MedSAM, branch LiteMedSAM).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..prompts import Box
from ..resize import area_resize, longest_side_size, masks_resize
from .family import Family, LogitsGrid, min_max, rgb
from .input_part import InputPart

if TYPE_CHECKING:
    from .network import PromptableNetwork

INPUT_SIZE = 256
PIXELS_PER_TOKEN = 4
# Margin around the object in network pixels. The authors trained with boxes up to 5 pixels larger on each side. With 2,
# true rectangles reach a mean DSC of 0.883 on 17 development cases, without a margin 0.877.
MARGIN = 2.0
# Windows of the encoder's third stage, in tokens. Parts begin and end where these windows do, so that a part has the
# windows that the whole slice has, and nearly the same embedding.
WINDOW_TOKENS = 14
# Least distance between the box and the edge of the part, in network pixels, and least side of a part in windows; see
# docs/development/propagation.md.
SURROUNDINGS = 42.0
LEAST_WINDOWS = 3


class LiteMedSAM(Family):
    """LiteMedSAM.

    Args:
        input_size: side of the square network input in pixels.
    """

    tensor_table = "litemedsam_tensors.json"

    def __init__(self, input_size: int = INPUT_SIZE) -> None:
        self.input_size = input_size

    def build_network(self) -> PromptableNetwork:
        from .network import PromptableNetwork
        from .tinyvit import TinyViT

        tokens = self.input_size // PIXELS_PER_TOKEN
        return PromptableNetwork(TinyViT(), self.input_size, tokens, encodes_parts=True)

    def fold(self, network: PromptableNetwork) -> None:
        from .tinyvit import TinyViT

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

    def with_margin(self, box: Box, rows: int, columns: int, factor: float = 1.0) -> Box:
        # `network_box` uses the index of the last pixel as the edge, and truncates: on small slices the right and lower
        # edges would lie up to one slice pixel inside the object. Here the outer edges are used, and rounded.
        pixel = max(rows, columns) / self.input_size
        margin = factor * MARGIN * pixel
        lowest, highest = 0.0, (self.input_size - 0.5) * pixel
        x0, y0 = (max(lowest, edge - margin + pixel / 2) for edge in (box.x0, box.y0))
        x1, y1 = (min(highest, edge + 1 - pixel + margin + pixel / 2) for edge in (box.x1, box.y1))
        return Box(x0, y0, max(x0, x1), max(y0, y1))

    def part_around(self, box: Box, rows: int, columns: int) -> InputPart | None:
        x0, y0, x1, y1 = self.network_box(box, rows, columns).tolist()
        height, width = longest_side_size(rows, columns, self.input_size)
        down, across = _windows(y0, y1, height), _windows(x0, x1, width)
        part = InputPart(down[0], across[0], down[1], across[1], PIXELS_PER_TOKEN)
        everything = self.input_size // PIXELS_PER_TOKEN
        return None if (part.rows, part.columns) == (everything, everything) else part

    def logits_grid(self, rows: int, columns: int) -> LogitsGrid:
        height, width = longest_side_size(rows, columns, self.input_size)
        return LogitsGrid(self.input_size, height / rows, width / columns)

    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        height, width = longest_side_size(rows, columns, self.input_size)
        return masks_resize(logits[:, :height, :width], rows, columns)


def _windows(low: float, high: float, side: int) -> tuple[int, int]:
    """First token and number of tokens of the windows around an interval in pixels, on a side of `side` pixels."""
    window = WINDOW_TOKENS * PIXELS_PER_TOKEN
    count = -(-side // window)
    first = max(0, int((low - SURROUNDINGS) // window))
    end = min(count, int(-(-(high + SURROUNDINGS) // window)))
    while end - first < min(LEAST_WINDOWS, count):
        # The window that is nearer to the interval.
        if end == count or (first > 0 and low - first * window < end * window - high):
            first -= 1
        else:
            end += 1
    # The last window may be incomplete, and the padding beyond the slice is not encoded.
    tokens = -(-side // PIXELS_PER_TOKEN)
    return first * WINDOW_TOKENS, min(end * WINDOW_TOKENS, tokens) - first * WINDOW_TOKENS


FAMILY = LiteMedSAM()
