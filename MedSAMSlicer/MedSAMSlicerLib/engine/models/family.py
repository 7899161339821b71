"""What a model family has to provide: its network, and the way from slices and prompts to the network and back.

Only `Family.build_network` and `Family.fold` import torch. Where a converted network runs with OpenVINO nothing else
needs it, and importing it would take seconds and half a gigabyte of memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..prompts import Box, MaskPrompt, Points, SlicePrompt

if TYPE_CHECKING:
    from .network import PromptableNetwork


@dataclass(frozen=True, eq=False)
class NetworkPrompt:
    """A prompt in the pixels of the network's input. At least one of box, points and mask.

    Attributes:
        box: float32 (4,) x0, y0, x1, y1.
        points: float32 (n, 2) x, y.
        labels: float32 (n,), 1 for positive and 0 for negative points; None exactly where `points` is.
        mask: float32 (1, h, w) as it enters the prompt encoder, at the decoder's resolution.
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
        """Box or not, number of points, mask or not: prompts alike in this go through the decoder together."""
        return (self.box is not None, 0 if self.points is None else len(self.points), self.mask is not None)


class Family(ABC):
    """One model family. Stateless: the weights live in the network that `build_network` makes.

    Attributes:
        input_size: side of the square network input in pixels.
    """

    input_size: int

    @abstractmethod
    def build_network(self) -> PromptableNetwork:
        """The network without its weights, on the CPU, with exactly the authors' parameter names."""

    def fold(self, network: PromptableNetwork) -> None:  # noqa: B027 - most families have nothing to merge
        """Merge what is constant once the weights are loaded."""

    @abstractmethod
    def prepare(self, image: np.ndarray) -> np.ndarray:
        """uint8 (rows, columns) or (rows, columns, 3) RGB -> float32 (3, input_size, input_size)."""

    @abstractmethod
    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        """Box on a slice of `rows` x `columns` -> float32 (4,) in pixels of the network's input."""

    def with_margin(self, box: Box, rows: int, columns: int, factor: float = 1.0) -> Box:
        """The box enlarged by the margin around the object that the model was trained with, clipped to the slice.

        Args:
            box: box in pixels of a slice of `rows` x `columns`.
            factor: multiple of the family's margin.
        """
        return box

    def network_points(self, points: Points, rows: int, columns: int) -> np.ndarray:
        """Points on a slice -> float32 (n, 2) in pixels of the network's input; for models that take points."""
        raise NotImplementedError(f"{type(self).__name__} takes no points")

    def network_mask(self, mask: MaskPrompt, rows: int, columns: int) -> np.ndarray:
        """Mask prompt -> float32 (1, h, w) as it enters the prompt encoder; for models that take masks.

        Raises:
            InputError: the logits have another resolution than the decoder's.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no masks")

    def network_prompt(self, prompt: SlicePrompt, rows: int, columns: int) -> NetworkPrompt:
        """Everything that was given on a slice of `rows` x `columns`, for the network."""
        points = prompt.points
        return NetworkPrompt(
            box=None if prompt.box is None else self.network_box(prompt.box, rows, columns),
            points=None if points is None else self.network_points(points, rows, columns),
            labels=None if points is None else np.array(points.positive, np.float32),
            mask=None if prompt.mask is None else self.network_mask(prompt.mask, rows, columns),
        )

    def is_ambiguous(self, prompt: SlicePrompt) -> bool:
        """Whether the authors ask for several masks of such a prompt, to take the one with the best predicted IoU."""
        return False

    @abstractmethod
    def slice_masks(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """float32 decoder logits (n, h, w) -> bool (n, rows, columns) masks of the slice."""


def rgb(image: np.ndarray) -> np.ndarray:
    """(rows, columns) grey -> (rows, columns, 3); colour images unchanged."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def min_max(image: np.ndarray) -> np.ndarray:
    """uint8 of any shape -> float32 stretched to [0, 1] over all pixels and channels together."""
    low, high = int(image.min()), int(image.max())
    return ((image - low) / max(high - low, 1e-8)).astype(np.float32)
