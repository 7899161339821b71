"""A SAM-like network with the smallest of encoders, for what has to do with how networks are run and kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from MedSAMSlicerLib.engine.models.network import PromptableNetwork
from support.seeded_weights import fill_with_seeded_weights

SMALL = 64
PATCH = 8


class SmallEncoder(nn.Module):
    """One convolution.

    Args:
        before: is given the number of slices of every batch, and may raise.
    """

    def __init__(self, before: Callable[[int], None] = lambda _count: None) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 256, PATCH, stride=PATCH)
        self._before = before

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self._before(len(image))
        return self.patches(image)


def small_network(before: Callable[[int], None] = lambda _count: None) -> PromptableNetwork:
    """The network with weights made by a rule, ready to run; `before` as of `SmallEncoder`."""
    network = PromptableNetwork(SmallEncoder(before), SMALL, SMALL // PATCH)
    fill_with_seeded_weights(network)
    return network.eval().requires_grad_(False)
