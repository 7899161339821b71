"""Icons, pictures, cursors and fonts: that they were asked for, from which file. Nothing is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..doubles import Double, double, implements
from .objects import is_a


@implements("QIcon")
class Icon(Double):
    def made(self, source: Any = None) -> None:
        self.__dict__["_files"] = [source] if isinstance(source, str) else []
        self.__dict__["_filled"] = source is not None and not isinstance(source, str)

    def addFile(self, path: str, _size: Any = None, _mode: int = 0, _state: int = 0) -> None:
        self.__dict__["_files"].append(path)

    def addPixmap(self, _pixmap: Any, _mode: int = 0, _state: int = 0) -> None:
        self.__dict__["_filled"] = True

    def isNull(self) -> bool:
        """Null as in Qt where no file of the icon is there; paths into Qt's resources count as there."""
        files = self.__dict__["_files"]
        return not (self.__dict__["_filled"] or any(path.startswith(":") or Path(path).is_file() for path in files))

    def pixmap(self, *size: Any) -> Any:
        return double("QPixmap")(*(size[:2] if len(size) > 1 else ()))

    def availableSizes(self, _mode: int = 0, _state: int = 0) -> tuple[Any, ...]:
        return () if self.isNull() else (double("QSize")(32, 32),)


class Picture(Double):
    def made(self, *arguments: Any) -> None:
        self.__dict__["_source"] = arguments[0] if arguments and isinstance(arguments[0], str) else None
        whole = [int(n) for n in arguments if isinstance(n, int | float)]
        size = arguments[0] if arguments and is_a(arguments[0], "QSize") else None
        self.__dict__["_size"] = (size.width(), size.height()) if size else tuple(whole[:2]) or (0, 0)

    def width(self) -> int:
        return int(self.__dict__["_size"][0])

    def height(self) -> int:
        return int(self.__dict__["_size"][1])

    def isNull(self) -> bool:
        source = self.__dict__["_source"]
        return not (self.width() or (source and Path(source).is_file()))

    def fill(self, _color: Any = None) -> None:
        pass


@implements("QPixmap")
class Pixmap(Picture):
    @staticmethod
    def fromImage(image: Any, _flags: int = 0) -> Any:
        return double("QPixmap")(image.width(), image.height())


@implements("QImage")
class Image(Picture):
    pass


@implements("QPainter")
class Painter(Double):
    """Writes down on the picture what was painted: `picture.__dict__["painted"]` is a list of (what, where, color)."""

    def made(self, picture: Any = None) -> None:
        self.__dict__.update(_picture=None, _brush=None, _pen=None)
        if picture is not None:
            self.begin(picture)

    def begin(self, picture: Any) -> bool:
        self.__dict__["_picture"] = picture
        picture.__dict__.setdefault("painted", [])
        return True

    def end(self) -> bool:
        self.__dict__["_picture"] = None
        return True

    def _paint(self, what: str, where: tuple[Any, ...], color: Any) -> None:
        if self.__dict__["_picture"] is None:
            raise RuntimeError(f"QPainter.{what} without a picture: Qt paints nothing then")
        self.__dict__["_picture"].__dict__["painted"].append((what, where, color))

    def setBrush(self, brush: Any) -> None:
        self.__dict__["_brush"] = brush

    def setPen(self, pen: Any) -> None:
        self.__dict__["_pen"] = pen

    def fillRect(self, *arguments: Any) -> None:
        self._paint("fillRect", arguments[:-1], arguments[-1])

    def drawRect(self, *arguments: Any) -> None:
        self._paint("drawRect", arguments, self.__dict__["_brush"])

    def drawLine(self, *arguments: Any) -> None:
        self._paint("drawLine", arguments, self.__dict__["_pen"])

    def drawText(self, *arguments: Any) -> None:
        self._paint("drawText", arguments, self.__dict__["_pen"])


@implements("QCursor")
class Cursor(Double):
    def made(self, *_shape: Any) -> None:
        self.__dict__["_shape"] = _shape

    def shape(self) -> Any:
        return self.__dict__["_shape"][0] if self.__dict__["_shape"] else double("Qt").ArrowCursor


@implements("QFont")
class Font(Double):
    def made(self, *_description: Any) -> None:
        pass

    def setBold(self, _bold: bool) -> None:
        pass

    def setItalic(self, _italic: bool) -> None:
        pass

    def setPointSize(self, _size: int) -> None:
        pass


@implements("QFontMetrics")
class FontMetrics(Double):
    """Eight pixels a letter."""

    def made(self, *_font: Any) -> None:
        pass

    def height(self) -> int:
        return 16

    def width(self, text: str, _length: int = -1) -> int:
        return 8 * len(text)

    def horizontalAdvance(self, text: str, _length: int = -1) -> int:
        return 8 * len(text)


@implements("QPalette")
class Palette(Double):
    def made(self, *_colors: Any) -> None:
        pass

    def color(self, *_role: Any) -> Any:
        """A light scheme: dark text on white."""
        dark = {double("QPalette").WindowText, double("QPalette").Text, double("QPalette").ButtonText}
        return double("QColor")("#000000" if _role and _role[-1] in dark else "#ffffff")


@implements("QBrush", "QPen")
class Paint(Double):
    def made(self, *arguments: Any) -> None:
        self.__dict__["_color"] = arguments[0] if arguments else double("QColor")()

    def color(self) -> Any:
        color = self.__dict__["_color"]
        return color if is_a(color, "QColor") else double("QColor")()


@implements("QStyle")
class Style(Double):
    def standardIcon(self, _which: int, *_more: Any) -> Any:
        icon = double("QIcon")()
        icon.__dict__["_filled"] = True
        return icon
