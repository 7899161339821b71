"""Checkpoint files: reads their tensors, tells which models these fit, and builds a network with them.

A checkpoint is a bare state dictionary, as most authors publish it; or it holds one beside the optimiser, as training
writes it; or its names begin with ``module.``, as parallel training writes them.

PyTorch opens a file only after its checksum was verified, or when the user imports it, and always with
``weights_only=True``.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..optional_packages import check_torch
from .adapter import Adapter
from .catalogue import CATALOGUE, ModelSpec
from .family import Family

if TYPE_CHECKING:
    from torch import Tensor

    from .network import PromptableNetwork

# Keys under which training checkpoints hold the state dictionary of the model, in the order in which they are tried.
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_PARALLEL_PREFIX = "module."


@dataclass(frozen=True)
class NetworkFile:
    """A verified weights file, and how a network is built with it.

    Attributes:
        spec: the model.
        family: code of the model family.
        path: path of the file.
        sha256: checksum of the file.
        adapter: changes of the decoder, which fit the file; None for none.
    """

    spec: ModelSpec
    family: Family
    path: Path
    sha256: str
    adapter: Adapter | None = None

    @property
    def identity(self) -> str:
        """Name of model and weights, in characters that file names may have."""
        return f"{self.spec.key}-{self.sha256[:16]}"

    @property
    def encoder_identity(self) -> str:
        """Name of what embeddings depend on: an adapter does not change them."""
        return f"{self.spec.base_spec.key}|{self.sha256}"

    def build(self) -> PromptableNetwork:
        """The network with its weights, in evaluation mode on the CPU.

        Raises:
            MissingPackage: PyTorch is not installed.
            WeightsError: the file does not hold the network.
        """
        check_torch(self.spec.title)
        return load_network(self.spec, self.family, self.path, self.adapter).eval().requires_grad_(False)


def load_network(spec: ModelSpec, family: Family, path: Path, adapter: Adapter | None = None) -> PromptableNetwork:
    """The network with the weights of a verified file, on the CPU.

    Args:
        adapter: changes of the decoder; None for none.

    Raises:
        WeightsError: the file holds no tensors, or those of another model, which the message names if it is known; or the
            adapter does not fit.
    """
    network, base = family.build_network(), spec.base_spec
    state = load_state(base, path)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_tensors(base, path, expected, {name: tuple(tensor.shape) for name, tensor in state.items()})
    if adapter is not None:
        import torch

        arrays = {name: state[name].numpy() for name in adapter.parameters if name in state}
        state |= {name: torch.from_numpy(array) for name, array in adapter.changed(arrays).items()}
    # Assigned, not copied: a copy would double the memory of a large model.
    network.load_state_dict(state, assign=True)
    family.fold(network)
    return network


def check_tensors(
    spec: ModelSpec, path: Path, expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]
) -> None:
    """Check that a file holds the tensors of a network.

    Args:
        expected, found: names and shapes of the network's tensors and of the file's.

    Raises:
        WeightsError: it holds others; the message names the model that they are of, if it is known.
    """
    if found == expected:
        return
    known_as = [title for title in titles_of(found) if title != spec.title]
    what = another_model(known_as, spec) if known_as else _difference(expected, found)
    raise WeightsError(
        f"{path} holds another network than {spec.title}: {what}; {spec.how_to_get}",
        f"{path.name} holds another network than {spec.title}: import the right file in the module MedSAMSlicer",
    )


def load_state(spec: ModelSpec, path: Path) -> dict[str, Tensor]:
    """Tensors of a verified weights file under the model's own names, float32, on the CPU. Raises WeightsError."""
    try:
        state = read_tensors(path)
    except ValueError as error:
        raise not_a_checkpoint(spec, path, str(error)) from error
    return {name: value.detach().float() if value.is_floating_point() else value for name, value in state.items()}


def read_tensors(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Tensors of a checkpoint under the model's own names.

    Args:
        device: "meta" reads names and shapes only, from files in the zip format that PyTorch has written since 1.6.

    Raises:
        MissingPackage: PyTorch is not installed.
        ValueError: the file cannot be opened or holds no table of tensors. The message is a clause.
    """
    check_torch("a checkpoint other than the authors' LiteMedSAM")
    # Files of the older format can run code in spite of weights_only before PyTorch 2.6 (CVE-2025-32434).
    if device == "meta" and not zipfile.is_zipfile(path):
        raise ValueError("it is not in the format of PyTorch 1.6 and later")
    import torch

    try:
        content = _opened(path, device)
    except Exception as error:
        raise ValueError(f"it cannot be opened as weights ({type(error).__name__})") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ValueError("it does not hold a table of tensors")
    if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()):
        raise ValueError("it does not hold a table of tensors")
    if all(name.startswith(_PARALLEL_PREFIX) for name in content):
        return {name.removeprefix(_PARALLEL_PREFIX): value for name, value in content.items()}
    return dict(content)


def _opened(path: Path, device: str) -> Any:
    import torch

    def load() -> Any:
        return torch.load(path, map_location=device, weights_only=True, mmap=device == "meta")

    try:
        return load()
    except pickle.UnpicklingError:
        # SAM-Med2D's training code saves the optimiser object beside the model. These take its place and keep nothing.
        ignored: list[tuple[Callable[..., Any], str] | Callable[..., Any]] = [
            (_Ignored, "torch.optim.adam.Adam"),
            (_Ignored, "torch.optim.adamw.AdamW"),
            (_empty_table, "collections.defaultdict"),
            (dict, "builtins.dict"),
        ]
        if not hasattr(torch.serialization, "safe_globals"):  # torch before 2.5
            raise
        with torch.serialization.safe_globals(ignored):
            return load()


class _Ignored:
    def __setstate__(self, state: object) -> None:
        pass


def _empty_table(*_: object) -> dict:
    return {}


def titles_of(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Titles of the models whose networks have tensors of these names and shapes; of none with an adapter."""
    fitting = [
        spec for spec in CATALOGUE.values() if not spec.base and all(shapes.get(k) == v for k, v in spec.marks.items())
    ]
    # SAM-Med2D has all marks of SAM at its size, and one more.
    most = max((len(spec.marks) for spec in fitting), default=0)
    return [spec.title for spec in fitting if len(spec.marks) == most]


def another_model(known_as: list[str], spec: ModelSpec) -> str:
    """Clause that names the models that a file may be of, where the user chose `spec`."""
    return f"this is {' or '.join(known_as)}; you chose {spec.title}"


def not_a_checkpoint(spec: ModelSpec, path: Path, why: str) -> WeightsError:
    """Error for a file that does not hold the network of `spec`; `why` is a clause."""
    what = f"is not a checkpoint of {spec.title}: {why}"
    return WeightsError(f"{path} {what}; {spec.how_to_get}", f"{path.name} {what}. Choose another file")


def _difference(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> str:
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return f"{len(wrong)} tensors are missing, unexpected or of another shape, such as {wrong[0]}"
