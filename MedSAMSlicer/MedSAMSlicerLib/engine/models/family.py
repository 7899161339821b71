"""Interface of a model family: its network, its preprocessing, and its conversion of prompts and masks.

Only `Family.build_network` and `Family.fold` import torch. OpenVINO runs networks without it, which saves seconds and
half a gigabyte of memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..prompts import Box, MaskPrompt, Points, SlicePrompt
from .input_part import InputPart

if TYPE_CHECKING:
    from .network import PromptableNetwork


@dataclass(frozen=True, eq=False)
class NetworkPrompt:
    """A prompt in pixels of the network's input. At least one of box, points and mask is given.

    Attributes:
        box: float32 (4,) x0, y0, x1, y1.
        points: float32 (n, 2) x, y.
        labels: float32 (n,), 1 for positive and 0 for negative points; None if `points` is None.
        mask: float32 (1, h, w), input of the prompt encoder, at the resolution of the decoder's logits.
    """

    box: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    mask: np.ndarray | None = None

    @property
    def only_box(self) -> bool:
        return self.composition == (True, 0, False)

    @property
    def composition(self) -> tuple[bool, int, bool]:
        """Whether there is a box, the number of points, whether there is a mask. Equal compositions can be batched."""
        return (self.box is not None, 0 if self.points is None else len(self.points), self.mask is not None)


@dataclass(frozen=True)
class LogitsGrid:
    """Pixels of the decoder's logits. The first one begins at the upper left corner of the slice.

    Attributes:
        side: rows and columns of the logits, of which the last ones may lie beyond the slice.
        down, across: size of a slice pixel in pixels of the logits, along rows and columns.
    """

    side: int
    down: float
    across: float


class Family(ABC):
    """A model family. It has no state: the weights are in the network that `build_network` returns.

    Attributes:
        input_size: side of the square network input in pixels.
        tensor_table: file in this folder with names and shapes of the tensors in the authors' weights file, so that the
            weights can be read, and the networks run by OpenVINO, without PyTorch; None if PyTorch is needed.
    """

    input_size: int
    tensor_table: str | None = None

    @abstractmethod
    def build_network(self) -> PromptableNetwork:
        """Build the network on the CPU, without weights, with the parameter names of the authors' weights files."""

    def fold(self, network: PromptableNetwork) -> None:  # noqa: B027 - most families have nothing to fold
        """Merge layers that can be merged once the weights are loaded, in place."""

    @abstractmethod
    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Convert a uint8 slice (rows, columns[, 3]) to the network's input, float32 (3, input_size, input_size)."""

    @abstractmethod
    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        """Convert a box on a slice of `rows` x `columns` pixels to float32 (4,) in pixels of the network's input."""

    def with_margin(self, box: Box, rows: int, columns: int, factor: float = 1.0) -> Box:
        """The box enlarged by the margin around the object that the model was trained with, clipped to the slice.

        Args:
            box: box in pixels of a slice of `rows` x `columns`.
            factor: multiple of the family's margin.
        """
        return box

    def part_around(self, box: Box, rows: int, columns: int) -> InputPart | None:
        """Part of the input that suffices to segment an object in a box, with the surroundings that the model needs.

        Args:
            box: box in pixels of a slice of `rows` x `columns`.

        Returns:
            The part; None if it is the whole input, or if the model encodes the whole input only.
        """
        return None

    def network_points(self, points: Points, rows: int, columns: int) -> np.ndarray:
        """Convert points on a slice to float32 (n, 2) in pixels of the network's input.

        Raises:
            NotImplementedError: the model takes no points.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no points")

    def network_mask(self, mask: MaskPrompt, rows: int, columns: int) -> np.ndarray:
        """Convert a mask prompt to float32 (1, h, w), input of the prompt encoder.

        Raises:
            InputError: the prompt is given as logits of another resolution than the decoder's.
            NotImplementedError: the model takes no masks.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no masks")

    def network_prompt(self, prompt: SlicePrompt, rows: int, columns: int) -> NetworkPrompt:
        """Convert all prompts on a slice of `rows` x `columns` pixels."""
        points = prompt.points
        return NetworkPrompt(
            box=None if prompt.box is None else self.network_box(prompt.box, rows, columns),
            points=None if points is None else self.network_points(points, rows, columns),
            labels=None if points is None else np.array(points.positive, np.float32),
            mask=None if prompt.mask is None else self.network_mask(prompt.mask, rows, columns),
        )

    def is_ambiguous(self, prompt: SlicePrompt) -> bool:
        """Whether the authors predict several masks for this kind of prompt and take the one with the best predicted IoU."""
        return False

    @abstractmethod
    def logits_grid(self, rows: int, columns: int) -> LogitsGrid:
        """Where the decoder's logits of a slice of `rows` x `columns` pixels lie on the slice."""

    @abstractmethod
    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """Convert float32 decoder logits (n, h, w) to bool masks of the slice (n, rows, columns)."""


def rgb(image: np.ndarray) -> np.ndarray:
    """Repeat a grey image (rows, columns) to (rows, columns, 3). Colour images are returned unchanged."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def min_max(image: np.ndarray) -> np.ndarray:
    """Rescale uint8 of any shape to float32 in [0, 1], by the minimum and maximum over all pixels and channels."""
    low, high = int(image.min()), int(image.max())
    return ((image - low) / max(high - low, 1e-8)).astype(np.float32)
