"""What lies in a checkpoint file: its tensors under the model's own names, however they were wrapped.

People have state dictionaries as the authors publish them, training checkpoints that hold one under ``model`` beside
the optimiser, and those of parallel training, where every name begins with ``module.``.

`tensor_shapes` tells what a file holds before anything about it is known to be right. It reads the file's list of
contents step by step and makes nothing of it but names, numbers and tables: nothing is imported, called or built.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Leaf = TypeVar("Leaf")

# Where a training checkpoint keeps the model, in the order in which they are looked for.
WRAPPERS = ("model", "state_dict", "model_state_dict")
PARALLEL_PREFIX = "module."
_MAX_CONTENTS_BYTES = 64 << 20


def unwrapped(content: object, is_leaf: Callable[[Any], bool]) -> dict[str, Any] | None:
    """The table of tensors in what a checkpoint holds, by the model's own names; None if there is none.

    Args:
        content: what was read.
        is_leaf: tells a tensor.
    """
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        return None
    if not all(isinstance(name, str) and is_leaf(value) for name, value in content.items()):
        return None
    if all(name.startswith(PARALLEL_PREFIX) for name in content):
        return {name[len(PARALLEL_PREFIX) :]: value for name, value in content.items()}
    return dict(content)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]] | None:
    """Names and shapes of the tensors in a checkpoint; None if it holds no table of tensors or cannot be read.

    Reads files as torch has written them since 1.6, which are zip archives.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [info for info in archive.infolist() if info.filename.rpartition("/")[2] == "data.pkl"]
            if len(listed) != 1 or listed[0].file_size > _MAX_CONTENTS_BYTES:
                return None
            content = _described(archive.read(listed[0]))
    except (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    found = unwrapped(content, lambda value: isinstance(value, _Tensor))
    return None if found is None else {name: tensor.shape for name, tensor in found.items()}


class _Tensor:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


class _Name(str):
    """A class or function that the file mentions."""


class _Unknown:
    """Anything that is not needed to tell a network."""


_MARK = object()
_TENSOR_MAKERS = {"torch._utils _rebuild_tensor_v2": 2, "torch._utils _rebuild_tensor": 2}
"""Function -> which of its arguments is the shape."""
_WRAPPING_MAKERS = {"torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state"}
_NUMBERS_AND_TEXTS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("BINSTRING", "SHORT_BINSTRING", "STRING"),
}
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": set}
_COUNTED_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def _described(contents: bytes) -> object:
    """What the list of contents describes, with stand-ins for all that is not a table, a list, a text or a number.

    Raises:
        ValueError, LookupError: it is damaged, or uses what torch does not.
    """
    reader = _Reader()
    for opcode, argument, _position in pickletools.genops(contents):
        if opcode.name == "STOP":
            return reader.pop()
        reader.take(opcode.name, argument)
    raise ValueError("the list of contents has no end")


class _Reader:
    """The list of contents puts values on a stack and makes larger ones of them; this follows it, step by step."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[Any, Any] = {}

    def pop(self) -> Any:
        return self._stack.pop()

    def take(self, step: str, argument: Any) -> None:
        if step in _NUMBERS_AND_TEXTS:
            self._stack.append(argument)
        elif step in _CONSTANTS:
            self._stack.append(_CONSTANTS[step])
        elif step in _EMPTY:
            self._stack.append(_EMPTY[step]())
        elif step == "MARK":
            self._stack.append(_MARK)
        elif step == "GLOBAL":
            self._stack.append(_Name(argument))
        elif step == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            self._stack.append(_Name(f"{module} {attribute}"))
        elif step in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self._memo[len(self._memo) if argument is None else int(argument)] = self._stack[-1]
        elif step in ("BINGET", "LONG_BINGET", "GET"):
            self._stack.append(self._memo[int(argument)])
        elif step in _COUNTED_TUPLES:
            self._stack.append(tuple(self._pop_many(_COUNTED_TUPLES[step])))
        elif step == "TUPLE":
            self._stack.append(tuple(self._pop_to_mark()))
        elif step in ("SETITEM", "SETITEMS"):
            values = self._pop_to_mark() if step == "SETITEMS" else self._pop_many(2)
            _set_items(self._stack[-1], values)
        elif step in ("APPEND", "APPENDS"):
            # Lists hold nothing by which a network is told.
            self._pop_to_mark() if step == "APPENDS" else self.pop()
        elif step in ("REDUCE", "NEWOBJ"):
            arguments, maker = self.pop(), self.pop()
            self._stack.append(_made(maker, arguments))
        elif step == "BINPERSID":
            self._stack[-1] = _Unknown()
        elif step == "BUILD":
            self.pop()
        elif step not in ("PROTO", "FRAME"):
            raise ValueError(f"{step} has no place in a checkpoint")

    def _pop_many(self, count: int) -> list[Any]:
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self.pop()) is not _MARK:
            values.append(value)
        return values[::-1]


def _set_items(table: object, values: list[Any]) -> None:
    if isinstance(table, dict):
        # Only texts and numbers are keys that can be looked for; others may not even be hashable.
        pairs = zip(values[::2], values[1::2], strict=True)
        table.update((key, value) for key, value in pairs if isinstance(key, str | int))


def _made(maker: object, arguments: object) -> object:
    if maker == "collections OrderedDict" and arguments == ():
        return {}
    if isinstance(maker, _Name) and isinstance(arguments, tuple):
        if maker in _TENSOR_MAKERS and len(arguments) > _TENSOR_MAKERS[maker]:
            shape = arguments[_TENSOR_MAKERS[maker]]
            if isinstance(shape, tuple) and all(type(size) is int for size in shape):
                return _Tensor(shape)
        elif maker in _WRAPPING_MAKERS and arguments and isinstance(arguments[0], _Tensor):
            return arguments[0]
    return _Unknown()
