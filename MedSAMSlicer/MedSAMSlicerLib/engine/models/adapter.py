"""Adapter files: what makes another model of a base model, as small changes of its decoder.

An adapter ``NAME.medsam`` is a file of the library safetensors, which holds numbers and text, and no code. For a parameter P of
the base network it holds either ``P.delta``, which is added to P, or ``P.down`` (r, inputs) and ``P.up`` (outputs, r), whose
product is added to P seen as a matrix of ``P.shape[0]`` rows (Hu et al., LoRA, arXiv:2106.09685). Only the prompt encoder
and the mask decoder may be changed: the image encoder stays that of the base, and so do embeddings of slices.

Metadata, all of them text:

================ =========================================================================================
``format``       "medsam-adapter/1"
``base``         key of the base model in the catalogue
``base_sha256``  checksum of the weights file that the numbers are to be added to
``title``        name in the user interface
``licence``      SPDX identifier, or other words
``description``  what it was trained for and with; may be empty
``confidence``   JSON: settings of the confidence of slices that differ, see `ConfidenceSettings`; may be missing
``propagation``  JSON: other settings of the propagation that differ, such as ``{"in_box": {"generous_width": 1.1}}``;
                 may be missing
================ =========================================================================================
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_files import replace_atomically
from ..errors import WeightsError, one_line, shown

ENDING = ".medsam"
FORMAT = "medsam-adapter/1"
PARTS = ("mask_decoder.", "prompt_encoder.")
"""Beginnings of the names of parameters that may be changed."""
MOST_BYTES = 16_000_000
"""The mask decoder and the prompt encoder have 4 million parameters, half of this in float16."""
_LONGEST_TITLE, _LONGEST_TEXT = 80, 4000
_DELTA, _DOWN, _UP = ".delta", ".down", ".up"
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class AdapterMetadata:
    """What an adapter says of itself; see the file format above.

    Attributes:
        base, base_sha256, title, licence, description: as in the file.
        confidence, propagation: settings that differ from the base model's.
    """

    base: str
    base_sha256: str
    title: str
    licence: str
    description: str = ""
    confidence: Mapping[str, Any] = field(default_factory=dict)
    propagation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that differ: group -> name -> value."""
        return {**self.propagation, **({"confidence": self.confidence} if self.confidence else {})}

    def as_text(self) -> dict[str, str]:
        """The metadata of the file."""
        settings = {"confidence": self.confidence, "propagation": self.propagation}
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in ("base", "base_sha256", "title", "licence", "description")},
            **{name: json.dumps(values, sort_keys=True) for name, values in settings.items() if values},
        }

    @classmethod
    def from_text(cls, text: Mapping[str, object]) -> AdapterMetadata:
        """Parse the metadata of a file.

        Raises:
            ValueError: something is missing or malformed. The message is a clause.
        """
        if text.get("format") != FORMAT:
            raise ValueError(f"its format is {shown(text.get('format'))}, and this version reads {FORMAT!r}")
        named = {name: text.get(name) for name in ("base", "base_sha256", "title", "licence", "description")}
        for name, value in named.items():
            if not isinstance(value, str) or not (value.strip() or name == "description"):
                raise ValueError(f"it does not say its {name}")
        base, sha256, title, licence, description = map(str, named.values())
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError(f"its base_sha256 is {shown(sha256)}, no checksum")
        confidence, propagation = (_settings(text, name) for name in ("confidence", "propagation"))
        if "confidence" in propagation:
            raise ValueError("its propagation has settings of the confidence: these have a place of their own")
        return cls(
            base,
            sha256,
            one_line(title, _LONGEST_TITLE),
            one_line(licence, _LONGEST_TITLE),
            one_line(description, _LONGEST_TEXT),
            confidence,
            propagation,
        )


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter that was read.

    Attributes:
        metadata: what it says of itself.
        tensors: name, with its ending -> float32 or float16 numbers.
        sha256: checksum of the file.
        path: the file, for messages.
    """

    metadata: AdapterMetadata
    tensors: Mapping[str, np.ndarray]
    sha256: str
    path: Path

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters that are changed."""
        return sorted({name.rpartition(".")[0] for name in self.tensors})

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Check that all tensors fit the parameters of the base network.

        Args:
            shapes: name of a parameter -> its shape.

        Raises:
            WeightsError: one does not.
        """
        for name, tensor in self.tensors.items():
            parameter, _dot, _kind = name.rpartition(".")
            if not parameter.startswith(PARTS) or parameter not in shapes:
                raise not_an_adapter(self.path, f"it changes {shown(name)}, which the decoder does not have")
            shape = shapes[parameter]
            if not self._fits(parameter, shape):
                raise not_an_adapter(self.path, f"{name} is {tensor.shape}, which does not fit a parameter {shape}")

    def _fits(self, parameter: str, shape: tuple[int, ...]) -> bool:
        delta, down, up = (self.tensors.get(parameter + ending) for ending in (_DELTA, _DOWN, _UP))
        if delta is not None:
            return down is None and up is None and delta.shape == shape
        if down is None or up is None or down.ndim != 2 or up.ndim != 2 or len(shape) < 2:
            return False
        columns = int(np.prod(shape[1:]))
        return (up.shape[0], down.shape[1]) == (shape[0], columns) and up.shape[1] == down.shape[0] > 0

    def changed(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The parameters that are changed, with their changes, in float32.

        Args:
            arrays: parameters of the base network; at least those that are changed.

        Raises:
            WeightsError: a tensor does not fit, or a result is not finite.
        """
        self.check({name: array.shape for name, array in arrays.items()})
        with np.errstate(over="ignore", invalid="ignore"):
            result = {name: arrays[name] + self._change(name, arrays[name].shape) for name in self.parameters}
        for name, array in result.items():
            if not np.isfinite(array).all():
                raise not_an_adapter(self.path, f"{name} becomes infinite with it")
        return result

    def _change(self, parameter: str, shape: tuple[int, ...]) -> np.ndarray:
        delta = self.tensors.get(parameter + _DELTA)
        if delta is not None:
            return delta.astype(np.float32)
        up, down = (self.tensors[parameter + ending].astype(np.float32) for ending in (_UP, _DOWN))
        return (up @ down).reshape(shape)


