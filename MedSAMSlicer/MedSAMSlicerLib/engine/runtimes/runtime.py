"""Interface of runtimes, which run the encoder and decoder of a network on numpy arrays, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from ..models.family import NetworkPrompt


class Runtime(Protocol):
    """A loaded network that can be run.

    Attributes:
        name: "torch" or "openvino".
        device: "cpu", "cuda" or "mps".
        version: version and precision of the runtime; embeddings of different versions differ.
    """

    name: str
    device: str
    version: str

    @property
    def slices_at_once(self) -> int:
        """Number of slices to encode in one batch now; more than 1 only if that is faster."""
        ...

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """Embed a network input: float32 (3, side, side) -> float32 (channels, h, w)."""
        ...

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`encode` for several slices."""
        ...

    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict masks for n prompts on one slice.

        Args:
            embedding: result of `encode`.
            prompts: at least one, all with the same `NetworkPrompt.composition`.
            multimask: return the decoder's three masks for ambiguous prompts instead of its single one.

        Returns:
            float32 logits (n, m, H, W) and predicted IoU (n, m), with m = 3 or 1.
        """
        ...
