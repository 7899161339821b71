"""Layouts: which widgets stand in them, in which order."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements
from .objects import is_a


class Item:
    """Stands for QLayoutItem."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing


@implements("QLayout")
class Layout(Double):
    def made(self, *arguments: Any) -> None:
        self.__dict__.update(_items=[], _host=None)
        double("QObject").made(self)
        if arguments and is_a(arguments[0], "QWidget"):
            arguments[0].setLayout(self)
        elif arguments and arguments[0] is not None:
            self._no_overload(arguments)

    def _belong(self, host: Any) -> None:
        """Widgets in a layout are children of the widget that it lays out."""
        self.__dict__["_host"] = host
        self._attach(host)
        for item in self.__dict__["_items"]:
            self._take_in(item.thing)

    def _take_in(self, thing: Any) -> None:
        host = self.__dict__["_host"]
        if host is None or thing is None:
            return
        if is_a(thing, "QLayout"):
            thing.__dict__["_host"] = host
            thing._attach(self)
            for item in thing.__dict__["_items"]:
                thing._take_in(item.thing)
        elif is_a(thing, "QWidget"):
            thing._attach(host)

    def _put(self, *things: Any, at: int | None = None) -> None:
        for thing in things:
            if not (is_a(thing, "QWidget") or is_a(thing, "QLayout") or thing is None or is_a(thing, "QSpacerItem")):
                raise ValueError(f"{self.className()} cannot hold {thing!r}")
            items = self.__dict__["_items"]
            items.insert(len(items) if at is None else at, Item(thing))
            self._take_in(thing)

    def addWidget(self, widget: Any, *_where: Any) -> None:
        if not is_a(widget, "QWidget"):
            raise ValueError(f"addWidget got {widget!r}, which is not a widget")
        self._put(widget)

    def addItem(self, item: Any) -> None:
        self._put(item)

    def removeItem(self, item: Any) -> None:
        self.__dict__["_items"][:] = [kept for kept in self.__dict__["_items"] if kept is not item]

    def count(self) -> int:
        return len(self.__dict__["_items"])

    def itemAt(self, index: int) -> Item | None:
        items = self.__dict__["_items"]
        return items[index] if 0 <= index < len(items) else None


@implements("QFormLayout")
class FormLayout(Double):
    def addRow(self, *parts: Any) -> None:
        label, field = parts if len(parts) == 2 else (None, parts[0])
        if isinstance(label, str):
            label = double("QLabel")(label)
        if label is not None:
            self._put(label)
        self._put(field)
        self.__dict__.setdefault("_rows", []).append((label, field))
