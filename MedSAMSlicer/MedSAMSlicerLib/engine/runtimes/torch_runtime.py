"""Runs networks with PyTorch on the CPU, on CUDA or on MPS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..models.family import NetworkPrompt
from ..models.network import PromptableNetwork


class TorchRuntime:
    """A network in float32, in evaluation mode.

    Args:
        network: with its weights loaded.
        device: as `choose_device` returns it.
    """

    name = "torch"
    version = f"{torch.__version__} float32"

    def __init__(self, network: PromptableNetwork, device: str) -> None:
        self.device = device
        self._network = network.eval().requires_grad_(False).to(device)
        with torch.inference_mode():
            self._position = network.prompt_encoder.get_dense_pe()

    @torch.inference_mode()
    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """float32 (3, side, side) network input -> float32 (channels, h, w) embedding."""
        image = torch.from_numpy(prepared).to(self.device).unsqueeze(0)
        return self._network.image_encoder(image)[0].cpu().numpy()

    @torch.inference_mode()
    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `Runtime.decode`."""
        points = self._stacked([prompt.points for prompt in prompts])
        labels = self._stacked([prompt.labels for prompt in prompts])
        sparse, dense = self._network.prompt_encoder(
            points=None if points is None else (points, labels),
            boxes=self._stacked([prompt.box for prompt in prompts]),
            masks=self._stacked([prompt.mask for prompt in prompts]),
        )
        logits, ious = self._network.mask_decoder(
            image_embeddings=torch.from_numpy(embedding).to(self.device).unsqueeze(0),
            image_pe=self._position,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return logits.cpu().numpy(), ious.cpu().numpy()

    def _stacked(self, parts: list[np.ndarray | None]) -> torch.Tensor | None:
        """One part of each prompt along a new first axis; None where the prompts go without it."""
        given = [part for part in parts if part is not None]
        return torch.from_numpy(np.stack(given)).to(self.device) if given else None
