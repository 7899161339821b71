"""QSettings in memory: what one object sets, another reads, until the test ends."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, implements

stored: dict[str, Any] = {}


@implements("QSettings")
class Settings(Double):
    def made(self, *_where: Any) -> None:
        self.__dict__.update(_parent=None, _children=[], _filters=[], _group=[])

    def _path(self, key: str) -> str:
        return "/".join([*self.__dict__["_group"], key])

    def value(self, key: str, default: Any = None) -> Any:
        return stored.get(self._path(key), default)

    def setValue(self, key: str, value: Any) -> None:
        stored[self._path(key)] = value
