"""A model's weights file with what is needed to make a network of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import ModelSpec
from .family import Family

if TYPE_CHECKING:
    from .network import PromptableNetwork


@dataclass(frozen=True)
class NetworkFile:
    """A verified weights file.

    Attributes:
        spec: of the model.
        family: its code.
        path: of the file.
        sha256: of its content.
    """

    spec: ModelSpec
    family: Family
    path: Path
    sha256: str

    @property
    def identity(self) -> str:
        """Names model and weights in characters that a file name may have."""
        return f"{self.spec.key}-{self.sha256[:16]}"

    def build(self) -> PromptableNetwork:
        """The network with its weights, in evaluation mode on the CPU. Imports torch. Raises WeightsError."""
        from .network import load_network

        return load_network(self.spec, self.family, self.path).eval().requires_grad_(False)

    def convert(self, folder: Path) -> None:
        """Write the network, converted for OpenVINO, into an empty folder. Raises RuntimeError."""
        from ..runtimes.openvino_apart import convert_apart

        convert_apart(self.spec.key, self.path, folder)
