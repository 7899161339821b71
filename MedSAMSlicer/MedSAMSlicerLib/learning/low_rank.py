"""Changes of a decoder that are learned: of low rank for matrices (Hu et al., LoRA, arXiv:2106.09685), in full for the rest.

They are none at the beginning, so that learning begins with the decoder as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.models.adapter import PARTS

# Parameters that boxes do not use, or that every use of embeddings refers to.
_UNCHANGED = ("mask_downscaling", "point_embeddings.0", "point_embeddings.1", "not_a_point", "gaussian")
_HYPERNETWORKS, _HYPERNETWORK = "hypernetworks_mlps.", "hypernetworks_mlps.0."
"""Networks of the masks; only that of the single mask is used."""


class DecoderChanges(nn.Module):
    """Changes of prompt encoder and mask decoder.

    Args:
        arrays: parameters of the network that learning begins with, by the authors' names.
        rank: rank of the changes of matrices.
        seed: of one factor of these; the other one begins with zeros.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], rank: int, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.start = {
            name: torch.from_numpy(np.array(array, np.float32))
            for name, array in sorted(arrays.items())
            if name.startswith(PARTS)
        }
        self.down, self.up, self.delta = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        for name, value in self.start.items():
            if any(part in name for part in _UNCHANGED):
                continue
            if _HYPERNETWORKS in name and _HYPERNETWORK not in name:
                continue
            key = _as_key(name)
            # Of a small matrix, two factors are no smaller than the whole.
            if value.ndim != 2 or min(value.shape) <= rank:
                self.delta[key] = nn.Parameter(torch.zeros_like(value))
            else:
                outputs, inputs = value.shape
                self.down[key] = nn.Parameter(torch.randn(rank, inputs, generator=random) / math.sqrt(inputs))
                self.up[key] = nn.Parameter(torch.zeros(outputs, rank))

    def to_device(self, device: str) -> DecoderChanges:
        """Move the changes and what they change."""
        self.to(device)
        self.start = {name: value.to(device) for name, value in self.start.items()}
        return self

    @property
    def low_rank(self) -> list[nn.Parameter]:
        """Factors of the changes of matrices."""
        return [*self.down.values(), *self.up.values()]

    @property
    def full(self) -> list[nn.Parameter]:
        """The other changes."""
        return list(self.delta.values())

    def changed(self, changes: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """All parameters of the decoder, with the changes.

        Args:
            changes: changes as `state_dict` gives them, instead of the present ones.
        """
        state = dict(self.named_parameters()) if changes is None else changes
        result = dict(self.start)
        for key in self.delta:
            result[_as_name(key)] = self.start[_as_name(key)] + state[f"delta.{key}"]
        for key in self.down:
            result[_as_name(key)] = self.start[_as_name(key)] + state[f"up.{key}"] @ state[f"down.{key}"]
        return result


def scaled(changes: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """A part of some changes: of each product, one factor is multiplied."""
    return {name: value if name.startswith("down.") else share * value for name, value in changes.items()}


def adapter_tensors(changes: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of an adapter file.

    Args:
        changes: `DecoderChanges.state_dict` as arrays.
        before: tensors of the adapter that learning began with, by their names in the file; empty for none. Changes are
            added to them.

    Returns:
        Name in the file -> float16 array.
    """
    found = {name: array.astype(np.float32) for name, array in before.items()}
    for kind, key, array in _parts(changes):
        name = _as_name(key)
        if kind == "delta":
            earlier = _product(found, name)
            found[f"{name}.delta"] = array if earlier is None else array + earlier.reshape(array.shape)
        elif kind == "down" and f"{name}.delta" in found:
            delta = found[f"{name}.delta"]
            found[f"{name}.delta"] = delta + (changes[f"up.{key}"] @ array).reshape(delta.shape)
        elif kind == "down":
            up = changes[f"up.{key}"]
            # The sum of two products is the product of the factors side by side.
            found[f"{name}.down"] = np.concatenate([*_there(found, f"{name}.down"), array])
            found[f"{name}.up"] = np.concatenate([*_there(found, f"{name}.up"), up], axis=1)
    return {name: array.astype(np.float16) for name, array in found.items()}


def _parts(changes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
    for name, array in changes.items():
        kind, _, key = name.partition(".")
        yield kind, key, array


def _product(found: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """Remove the change of a parameter from the tensors; None if there is none."""
    if f"{name}.delta" in found:
        return found.pop(f"{name}.delta")
    if f"{name}.up" in found:
        return found.pop(f"{name}.up") @ found.pop(f"{name}.down")
    return None


def _there(found: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [found[name]] if name in found else []


def _as_key(name: str) -> str:
    """Name of a parameter as `nn.ParameterDict` allows it: without dots."""
    return name.replace(".", "/")


def _as_name(key: str) -> str:
    return key.replace("/", ".")
