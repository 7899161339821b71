"""Combo boxes."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements
from .objects import is_a


@implements("QComboBox")
class ComboBox(Double):
    """Items are [text, {role: data}]. The user's choice goes through `user.choose`, which emits `activated` too."""

    def _items(self) -> list[tuple[str, dict[int, Any]]]:
        items: list[tuple[str, dict[int, Any]]] = self.__dict__.setdefault("_entries", [])
        return items

    def _role(self) -> int:
        return int(double("Qt").UserRole)

    def addItem(self, *parts: Any) -> None:
        self.insertItem(self.count, *parts)

    def insertItem(self, index: int, *parts: Any) -> None:
        rest = list(parts[1:] if is_a(parts[0], "QIcon") else parts)
        if not rest or not isinstance(rest[0], str) or len(rest) > 2:
            raise ValueError(f"an item is (text), (text, data) or (icon, text, data), not {parts!r}")
        self._items().insert(index, (rest[0], {self._role(): rest[1] if len(rest) > 1 else None}))
        if self.currentIndex < 0:
            self.currentIndex = 0
        elif index <= self.currentIndex:
            self.__dict__["_values"]["currentIndex"] += 1

    def addItems(self, texts: Any) -> None:
        for text in texts:
            self.addItem(text)

    def clear(self) -> None:
        self._items().clear()
        self.currentIndex = -1

    def bound_currentIndex(self, index: int) -> int:
        return index if 0 <= index < len(self._items()) else -1

    def on_currentIndex(self, index: int) -> None:
        self.currentTextChanged.emit(self.itemText(index))

    def read_count(self) -> int:
        return len(self._items())

    def read_currentText(self) -> str:
        if self.editable and "_edited" in self.__dict__:
            return str(self.__dict__["_edited"])
        return str(self.itemText(self.currentIndex))

    def itemText(self, index: int) -> str:
        return self._items()[index][0] if 0 <= index < len(self._items()) else ""

    def itemData(self, index: int, role: int | None = None) -> Any:
        wanted = self._role() if role is None else role
        return self._items()[index][1].get(wanted) if 0 <= index < len(self._items()) else None

    def findData(self, data: Any, _role: int | None = None, _flags: int | None = None) -> int:
        return next((n for n in range(len(self._items())) if self.itemData(n) == data), -1)

    def findText(self, text: str, _flags: int | None = None) -> int:
        return next((n for n, (there, _data) in enumerate(self._items()) if there == text), -1)
