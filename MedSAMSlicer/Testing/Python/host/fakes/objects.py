"""QObject: parents and children, connections, dynamic properties, deletion."""

from __future__ import annotations

from typing import Any

from ..clock import clock
from ..doubles import Double, connect, double, implements, slot_of
from ..signals import normalised


def is_a(thing: Any, name: str) -> bool:
    return isinstance(thing, Double) and thing.inherits(name)


@implements("QObject")
class Object(Double):
    def made(self, *arguments: Any) -> None:
        """Like most Qt constructors: at most a text or an icon, then at most a parent."""
        self.__dict__.update(_parent=None, _children=[], _filters=[])
        rest = list(arguments)
        if rest and is_a(rest[0], "QIcon") and "icon" in self._facts.properties:
            self.icon = rest.pop(0)
        for text in ("text", "title"):
            if rest and isinstance(rest[0], str) and text in self._facts.properties:
                setattr(self, text, rest.pop(0))
        if rest and (rest[0] is None or is_a(rest[0], "QObject")):
            self._attach(rest.pop(0))
        if rest:
            self._no_overload(arguments)

    # Not among the names that a running Slicer lists, but slicer.util.childWidgetVariables lives by it.
    name = property(lambda self: self.objectName, lambda self, value: setattr(self, "objectName", value))

    def _attach(self, parent: Any) -> None:
        if self.__dict__["_parent"] is not None:
            self.__dict__["_parent"].__dict__["_children"].remove(self)
        self.__dict__["_parent"] = parent
        if parent is not None:
            parent.__dict__["_children"].append(self)

    def _delete(self) -> None:
        if self.__dict__["_dead"]:
            return
        self._end()
        self.destroyed.emit(self)
        for child in list(self.__dict__["_children"]):
            child._delete()
        self._attach(None)
        self.__dict__["_signals"].clear()
        self.__dict__["_dead"] = True

    def _end(self) -> None:
        """What the destructor of the class itself does: before those of its base classes delete the children."""

    def parent(self) -> Any:
        return self.__dict__["_parent"]

    def children(self) -> tuple[Any, ...]:
        return tuple(self.__dict__["_children"])

    def findChildren(self, kind: Any = None, name: str | None = None) -> tuple[Any, ...]:
        kind = double(kind) if isinstance(kind, str) else kind
        found = []
        for child in self.children():
            if (kind is None or isinstance(child, kind)) and name in (None, child.objectName):
                found.append(child)
            found.extend(child.findChildren(kind, name))
        return tuple(found)

    def connect(self, *arguments: Any) -> bool:
        return connect(self, *arguments)

    def disconnect(self, signal: str | None = None, *target: Any) -> bool:
        if signal is None:
            found = [one.disconnect() for one in self.__dict__["_signals"].values()]
            return any(found)
        name = normalised(signal).split("(")[0]
        if name not in self._facts.signals:
            raise ValueError(f"{self._facts.name} has no signal '{name}'")
        return bool(getattr(self, name).disconnect(slot_of(*target) if target else None))

    def blockSignals(self, blocked: bool) -> bool:
        before = self.__dict__["_blocked"]
        self.__dict__["_blocked"] = bool(blocked)
        return bool(before)

    def property(self, name: str) -> Any:
        return getattr(self, name) if name in self._facts.properties else self.__dict__["_dynamic"].get(name)

    def setProperty(self, name: str, value: Any) -> bool:
        """False for a property that only this object has, as in Qt."""
        if name in self._facts.properties:
            setattr(self, name, value)
            return True
        self.__dict__["_dynamic"][name] = value
        return False

    def installEventFilter(self, watcher: Any) -> None:
        self.__dict__["_filters"].insert(0, watcher)

    def removeEventFilter(self, watcher: Any) -> None:
        if watcher in self.__dict__["_filters"]:
            self.__dict__["_filters"].remove(watcher)

    def deleteLater(self) -> None:
        clock.post(self._delete)
