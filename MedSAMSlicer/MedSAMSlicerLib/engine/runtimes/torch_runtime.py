"""Runs networks with PyTorch on the CPU, on CUDA or on MPS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..models.family import NetworkPrompt
from ..models.network import PromptableNetwork
from .batches import Batches
from .device_memory import DeviceMemory
from .quick_decoder import QuickDecoder

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
MOST_SLICES, MOST_PROMPTS = 8, 32
"""In one batch, however much memory there is: more would gain little and keep embeddings from whoever waits."""


class TorchRuntime:
    """A network in evaluation mode.

    Args:
        network: with its weights loaded. Its encoder is cast in place.
        device: as `choose_device` returns it.
        precision: of the encoder: "float32", "float16" or "bfloat16". The decoder, a small part of the work whose logits
            become contours, always runs in float32.
        memory: of a graphics device, on which several slices or prompts go together; None: one slice at a time, and all
            prompts at once.
        notes: gets a line whenever the device's memory was not enough for a batch.
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
        self.version = f"{torch.__version__} {precision}"
        self._type = PRECISIONS[precision]
        self._network = network.eval().requires_grad_(False).to(device)
        self._network.image_encoder.to(self._type)
        self._slices = self._prompts = None
        if memory is not None:
            told = [] if notes is None else notes
            self._slices = Batches("slices", MOST_SLICES, memory, told)
            self._prompts = Batches("prompts", MOST_PROMPTS, memory, told)
        with torch.inference_mode():
            self._position = network.prompt_encoder.get_dense_pe()
            self._decoder = QuickDecoder(network.mask_decoder)

    @property
    def slices_at_once(self) -> int:
        """As `Runtime.slices_at_once`."""
        return 1 if self._slices is None else self._slices.size

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """float32 (3, side, side) network input -> float32 (channels, h, w) embedding."""
        return self.encode_many([prepared])[0]

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As `encode`, of several slices."""
        if self._slices is None:
            return [self._encode([one])[0] for one in prepared]
        return self._slices.run(prepared, self._encode)

    @torch.inference_mode()
    def _encode(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        images = torch.from_numpy(np.stack(prepared)).to(self.device, self._type)
        # Each by itself, lest one that is kept keep the others.
        return [one.copy() for one in self._network.image_encoder(images).float().cpu().numpy()]

    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `Runtime.decode`."""
        if self._prompts is None:
            return self._decode(embedding, prompts, multimask)
        answers = self._prompts.run(
            prompts, lambda some: list(zip(*self._decode(embedding, some, multimask), strict=True))
        )
        logits, ious = zip(*answers, strict=True)
        return np.stack(logits), np.stack(ious)

    @torch.inference_mode()
    def _decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        points = self._stacked([prompt.points for prompt in prompts])
        labels = self._stacked([prompt.labels for prompt in prompts])
        sparse, dense = self._network.prompt_encoder(
            points=None if points is None else (points, labels),
            boxes=self._stacked([prompt.box for prompt in prompts]),
            masks=self._stacked([prompt.mask for prompt in prompts]),
        )
        image = torch.from_numpy(embedding).to(self.device).unsqueeze(0)
        logits, ious = self._decoder(image, self._position, sparse, dense)
        chosen = slice(1, None) if multimask else slice(0, 1)
        return logits[:, chosen].cpu().numpy(), ious[:, chosen].cpu().numpy()

    def _stacked(self, parts: list[np.ndarray | None]) -> torch.Tensor | None:
        """One part of each prompt along a new first axis; None where the prompts go without it."""
        given = [part for part in parts if part is not None]
        return torch.from_numpy(np.stack(given)).to(self.device) if given else None
