"""Icons, pictures, cursors and fonts: that they were asked for, from which file. Nothing is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..doubles import Double, double, implements


@implements("QIcon")
class Icon(Double):
    def made(self, source: Any = None) -> None:
        self.__dict__["_files"] = [source] if isinstance(source, str) else []
        self.__dict__["_filled"] = source is not None and not isinstance(source, str)

    def isNull(self) -> bool:
        """Null as in Qt where no file of the icon is there; paths into Qt's resources count as there."""
        files = self.__dict__["_files"]
        return not (self.__dict__["_filled"] or any(path.startswith(":") or Path(path).is_file() for path in files))


@implements("QCursor")
class Cursor(Double):
    def made(self, *_shape: Any) -> None:
        self.__dict__["_shape"] = _shape


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
