"""Files, folders and what opens outside of Slicer."""

from __future__ import annotations

import os
import tempfile
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

    def close(self) -> None:
        pass


@implements("QDir")
class Dir(Double):
    def made(self, path: str = ".") -> None:
        self.__dict__["_path"] = path

    def absolutePath(self) -> str:
        return os.path.abspath(self.__dict__["_path"])

    def filePath(self, name: str) -> str:
        return os.path.join(self.__dict__["_path"], name)

    def exists(self, name: str = "") -> bool:
        return os.path.isdir(os.path.join(self.__dict__["_path"], name))

    def mkpath(self, path: str) -> bool:
        os.makedirs(os.path.join(self.__dict__["_path"], path), exist_ok=True)
        return True

    @staticmethod
    def homePath() -> str:
        return str(Path.home())

    @staticmethod
    def tempPath() -> str:
        return tempfile.gettempdir()

    @staticmethod
    def isAbsolutePath(path: str) -> bool:
        return os.path.isabs(path)

    @staticmethod
    def toNativeSeparators(path: str) -> str:
        return os.path.normpath(path)


@implements("QStandardPaths")
class StandardPaths(Double):
    @staticmethod
    def writableLocation(_kind: int) -> str:
        return os.path.join(tempfile.gettempdir(), "medsam-host")


@implements("QDesktopServices")
class DesktopServices(Double):
    @staticmethod
    def openUrl(url: Any) -> bool:
        """Opens nothing; `host.opened` says what would have opened."""
        opened.append(url.toString())
        return True


@implements("ctkPathLineEdit")
class PathLineEdit(Double):
    def setCurrentPath(self, path: str) -> None:
        self.currentPath = path

    def addCurrentPathToHistory(self) -> None:
        pass

    def on_currentPath(self, path: str) -> None:
        if self._facts.properties["currentPath"].notify is None:
            self.currentPathChanged.emit(path)


@implements("ctkDirectoryButton")
class DirectoryButton(Double):
    def on_directory(self, path: str) -> None:
        if self._facts.properties["directory"].notify is None:
            self.directoryChanged.emit(path)
