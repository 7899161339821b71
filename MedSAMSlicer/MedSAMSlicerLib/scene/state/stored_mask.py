"""Mask prompts and key masks as text, so that scenes can store them and prompts can be compared."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...engine.prompts import KeyMask, MaskPrompt
from ...engine.results import in_half_precision

_MASK = "mask"
_LARGEST_SIDE = 16384
"""Rows or columns; scenes that claim more are rejected before memory is allocated."""


@dataclass(frozen=True)
class StoredMask:
    """A `MaskPrompt`, compressed.

    Attributes:
        text: ``KIND:ROWS:COLUMNS:PIXELS``. KIND is ``mask``, or the key of the model that predicted the logits. PIXELS
            are one bit each for a mask, and little-endian float16 for logits, which keeps three significant digits;
            compressed by zlib, in base 64.

    Raises:
        ValueError: the text has another form.
        InputError: the mask is empty, or a logit is not finite.
    """

    text: str

    def __post_init__(self) -> None:
        self.prompt  # noqa: B018  (raises now, not when it is used)

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> StoredMask:
        """From a bool (rows, columns) mask of the slice."""
        return cls(_packed(_MASK, mask.shape, np.packbits(mask).tobytes()))

    @classmethod
    def of_logits(cls, logits: np.ndarray, model: str) -> StoredMask:
        """From float32 (h, w) logits that the model predicted on the slice."""
        return cls(_packed(model, logits.shape, in_half_precision(logits).astype("<f2").tobytes()))

    def fits(self, model: str) -> bool:
        """Whether the model can start from it: logits only suit the model that predicted them."""
        return self.text.partition(":")[0] in (_MASK, model)

    @cached_property
    def prompt(self) -> MaskPrompt:
        """For the engine; the same object on each access."""
        kind, values = _read(self.text)
        return MaskPrompt(mask=values) if kind == _MASK else MaskPrompt(logits=values)


@dataclass(frozen=True)
class StoredKeyMask:
    """A `KeyMask`, compressed.

    Attributes:
        text: as that of a `StoredMask` of kind ``mask``; the mask may be empty.

    Raises:
        ValueError: the text has another form.
    """

    text: str

    def __post_init__(self) -> None:
        self.key_mask  # noqa: B018  (raises now, not when it is used)

    @classmethod
    def of(cls, mask: np.ndarray) -> StoredKeyMask:
        """From a bool (rows, columns) mask of the slice."""
        return cls(_packed(_MASK, mask.shape, np.packbits(mask).tobytes()))

    @cached_property
    def key_mask(self) -> KeyMask:
        """For the engine; the same object on each access."""
        kind, values = _read(self.text)
        if kind != _MASK:
            raise ValueError(kind)
        return KeyMask(values)


def _read(text: str) -> tuple[str, np.ndarray]:
    """Kind, and bool (rows, columns) mask or float32 (h, w) logits."""
    kind, rows_text, columns_text, packed = text.split(":")
    rows, columns = int(rows_text), int(columns_text)
    if not (0 < rows <= _LARGEST_SIDE and 0 < columns <= _LARGEST_SIDE):
        raise ValueError(f"{kind} of {rows} x {columns}")
    size = (rows * columns + 7) // 8 if kind == _MASK else 2 * rows * columns
    unpacked = _unpacked(packed, size)
    if kind == _MASK:
        pixels = np.unpackbits(np.frombuffer(unpacked, np.uint8), count=rows * columns)
        return kind, pixels.reshape(rows, columns).astype(bool)
    return kind, np.frombuffer(unpacked, "<f2").reshape(rows, columns).astype(np.float32)


def _packed(kind: str, shape: tuple[int, ...], data: bytes) -> str:
    rows, columns = shape
    return f"{kind}:{rows}:{columns}:{base64.b64encode(zlib.compress(data)).decode('ascii')}"


def _unpacked(text: str, size: int) -> bytes:
    """Decompresses exactly `size` bytes; raises ValueError if there are fewer or more, without unpacking them all."""
    decompressor = zlib.decompressobj()
    try:
        data = decompressor.decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes for {size}")
    return data
