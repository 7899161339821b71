"""Runs networks with PyTorch on the CPU, on CUDA or on MPS."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch

from ..models.family import NetworkPrompt
from ..models.network import PromptableNetwork
from .batches import Batches
from .device_memory import DeviceMemory
from .quick_decoder import QuickDecoder

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
MOST_SLICES, MOST_PROMPTS = 8, 32
"""Largest batches, for any amount of memory: larger ones gain little and delay the first results."""


class TorchRuntime:
    """Runs a network with PyTorch.

    Args:
        network: network with its weights. It is put in evaluation mode, and its encoder is cast in place.
        device: "cpu", "cuda" or "mps".
        precision: precision of the encoder: "float32", "float16" or "bfloat16". The decoder, a small part of the work,
            always runs in float32, because its logits become contours.
        memory: memory of a graphics device, which limits batches; None: one slice at a time and all prompts at once.
        notes: list to which a note for the user is appended when a batch runs out of memory.
    """

    name = "torch"

    def __init__(
        self,
        network: PromptableNetwork,
        device: str,
        precision: str = "float32",
        memory: DeviceMemory | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.device = device
        self.encodes_parts = network.encodes_parts
        self.version = f"{torch.__version__} {precision}"
        self._type = PRECISIONS[precision]
        self._network = network.eval().requires_grad_(False).to(device)
        self._network.image_encoder.to(self._type)
        self._slices = self._prompts = None
        if memory is not None:
            notes = [] if notes is None else notes
            self._slices = Batches("slices", MOST_SLICES, memory, notes)
            self._prompts = Batches("prompts", MOST_PROMPTS, memory, notes)
        with torch.inference_mode():
            self._position = network.prompt_encoder.get_dense_pe()
            self._decoder = QuickDecoder(network.mask_decoder)

    @property
    def slices_at_once(self) -> int:
        """See `Runtime.slices_at_once`."""
        return 1 if self._slices is None else self._slices.size

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """See `Runtime.encode`."""
        return self.encode_many([prepared])[0]

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Runtime.encode_many`."""
        if self._slices is None:
            return [self._encode([one])[0] for one in prepared]
        # Slices of one batch have the same size.
        groups = [list(group) for _, group in groupby(prepared, key=lambda one: one.shape)]
        return [embedding for group in groups for embedding in self._slices.run(group, self._encode)]

    @torch.inference_mode()
    def _encode(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        images = torch.from_numpy(np.stack(prepared)).to(self.device, self._type)
        # Copies: a view of one embedding would keep the whole batch in memory.
        return [one.copy() for one in self._network.image_encoder(images).float().cpu().numpy()]

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runtime.decode`."""
        if self._prompts is None:
            return self._decode(embedding, prompts, multimask, origin)
        results = self._prompts.run(
            prompts, lambda batch: list(zip(*self._decode(embedding, batch, multimask, origin), strict=True))
        )
        logits, ious = zip(*results, strict=True)
        return np.stack(logits), np.stack(ious)

    @torch.inference_mode()
    def _decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool, origin: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        points = self._stacked([prompt.points for prompt in prompts])
        labels = self._stacked([prompt.labels for prompt in prompts])
        sparse, dense = self._network.prompt_encoder(
            points=None if points is None else (points, labels),
            boxes=self._stacked([prompt.box for prompt in prompts]),
            masks=self._stacked([prompt.mask for prompt in prompts]),
        )
        image = torch.from_numpy(embedding).to(self.device).unsqueeze(0)
        (row, column), (height, width) = origin, embedding.shape[1:]
        part = (..., slice(row, row + height), slice(column, column + width))
        logits, ious = self._decoder(image, self._position[part], sparse, dense[part])
        chosen = slice(1, None) if multimask else slice(0, 1)
        return logits[:, chosen].cpu().numpy(), ious[:, chosen].cpu().numpy()

    def _stacked(self, parts: list[np.ndarray | None]) -> torch.Tensor | None:
        """Stack one part of all prompts along a new first axis; None if the prompts do not have it."""
        given = [part for part in parts if part is not None]
        return torch.from_numpy(np.stack(given)).to(self.device) if given else None
