"""Which effect has mouse and keys when several Segment Editors have it active: that of the editor that was used last."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


class InUse:
    """An effect's place among the active ones. True if it has mouse and keys.

    Args:
        on_change: called when the effect gets mouse and keys, or loses them to another one.
    """

    _active: ClassVar[list[InUse]] = []
    """The one that was used last is last."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def __bool__(self) -> bool:
        return self._active[-1:] == [self]

    def take(self) -> None:
        """The user turns to the effect's editor."""
        if self:
            return
        before = self._active[-1:]
        self.leave()
        self._active.append(self)
        for one in (*before, self):
            one._on_change()

    def leave(self) -> None:
        """The effect is not active any more."""
        had_them = bool(self)
        if self in self._active:
            self._active.remove(self)
        if had_them and self._active:
            self._active[-1]._on_change()
