"""Signals that are connected in both of PythonQt's ways, and fire."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .doubles import Double

# Exceptions that left a slot. In Slicer they are printed and forgotten; the fixture makes the test fail.
escaped: list[BaseException] = []


def normalised(signature: str) -> str:
    """`clicked( bool )` -> `clicked(bool)`; `f(const QString &)` -> `f(QString)`: as Qt compares them."""
    text = re.sub(r"\bconst\s+([\w:<>]+)\s*&", r"\1", signature)
    return re.sub(r"\s+", "", text)


def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls what Qt would call: an exception does not reach the caller, but the test that caused it."""
    try:
        return function(*arguments)
    except Exception as error:
        escaped.append(error)
        traceback.print_exc(file=sys.stderr)
        return None


def accepted(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The first arguments, as many as a Python function takes: PythonQt drops the others."""
    target = function.__func__ if inspect.ismethod(function) else function
    if not inspect.isfunction(target):
        return arguments
    code = target.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return arguments
    return arguments[: code.co_argcount - inspect.ismethod(function)]


class Signal:
    """One signal of one object: `button.clicked`."""

    def __init__(self, owner: Double, name: str, signatures: tuple[str, ...]) -> None:
        self._owner, self._name, self._signatures = owner, name, signatures
        self._slots: list[tuple[Callable[..., Any], int | None]] = []

    def connect(self, slot: Callable[..., Any]) -> bool:
        return self.connect_as(None, slot)

    def connect_as(self, signature: str | None, slot: Callable[..., Any]) -> bool:
        """`signature`: as it stands in `connect('...')`, or None for the first that there is."""
        if not callable(slot):
            raise TypeError(f"{slot!r} is connected to {self}, but cannot be called")
        self._slots.append((slot, self._checked(signature)))
        return True

    def disconnect(self, slot: Callable[..., Any] | None = None) -> bool:
        kept = [] if slot is None else [pair for pair in self._slots if pair[0] != slot]
        found = len(kept) < len(self._slots)
        self._slots = kept
        return found

    def emit(self, *arguments: Any) -> None:
        if self._owner.__dict__["_blocked"]:
            return
        for slot, count in list(self._slots):
            sent = arguments if count is None else arguments[:count]
            guarded(slot, *accepted(slot, sent))

    def connected(self) -> int:
        """How many slots there are."""
        return len(self._slots)

    def _checked(self, signature: str | None) -> int | None:
        """Number of arguments that the signature sends; None: all."""
        if signature is None or not self._signatures:
            return None
        wanted = normalised(signature)
        if wanted not in self._signatures:
            raise ValueError(f"{self} has no signature {wanted}: it has {', '.join(self._signatures)}")
        inside = wanted[wanted.index("(") + 1 : -1]
        return len(re.sub(r"<[^>]*>", "", inside).split(",")) if inside else 0

    def __str__(self) -> str:
        return f"signal {self._owner.className()}.{self._name}"
