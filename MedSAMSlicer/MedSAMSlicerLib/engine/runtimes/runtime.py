"""What a runtime does: run a network's encoder and decoder. Arrays in and out are numpy, on any device."""

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
        version: of what computes, and how precisely: embeddings of another version are others.
    """

    name: str
    device: str
    version: str

    @property
    def slices_at_once(self) -> int:
        """How many slices it would encode in one go now: more than 1 only where that is faster than one by one."""
        ...

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """float32 (3, side, side) network input -> float32 (channels, h, w) embedding."""
        ...

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As `encode`, of several slices."""
        ...

    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answer n prompts on one embedding.

        Args:
            embedding: as `encode` returned it.
            prompts: at least one, all of the same `NetworkPrompt.composition`.
            multimask: give the decoder's three masks for ambiguous prompts instead of its one.

        Returns:
            float32 logits (n, m, H, W) and predicted IoU (n, m), with m = 3 or 1.
        """
        ...
