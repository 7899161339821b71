"""Files of a model: its weights and, if it has one, its adapter, verified together."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsError
from .adapter import Adapter, read_adapter
from .catalogue import CATALOGUE, ModelSpec
from .checkpoints import NetworkFile
from .weight_arrays import read_table
from .weights import find_weights, verify_weights


def verified_files(spec: ModelSpec, explicit: str | Path | None = None) -> NetworkFile:
    """Find and verify the files of a model.

    Args:
        explicit: the weights file; None to search for it, see `find_weights`.

    Raises:
        WeightsError: a file is missing or wrong, or the adapter belongs to other weights.
    """
    path = find_weights(spec, explicit)
    sha256 = verify_weights(spec, path)
    adapter = None if spec.adapter is None else _verified_adapter(spec, sha256)
    return NetworkFile(spec, spec.load_family(), path, sha256, adapter)


def _verified_adapter(spec: ModelSpec, weights_sha256: str) -> Adapter:
    assert spec.adapter is not None
    path, expected = spec.adapter.path, spec.adapter.sha256
    adapter = read_adapter(path)
    if expected not in (None, adapter.sha256):
        raise WeightsError(
            f"{path} is not the adapter of {spec.title}: its sha256 is {adapter.sha256}, not {expected}; "
            f"{_remedy(spec)}",
            f"{path.name} is not the adapter of {spec.title}: {_remedy(spec)}",
        )
    check_adapter(adapter, spec.base_spec, weights_sha256)
    return adapter


def _remedy(spec: ModelSpec) -> str:
    """What to do if the adapter of a model is damaged: one of the catalogue is part of the program."""
    return "install MedSAMSlicer again" if spec.key in CATALOGUE else "import it again"


def check_adapter(adapter: Adapter, base: ModelSpec, weights_sha256: str) -> None:
    """Check that an adapter fits the weights of its base.

    Args:
        base: the base model, see `base_of`.
        weights_sha256: checksum of its weights on this computer.

    Raises:
        WeightsError: it does not.
    """
    if adapter.metadata.base_sha256 != weights_sha256:
        wanted, published = adapter.metadata.base_sha256, base.weights.sha256
        remedy, brief = "choose another file", "Choose another file"
        if wanted == published:
            remedy, brief = base.how_to_get, f"Install {base.title} again in the module MedSAMSlicer"
        raise WeightsError(
            f"{adapter.path} was made for weights of {base.title} with sha256 {wanted}, and these have "
            f"{weights_sha256}; {remedy}",
            f"{adapter.path.name} was made for other weights of {base.title} than those on this computer. {brief}",
        )
    table = base.load_family().tensor_table
    assert table is not None
    adapter.check({entry.name: entry.shape for entry in read_table(table)})
