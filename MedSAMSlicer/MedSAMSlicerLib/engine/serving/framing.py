"""Messages between the main process and the inference process, over a pair of pipes.

A message is, byte for byte: the mark ``MSW1``; the header's length (unsigned, 4 bytes, little-endian); the header
(JSON, UTF-8: ``kind``, ``fields``, ``arrays``); then the arrays' raw bytes, little-endian and C-ordered, in the
order in which the header lists them. Nothing is ever unpickled and every length is checked before memory is taken
for it, so that a stray line on the pipe ends in one clear error and not in a guess.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from ..errors import WorkerError

PROTOCOL_VERSION = 1
MAX_HEADER_BYTES = 1 << 20
MAX_PAYLOAD_BYTES = 1 << 28
"""Room for one slice of 16384 x 16384 pixels; a whole volume never travels in one message."""

_MARK = b"MSW1"
_PREFIX = struct.Struct("<4sI")
_DTYPES: dict[str, np.dtype] = {"uint8": np.dtype("<u1"), "float32": np.dtype("<f4")}
_MAX_DIMENSIONS = 3
_SHOWN_BYTES = 60
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Message:
    """One request, answer or event.

    Attributes:
        kind: what it is, such as "slice".
        fields: small values, as JSON knows them.
        arrays: name -> array of dtype uint8 or float32 with at most three dimensions; read-only once decoded.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    arrays: Mapping[str, np.ndarray] = field(default_factory=lambda: _NOTHING)

    def integer(self, name: str) -> int:
        """The whole number called `name`. Raises WorkerError if there is none."""
        value = self.fields.get(name)
        if not _is_integer(value):
            raise self._unfit(name, value)
        return int(value)  # type: ignore[arg-type]

    def text(self, name: str) -> str:
        """The text called `name`. Raises WorkerError if there is none."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise self._unfit(name, value)
        return value

    def flag(self, name: str) -> bool:
        """The truth value called `name`. Raises WorkerError if there is none."""
        value = self.fields.get(name)
        if not isinstance(value, bool):
            raise self._unfit(name, value)
        return value

    def number(self, name: str) -> float:
        """The number called `name`, NaN where it was null. Raises WorkerError if there is none."""
        value = self.fields.get(name, "")
        if value is None:
            return math.nan
        if not _is_number(value):
            raise self._unfit(name, value)
        return float(value)

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """The list of `count` whole numbers called `name`. Raises WorkerError if there is none."""
        value = self.fields.get(name)
        if not isinstance(value, list) or len(value) != count or not all(_is_integer(item) for item in value):
            raise self._unfit(name, value)
        return tuple(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """The list of `count` finite numbers called `name`, int or float as sent. Raises WorkerError if there is none."""
        value = self.fields.get(name)
        if not isinstance(value, list) or len(value) != count or not all(_is_number(item) for item in value):
            raise self._unfit(name, value)
        return tuple(value)

    def part(self, name: str) -> Message:
        """The JSON object called `name`, to be read like a message of its own. Raises WorkerError if there is none."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            raise self._unfit(name, value)
        return Message(f"{self.kind}.{name}", value)

    def array(self, name: str, dtype: str, dimensions: int) -> np.ndarray:
        """The array called `name`, of that dtype and number of dimensions. Raises WorkerError if there is none."""
        value = self.arrays.get(name)
        if value is None or value.dtype != _DTYPES[dtype] or value.ndim != dimensions:
            found = "nothing" if value is None else f"{value.dtype} {value.shape}"
            raise WorkerError(
                f"message '{self.kind}' holds {found} where the {dimensions}-dimensional {dtype} array '{name}' belongs"
            )
        return value

    def _unfit(self, name: str, value: object) -> WorkerError:
        found = repr(value)
        found = found if len(found) <= 40 else found[:37] + "..."
        return WorkerError(f"message '{self.kind}' holds {found} where a fitting '{name}' belongs")


def encode(message: Message) -> bytes:
    """The message as bytes for the pipe.

    Raises:
        WorkerError: an array has another dtype than uint8 or float32, or more than three dimensions, a field is no
            JSON, or the message is larger than the limits.
    """
    described = []
    for name, array in message.arrays.items():
        if array.dtype.name not in _DTYPES or array.ndim > _MAX_DIMENSIONS:
            raise WorkerError(f"array '{name}' of '{message.kind}' cannot travel: {array.dtype} {array.shape}")
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape)})
    content = {"kind": message.kind, "fields": dict(message.fields), "arrays": described}
    try:
        header = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise WorkerError(f"message '{message.kind}' holds a value that cannot travel: {error}") from error
    payload_bytes = sum(array.nbytes for array in message.arrays.values())
    if len(header) > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise WorkerError(f"message '{message.kind}' is too large for the inference process: use a smaller image")
    blocks = [array.astype(_DTYPES[array.dtype.name], copy=False).tobytes() for array in message.arrays.values()]
    return b"".join([_PREFIX.pack(_MARK, len(header)), header, *blocks])