def read_adapter(path: Path) -> Adapter:
    """Read an adapter file. Whether it fits the base network says `Adapter.check`.

    Raises:
        WeightsError: it cannot be read, or is no adapter of this version.
        ImportError: the package safetensors is not installed.
    """
    content = _content(path)
    tensors = _tensors(path, content)
    try:
        metadata = AdapterMetadata.from_text(_metadata(content))
    except ValueError as error:
        raise not_an_adapter(path, str(error)) from error
    for name, tensor in tensors.items():
        if not name.endswith((_DELTA, _DOWN, _UP)):
            raise not_an_adapter(path, f"it holds {shown(name)}, which is no change of a parameter")
        if tensor.dtype not in (np.float16, np.float32):
            raise not_an_adapter(path, f"{name} is {tensor.dtype}, not float16 or float32")
        if not np.isfinite(tensor).all():
            raise not_an_adapter(path, f"{name} has values that are not finite")
    return Adapter(metadata, tensors, hashlib.sha256(content).hexdigest(), path)


def write_adapter(path: Path, tensors: Mapping[str, np.ndarray], metadata: AdapterMetadata) -> Adapter:
    """Write an adapter file, whole or not at all, and read it again. The same adapter gives the same bytes.

    Args:
        tensors: name, with its ending -> float16 or float32 numbers.

    Raises:
        WeightsError: this version could not read the file; an existing one is unchanged.
        OSError: it cannot be written.
    """
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(tensor) for name, tensor in sorted(tensors.items())}
    with replace_atomically(path) as part:
        part.write_bytes(_with_sorted_header(save(whole, metadata.as_text())))
        read = read_adapter(part)
    return Adapter(read.metadata, read.tensors, read.sha256, path)


def not_an_adapter(path: Path, why: str) -> WeightsError:
    """Error for a file that cannot be used as an adapter; `why` is a clause."""
    what = f"cannot be used as an adapter: {why}"
    return WeightsError(f"{path} {what}; choose another file", f"{path.name} {what}. Choose another file")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WeightsError(
            f"adapter {path} cannot be read ({reason}): choose another file",
            f"{path.name} cannot be read ({reason}): choose another file",
        ) from error
    if len(content) > MOST_BYTES:
        raise not_an_adapter(path, f"it is larger than {MOST_BYTES // 1_000_000} MB")
    return content


def _tensors(path: Path, content: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        # KeyError: numbers of a type that numpy does not have.
        raise not_an_adapter(path, f"it cannot be opened ({one_line(str(error), 120)})") from error
    if not tensors:
        raise not_an_adapter(path, "it holds nothing")
    return tensors


def _metadata(content: bytes) -> dict[str, object]:
    """Metadata of a file whose header the library has checked."""
    (length,) = struct.unpack("<Q", content[:_LENGTH_BYTES])
    return json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length]).get("__metadata__", {})


def _with_sorted_header(content: bytes) -> bytes:
    """The content of a file with its header in alphabetical order: the library writes metadata in a random one."""
    (length,) = struct.unpack("<Q", content[:_LENGTH_BYTES])
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    # The numbers begin at a multiple of eight bytes, as the library has it.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[_LENGTH_BYTES + length :]


def _settings(text: Mapping[str, object], name: str) -> dict[str, Any]:
    try:
        values = json.loads(str(text.get(name, "{}")))
    except ValueError as error:
        raise ValueError(f"its {name} is no JSON") from error
    if not isinstance(values, dict):
        raise ValueError(f"its {name} is no table of settings")
    return values
