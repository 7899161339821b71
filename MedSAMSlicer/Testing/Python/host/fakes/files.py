"""Files, folders and what opens outside of Slicer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..doubles import Double, double, implements

opened: list[str] = []


@implements("QFile")
class File(Double):
    def made(self, path: str = "") -> None:
        double("QObject").made(self)
        self.__dict__["_path"] = path

    def exists(self, path: str | None = None) -> bool:
        return Path(path or self.__dict__["_path"]).exists()

    def fileName(self) -> str:
        return str(self.__dict__["_path"])

    def open(self, _mode: int) -> bool:
        return Path(self.__dict__["_path"]).is_file()


@implements("QDir")
class Dir(Double):
    def made(self, path: str = ".") -> None:
        self.__dict__["_path"] = path

    def mkpath(self, path: str) -> bool:
        os.makedirs(os.path.join(self.__dict__["_path"], path), exist_ok=True)
        return True


@implements("QDesktopServices")
class DesktopServices(Double):
    @staticmethod
    def openUrl(url: Any) -> bool:
        """Opens nothing; `host.opened` says what would have opened."""
        opened.append(url.toString())
        return True


@implements("ctkDirectoryButton")
class DirectoryButton(Double):
    def on_directory(self, path: str) -> None:
        if self._facts.properties["directory"].notify is None:
            self.directoryChanged.emit(path)
