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
        device: one of `DEVICE_NAMES`.
        version: version and precision of the runtime; embeddings of different versions differ.
        encodes_parts: whether a part of the network's input can be encoded; otherwise only all of it.
    """

    name: str
    device: str
    version: str
    encodes_parts: bool

    @property
    def slices_at_once(self) -> int:
        """Number of slices to encode in one batch now; more than 1 only if that is faster."""
        ...

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """Embed the network's input or a part of it.

        Args:
            prepared: float32 (3, h, w); h and w are the input's size, or any multiples of 4 up to that if the runtime
                encodes parts.

        Returns:
            float32 (channels, rows, columns) tokens; of LiteMedSAM, a token for each 4 x 4 pixels.
        """
        ...

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`encode` for several slices, whose sizes may differ."""
        ...

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict masks for n prompts on one slice.

        Args:
            embedding: result of `encode`.
            prompts: at least one, all with the same `NetworkPrompt.composition`, in pixels of the network's whole input.
            multimask: return the decoder's three masks for ambiguous prompts instead of its single one.
            origin: row and column of the embedding's first token among the tokens of the whole input.

        Returns:
            float32 logits (n, m, 4 rows, 4 columns), of the part that the embedding shows, and predicted IoU (n, m), with
            m = 3 or 1.
        """
        ...
