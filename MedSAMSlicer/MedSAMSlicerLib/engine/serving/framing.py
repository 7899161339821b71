"""Messages between the main process and the inference process, and their encoding as bytes for a pipe.

An encoded message is a prefix (the mark ``MSW2`` and two unsigned 4-byte little-endian lengths), a header of the first
length (JSON: ``kind``, ``fields`` and the names of the ``arrays``), and a payload of the second length (the arrays, each
in NumPy's ``.npy`` format). Nothing is pickled. Lengths are checked before memory is allocated. Text that a library
prints into the pipe is recognised by the missing mark.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import WorkerError

PROTOCOL_VERSION = 5
MAX_HEADER_BYTES = 1 << 20
MAX_ARRAY_BYTES = 1 << 28
"""Limit for the arrays of a message: one slice of 16384 x 16384 pixels, or 9459 x 9459 in colour. A message holds a single slice, never a volume."""

_MARK = b"MSW2"
_PREFIX = struct.Struct("<4sII")
_CHUNK_BYTES = 1 << 18
_SHOWN_BYTES = 60
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Message:
    """One request, response or event.

    The methods return a field or an array after checking its type, and raise `WorkerError` if it is missing or of
    another type.

    Attributes:
        kind: kind of the message, such as "slice".
        fields: JSON values by name.
        arrays: arrays by name.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    arrays: Mapping[str, np.ndarray] = field(default_factory=lambda: _NOTHING)

    def integer(self, name: str) -> int:
        """Field that is an integer."""
        return int(self._checked(name, _is_integer))

    def text(self, name: str) -> str:
        """Field that is a string."""
        return str(self._checked(name, lambda value: isinstance(value, str)))

    def flag(self, name: str) -> bool:
        """Field that is a boolean."""
        return bool(self._checked(name, lambda value: isinstance(value, bool)))

    def number(self, name: str) -> float:
        """Field that is a finite number, or null, which becomes NaN."""
        value = self._checked(name, lambda value: value is None or _is_number(value))
        return math.nan if value is None else float(value)

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """Field that is a list of `count` integers."""
        return tuple(self._checked(name, lambda value: _is_list(value, count, _is_integer)))

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Field that is a list of `count` finite numbers; integers stay integers."""
        return tuple(self._checked(name, lambda value: _is_list(value, count, _is_number)))

    def items(self, name: str) -> list[Any]:
        """Field that is a list."""
        return list(self._checked(name, lambda value: isinstance(value, list)))

    def part(self, name: str) -> Message:
        """Field that is a JSON object, as a message of its own."""
        return Message(f"{self.kind}.{name}", self._checked(name, lambda value: isinstance(value, dict)))

    def array(self, name: str, dtype: str, dimensions: int) -> np.ndarray:
        """Array of a dtype, such as "uint8", and a number of dimensions."""
        value = self.arrays.get(name)
        if value is None or value.dtype.name != dtype or value.ndim != dimensions:
            found = "nothing" if value is None else f"{value.dtype} {value.shape}"
            raise WorkerError(f"message '{self.kind}': {found} in place of the {dimensions}D {dtype} array '{name}'")
        return value

    def _checked(self, name: str, is_valid: Callable[[object], bool]) -> Any:
        if name not in self.fields:
            raise WorkerError(f"message '{self.kind}' has no field '{name}'")
        value = self.fields[name]
        if not is_valid(value):
            raise WorkerError(f"message '{self.kind}': field '{name}' is {repr(value)[:40]}")
        return value


def encode(message: Message) -> bytes:
    """Encode a message for the pipe.

    Raises:
        WorkerError: a field is not valid JSON, an array has dtype object, or the message is too large.
    """
    payload = io.BytesIO()
    content = {"kind": message.kind, "fields": dict(message.fields), "arrays": list(message.arrays)}
    try:
        header = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        array_bytes = sum(array.nbytes for array in message.arrays.values())
        if len(header) > MAX_HEADER_BYTES or array_bytes > MAX_ARRAY_BYTES:
            raise WorkerError(f"message '{message.kind}' is too large for the inference process: use a smaller image")
        for array in message.arrays.values():
            np.lib.format.write_array(payload, array, allow_pickle=False)
    except (TypeError, ValueError) as error:
        raise WorkerError(f"message '{message.kind}' cannot be encoded: {error}") from error
    return b"".join([_PREFIX.pack(_MARK, len(header), payload.tell()), header, payload.getbuffer()])


class MessageReader:
    """Decodes messages from bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def incomplete(self) -> bool:
        """Whether part of a message has arrived."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """Add bytes and return the messages that they complete.

        Raises:
            WorkerError: the bytes are not a message. The reader cannot be used any more.
        """
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if not _MARK.startswith(self._buffer[: len(_MARK)]):
            shown = bytes(self._buffer[:_SHOWN_BYTES]).decode("ascii", "backslashreplace")
            raise WorkerError(f"the pipe holds something other than a message: {shown!r}")
        if len(self._buffer) < _PREFIX.size:
            return None
        _, header_bytes, payload_bytes = _PREFIX.unpack_from(self._buffer)
        # The payload holds a short header for each array.
        if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_ARRAY_BYTES + MAX_HEADER_BYTES:
            raise WorkerError(f"a message of {header_bytes} + {payload_bytes} bytes is too large")
        payload_start = _PREFIX.size + header_bytes
        end = payload_start + payload_bytes
        if len(self._buffer) < end:
            return None
        header, payload = bytes(self._buffer[_PREFIX.size : payload_start]), bytes(self._buffer[payload_start:end])
        del self._buffer[:end]
        return _decode(header, payload)


def read_messages(stream: io.BufferedReader) -> Iterator[Message]:
    """Read messages from a blocking stream until it ends.

    Raises:
        WorkerError: the stream holds something other than messages, or ends inside one.
    """
    reader = MessageReader()
    while data := stream.read1(_CHUNK_BYTES):
        yield from reader.feed(data)
    if reader.incomplete:
        raise WorkerError("the pipe ended inside a message")


def _decode(header: bytes, payload: bytes) -> Message:
    try:
        content = json.loads(header)
        stream = io.BytesIO(payload)
        arrays = {name: np.lib.format.read_array(stream, allow_pickle=False) for name in content["arrays"]}
        return Message(content["kind"], dict(content["fields"]), arrays)
    except Exception as error:  # The parsers of JSON and .npy raise many kinds of exceptions.
        raise WorkerError(f"a message cannot be decoded: {type(error).__name__}") from error


def _is_integer(value: object) -> bool:
    # Not isinstance: bool is a subclass of int.
    return type(value) is int


def _is_number(value: object) -> bool:
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


def _is_list(value: object, count: int, is_valid: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(is_valid, value))
