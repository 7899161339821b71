"""Small value classes: bytes, points, sizes, vectors, colours, keys, addresses."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements
from .objects import is_a


@implements("QByteArray")
class ByteArray(Double):
    def made(self, content: Any = b"") -> None:
        content = content.data() if is_a(content, "QByteArray") else content
        self.__dict__["_bytes"] = content.encode() if isinstance(content, str) else bytes(content)

    def data(self) -> bytes:
        return bytes(self.__dict__["_bytes"])

    def size(self) -> int:
        return len(self.data())

    def __eq__(self, other: object) -> bool:
        return is_a(other, "QByteArray") and self.data() == other.data()  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]


class Numbers(Double):
    """Numbers that are equal if all are."""

    _count = 2

    def made(self, *numbers: Any) -> None:
        if len(numbers) == 1 and is_a(numbers[0], self._facts.name):
            numbers = numbers[0].__dict__["_numbers"]
        if len(numbers) not in (0, self._count) or not all(isinstance(n, int | float) for n in numbers):
            self._no_overload(numbers)
        self.__dict__["_numbers"] = tuple(numbers) or (0,) * self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.__dict__["_numbers"] == other.__dict__["_numbers"]

    def __hash__(self) -> int:
        return hash(self.__dict__["_numbers"])


class WholeNumbers(Numbers):
    def made(self, *numbers: Any) -> None:
        # PythonQt makes whole numbers of these, without a word.
        double_made = Numbers.made
        double_made(self, *(int(n) if isinstance(n, float) else n for n in numbers))


@implements("QPoint", "QSizePolicy")
class Pair(WholeNumbers):
    """Two whole numbers."""


@implements("QSize")
class Size(WholeNumbers):
    def width(self) -> int:
        return int(self.__dict__["_numbers"][0])

    def height(self) -> int:
        return int(self.__dict__["_numbers"][1])


@implements("QMargins", "QRect")
class Four(WholeNumbers):
    """Four whole numbers."""

    _count = 4


@implements("QColor")
class Color(Double):
    def made(self, *parts: Any) -> None:
        if len(parts) == 1 and is_a(parts[0], "QColor"):
            rgba = parts[0].__dict__["_rgba"]
        elif len(parts) == 1 and isinstance(parts[0], str) and parts[0].startswith("#"):
            rgba = (*(int(parts[0][n : n + 2], 16) for n in (1, 3, 5)), 255)
        elif len(parts) in (3, 4) and all(isinstance(part, int) for part in parts):
            rgba = (*parts, 255)[:4]
        elif not parts or isinstance(parts[0], str | int):
            rgba = (0, 0, 0, 255)
        else:
            self._no_overload(parts)
        self.__dict__["_rgba"] = tuple(rgba)

    def lightness(self) -> int:
        rgb = self.__dict__["_rgba"][:3]
        return (max(rgb) + min(rgb)) // 2

    def __eq__(self, other: object) -> bool:
        return is_a(other, "QColor") and self.__dict__["_rgba"] == other.__dict__["_rgba"]

    def __hash__(self) -> int:
        return hash(self.__dict__["_rgba"])


@implements("QKeySequence")
class KeySequence(Double):
    """Known by its text, or by a key's number, with modifiers added."""

    def made(self, key: Any = "") -> None:
        self.__dict__["_key"] = key.__dict__["_key"] if is_a(key, "QKeySequence") else key
        if not isinstance(self.__dict__["_key"], str | int):
            self._no_overload((key,))

    def toString(self, _format: int = 0) -> str:
        key = self.__dict__["_key"]
        if isinstance(key, str):
            return key
        keys, names = double("Qt"), []
        for modifier, name in (("Control", "Ctrl"), ("Shift", "Shift"), ("Alt", "Alt"), ("Meta", "Meta")):
            number = int(getattr(keys, f"{modifier}Modifier"))
            if key & number:
                names.append(name)
                key -= number
        found = (text[4:] for text, (enum, n) in keys._facts.enumerators.items() if enum == "Key" and n == key)
        name = next(found, "?")
        return "+".join([*names, {"Escape": "Esc", "Delete": "Del"}.get(name, name)])

    def __eq__(self, other: object) -> bool:
        return is_a(other, "QKeySequence") and self.toString() == other.toString()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.toString())


@implements("QUrl")
class Url(Double):
    def made(self, text: str = "", _mode: int = 0) -> None:
        self.__dict__["_text"] = text

    def toString(self, _options: int = 0) -> str:
        return str(self.__dict__["_text"])

    @staticmethod
    def fromLocalFile(path: str) -> Any:
        return double("QUrl")("file://" + path)
