"""Parameters of a network as numpy arrays, without PyTorch where the authors' file is the one that was published.

PyTorch writes a state dictionary as a zip archive: a pickle with names and shapes, and one entry with the raw numbers of
each tensor, ``data/0``, ``data/1`` and so on. The pickle is left alone: names, types and shapes stand in a table in this
folder, in the order of the entries. The table fits one file only, which the checksum identifies.
"""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checkpoints import NetworkFile, check_tensors, load_state, not_a_checkpoint

_PICKLE = "/data.pkl"


@dataclass(frozen=True)
class TensorEntry:
    """A tensor of a weights file: its name, the numpy type of its numbers, and its shape."""

    name: str
    type: str
    shape: tuple[int, ...]


def read_table(name: str) -> list[TensorEntry]:
    """Table of the tensors of a weights file, in the order of the file; `name` is that of a file in this folder."""
    rows = json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return [TensorEntry(name, kind, tuple(shape)) for name, kind, shape in rows]


def read_arrays(network: NetworkFile) -> dict[str, np.ndarray]:
    """Parameters in a verified weights file, with the changes of the adapter, under the names that the authors gave them.

    A file other than the authors', such as one that the user has trained, is opened by PyTorch.

    Args:
        network: weights of a model whose family has a `Family.tensor_table`.

    Returns:
        Arrays of the types and shapes in the table.

    Raises:
        WeightsError: the file does not hold these tensors, or the adapter does not fit them.
        MissingPackage: the file has to be opened by PyTorch, which is not installed.
    """
    arrays = _base_arrays(network)
    return arrays if network.adapter is None else {**arrays, **network.adapter.changed(arrays)}


def _base_arrays(network: NetworkFile) -> dict[str, np.ndarray]:
    spec, path = network.spec.base_spec, network.path
    assert network.family.tensor_table is not None
    table = read_table(network.family.tensor_table)
    if network.sha256 == spec.weights.sha256:
        try:
            return _read_zip(table, path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise not_a_checkpoint(spec, path, f"it cannot be opened as weights ({type(error).__name__})") from error
    state = load_state(spec, path)
    expected = {entry.name: entry.shape for entry in table}
    check_tensors(spec, path, expected, {name: tuple(tensor.shape) for name, tensor in state.items()})
    return {name: tensor.numpy() for name, tensor in state.items()}


def _read_zip(table: list[TensorEntry], path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        [pickled] = [name for name in archive.namelist() if name.endswith(_PICKLE)]
        folder = pickled.removesuffix(_PICKLE)
        return {
            entry.name: _read_entry(archive, f"{folder}/data/{number}", entry) for number, entry in enumerate(table)
        }


def _read_entry(archive: zipfile.ZipFile, name: str, entry: TensorEntry) -> np.ndarray:
    content, little_endian = archive.read(name), np.dtype(entry.type).newbyteorder("<")
    if len(content) != math.prod(entry.shape) * little_endian.itemsize:
        raise ValueError(f"{name} has {len(content)} bytes")
    # A copy: OpenVINO's networks use the memory of the array, and want it writable.
    return np.frombuffer(content, little_endian).reshape(entry.shape).copy()
