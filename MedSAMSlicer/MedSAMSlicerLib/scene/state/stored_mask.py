"""A mask prompt as text, so that it is saved with the scene and two of them can be compared."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...engine.prompts import MaskPrompt
from ...engine.results import in_half_precision

_MASK = "mask"
_LARGEST_SIDE = 16384
"""What a scene claims beyond that is no slice, and no memory is taken for it."""


@dataclass(frozen=True)
class StoredMask:
    """A `MaskPrompt`, packed.

    Attributes:
        text: ``mask``, or the key of the model whose logits they are; then rows, columns and the compressed pixels in
            base 64, between colons. Logits are kept in half precision, a thousandth of their size, in half of the room.

    Raises:
        ValueError: the text is not that.
        InputError: the mask is empty, or a logit is not finite.
    """

    text: str

    def __post_init__(self) -> None:
        self.prompt  # noqa: B018  (what cannot be unpacked is refused now, not when it is asked for)

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> StoredMask:
        """Of bool (rows, columns) pixels of the slice."""
        return cls(_packed(_MASK, mask.shape, np.packbits(mask).tobytes()))

    @classmethod
    def of_logits(cls, logits: np.ndarray, model: str) -> StoredMask:
        """Of float32 (h, w) logits of an earlier answer of that model on the slice."""
        return cls(_packed(model, logits.shape, in_half_precision(logits).astype("<f2").tobytes()))

    def fits(self, model: str) -> bool:
        """Whether that model has a use for it: of logits only the one that gave them."""
        return self.text.partition(":")[0] in (_MASK, model)

    @cached_property
    def prompt(self) -> MaskPrompt:
        """For the engine; the same object each time."""
        kind, rows_text, columns_text, packed = self.text.split(":")
        rows, columns = int(rows_text), int(columns_text)
        if not (0 < rows <= _LARGEST_SIDE and 0 < columns <= _LARGEST_SIDE):
            raise ValueError(f"{kind} of {rows} x {columns}")
        size = (rows * columns + 7) // 8 if kind == _MASK else 2 * rows * columns
        unpacked = _unpacked(packed, size)
        if kind == _MASK:
            pixels = np.unpackbits(np.frombuffer(unpacked, np.uint8), count=rows * columns)
            return MaskPrompt(mask=pixels.reshape(rows, columns).astype(bool))
        return MaskPrompt(logits=np.frombuffer(unpacked, "<f2").reshape(rows, columns).astype(np.float32))


def _packed(kind: str, shape: tuple[int, ...], data: bytes) -> str:
    rows, columns = shape
    return f"{kind}:{rows}:{columns}:{base64.b64encode(zlib.compress(data)).decode('ascii')}"


def _unpacked(text: str, size: int) -> bytes:
    """Exactly so many bytes, however many more the text would unfold to."""
    unfolding = zlib.decompressobj()
    try:
        data = unfolding.decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes for {size}")
    return data