class MessageReader:
    """Puts messages together from bytes in whatever pieces they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._header: _Header | None = None

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete once `data` has been added; mostly none or one.

        Raises:
            WorkerError: the bytes are not messages. The reader cannot be used afterwards.
        """
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if self._header is None:
            # A stray print is recognised by its first bytes; waiting for a whole prefix could wait for ever.
            _check_mark(bytes(self._buffer[:_SHOWN_BYTES]))
            if len(self._buffer) < _PREFIX.size:
                return None
            length = _header_length(bytes(self._buffer[: _PREFIX.size]))
            if len(self._buffer) < _PREFIX.size + length:
                return None
            self._header = _Header.parse(self._take(_PREFIX.size + length)[_PREFIX.size :])
        if len(self._buffer) < self._header.payload_bytes:
            return None
        header, self._header = self._header, None
        return header.message(self._take(header.payload_bytes))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def read_message(stream: BinaryIO) -> Message | None:
    """The next message of a blocking stream, or None where the stream ends between two messages.

    Raises:
        WorkerError: the stream holds something else, or ends inside a message.
    """
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    _check_mark(prefix)
    if len(prefix) < _PREFIX.size:
        raise WorkerError("the stream of messages ended inside a message")
    header = _Header.parse(_read_exactly(stream, _header_length(prefix)))
    return header.message(_read_exactly(stream, header.payload_bytes))


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count) if count else b""
    if len(data) < count:
        raise WorkerError("the stream of messages ended inside a message")
    return data


@dataclass(frozen=True)
class _Header:
    kind: str
    fields: dict[str, Any]
    arrays: tuple[tuple[str, np.dtype, tuple[int, ...]], ...]

    @property
    def payload_bytes(self) -> int:
        return sum(dtype.itemsize * math.prod(shape) for _, dtype, shape in self.arrays)

    @classmethod
    def parse(cls, text: bytes) -> _Header:
        try:
            content = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise WorkerError("a message's header is not JSON") from error
        if not isinstance(content, dict) or set(content) != {"kind", "fields", "arrays"}:
            raise WorkerError("a message's header lacks its kind, fields or arrays")
        kind, fields, arrays = content["kind"], content["fields"], content["arrays"]
        if not (isinstance(kind, str) and isinstance(fields, dict) and isinstance(arrays, list)):
            raise WorkerError("a message's header has a kind, fields or arrays of the wrong type")
        header = cls(kind, fields, tuple(_described_array(kind, described) for described in arrays))
        if len({name for name, _, _ in header.arrays}) != len(header.arrays):
            raise WorkerError(f"message '{kind}' names two arrays alike")
        if header.payload_bytes > MAX_PAYLOAD_BYTES:
            raise WorkerError(
                f"message '{kind}' announces {header.payload_bytes} bytes of arrays: at most {MAX_PAYLOAD_BYTES} are read"
            )
        return header

    def message(self, payload: bytes) -> Message:
        arrays, start = {}, 0
        for name, dtype, shape in self.arrays:
            count = math.prod(shape)
            arrays[name] = np.frombuffer(payload, dtype, count, start).reshape(shape)
            start += dtype.itemsize * count
        return Message(self.kind, self.fields, arrays)


def _described_array(kind: str, described: object) -> tuple[str, np.dtype, tuple[int, ...]]:
    if not isinstance(described, dict) or set(described) != {"name", "dtype", "shape"}:
        raise WorkerError(f"message '{kind}' describes an array without name, dtype or shape")
    name, dtype, shape = described["name"], described["dtype"], described["shape"]
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in _DTYPES:
        raise WorkerError(f"message '{kind}' holds an array of a type that is not read: only uint8 and float32 are")
    if not _is_shape(shape):
        raise WorkerError(f"message '{kind}' gives array '{name[:40]}' an impossible shape")
    return name, _DTYPES[dtype], tuple(shape)


def _is_shape(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_DIMENSIONS
        and all(_is_integer(size) and 0 <= size <= MAX_PAYLOAD_BYTES for size in value)
    )


def _is_integer(value: object) -> bool:
    # bool is an int to Python, and JSON knows no bound for whole numbers.
    return type(value) is int and abs(value) < 1 << 63


def _is_number(value: object) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _check_mark(start: bytes) -> None:
    if not _MARK.startswith(start[: len(_MARK)]):
        raise WorkerError(f"the stream of messages holds something else: {_shown(start)}")


def _header_length(prefix: bytes) -> int:
    length: int = _PREFIX.unpack(prefix)[1]
    if length > MAX_HEADER_BYTES:
        raise WorkerError(f"a message announces a header of {length} bytes: at most {MAX_HEADER_BYTES} are read")
    return length


def _shown(data: bytes) -> str:
    return repr(data.decode("ascii", "backslashreplace"))


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
