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

    def length(self) -> int:
        return len(self.data())

    def isEmpty(self) -> bool:
        return not self.data()

    def __len__(self) -> int:
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


class XY:
    def x(self) -> float:
        return self.__dict__["_numbers"][0]

    def y(self) -> float:
        return self.__dict__["_numbers"][1]


@implements("QPoint")
class Point(XY, WholeNumbers):
    pass


@implements("QPointF")
class PointF(XY, Numbers):
    pass


@implements("QVector3D")
class Vector3D(XY, Numbers):
    _count = 3

    def z(self) -> float:
        return self.__dict__["_numbers"][2]


class WidthHeight:
    def width(self) -> float:
        return self.__dict__["_numbers"][0]

    def height(self) -> float:
        return self.__dict__["_numbers"][1]


@implements("QSize")
class Size(WidthHeight, WholeNumbers):
    pass


@implements("QSizeF")
class SizeF(WidthHeight, Numbers):
    pass


class Corners(Numbers):
    _count = 4

    def x(self) -> float:
        return self.__dict__["_numbers"][0]

    def y(self) -> float:
        return self.__dict__["_numbers"][1]

    def width(self) -> float:
        return self.__dict__["_numbers"][2]

    def height(self) -> float:
        return self.__dict__["_numbers"][3]


@implements("QRect", "QRectF")
class Rect(Corners):
    pass


@implements("QMargins")
class Margins(WholeNumbers):
    _count = 4


@implements("QSizePolicy")
class SizePolicy(WholeNumbers):
    def horizontalPolicy(self) -> int:
        return int(self.__dict__["_numbers"][0])

    def verticalPolicy(self) -> int:
        return int(self.__dict__["_numbers"][1])

    def setHorizontalPolicy(self, policy: int) -> None:
        self.__dict__["_numbers"] = (policy, self.__dict__["_numbers"][1])

    def setVerticalPolicy(self, policy: int) -> None:
        self.__dict__["_numbers"] = (self.__dict__["_numbers"][0], policy)

    def setHorizontalStretch(self, _stretch: int) -> None:
        pass

    def setVerticalStretch(self, _stretch: int) -> None:
        pass


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

    @staticmethod
    def fromRgbF(red: float, green: float, blue: float, alpha: float = 1.0) -> Any:
        return double("QColor")(*(round(255 * part) for part in (red, green, blue, alpha)))

    def red(self) -> int:
        return int(self.__dict__["_rgba"][0])

    def green(self) -> int:
        return int(self.__dict__["_rgba"][1])

    def blue(self) -> int:
        return int(self.__dict__["_rgba"][2])

    def alpha(self) -> int:
        return int(self.__dict__["_rgba"][3])

    def redF(self) -> float:
        return self.__dict__["_rgba"][0] / 255

    def greenF(self) -> float:
        return self.__dict__["_rgba"][1] / 255

    def blueF(self) -> float:
        return self.__dict__["_rgba"][2] / 255

    def setAlpha(self, alpha: int) -> None:
        self.__dict__["_rgba"] = (*self.__dict__["_rgba"][:3], alpha)

    def setAlphaF(self, alpha: float) -> None:
        self.__dict__["_rgba"] = (*self.__dict__["_rgba"][:3], round(255 * alpha))

    def name(self, _format: int = 0) -> str:
        return "#{:02x}{:02x}{:02x}".format(*self.__dict__["_rgba"][:3])

    def isValid(self) -> bool:
        return True

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

    def isEmpty(self) -> bool:
        return self.__dict__["_key"] == ""

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

    def toLocalFile(self) -> str:
        return str(self.__dict__["_text"]).removeprefix("file://")

    def isEmpty(self) -> bool:
        return not self.__dict__["_text"]
