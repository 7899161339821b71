"""Keys on their way through Qt: event filters, shortcuts, and what is left for the widget that has the focus."""

from __future__ import annotations

from typing import Any

import slicer

from ..doubles import Double, double, implements
from ..signals import guarded
from .objects import is_a

# All that live.
shortcuts: list[Any] = []


@implements("QEvent")
class Event(Double):
    def made(self, kind: int) -> None:
        self.__dict__.update(_type=kind, _accepted=True)

    def type(self) -> int:
        return int(self.__dict__["_type"])

    def accept(self) -> None:
        self.setAccepted(True)

    def ignore(self) -> None:
        self.setAccepted(False)

    def setAccepted(self, accepted: bool) -> None:
        self.__dict__["_accepted"] = accepted

    def isAccepted(self) -> bool:
        return bool(self.__dict__["_accepted"])


@implements("QShortcut")
class Shortcut(Double):
    """Made with (parent) or (key, parent)."""

    def made(self, *arguments: Any) -> None:
        key = arguments[0] if is_a(arguments[0] if arguments else None, "QKeySequence") else None
        double("QObject").made(self, *(arguments[1:] if key is not None else arguments))
        self.__dict__["_values"].update(enabled=True, autoRepeat=True, context=double("Qt").WindowShortcut)
        if self.parent() is None:
            raise ValueError("a QShortcut without a parent widget is never activated")
        if key is not None:
            self.key = key
        shortcuts.append(self)

    def setKey(self, key: Any) -> None:
        self.key = key

    def parentWidget(self) -> Any:
        return self.parent()

    def _end(self) -> None:
        shortcuts.remove(self)

    def _is_active(self, focus: Any) -> bool:
        """Whether the keys do something while this widget has the focus."""
        above, context, contexts = self.parentWidget(), self.context, double("Qt")
        if not (self.enabled and above.enabled and above.window().visible):
            return False
        if context == contexts.ApplicationShortcut:
            return True
        if context == contexts.WindowShortcut:
            return bool(above.window() is focus.window())
        return above is focus or (context == contexts.WidgetWithChildrenShortcut and above.isAncestorOf(focus))


def active_shortcuts(keys: str, focus: Any) -> list[Any]:
    wanted = double("QKeySequence")(keys).toString()
    return [one for one in shortcuts if one.key.toString() == wanted and one._is_active(focus)]


def trigger(found: list[Any]) -> None:
    """Several shortcuts with the same keys are ambiguous: they take turns in hearing of it, and none does its work."""
    if len(found) == 1:
        found[0].activated.emit()
        return
    turn = found[0].__dict__.setdefault("_turn", 0)
    found[0].__dict__["_turn"] = turn + 1
    found[turn % len(found)].activatedAmbiguously.emit()


def press(keys: str, focus: Any) -> bool:
    """Presses keys where the focus is. True if they went no farther: a filter or a shortcut took them."""
    if filtered := _override(focus):
        return filtered == "eaten"
    found = active_shortcuts(keys, focus)
    if found:
        trigger(found)
    return bool(found)


def _override(focus: Any) -> str:
    """Asks whether a widget wants the key for itself. Python gets this event as a plain QEvent, without `key()`."""
    event = double("QEvent")(double("QEvent").ShortcutOverride)
    event.ignore()
    receiver = focus
    while receiver is not None:
        for watcher in [*slicer.app.__dict__["_filters"], *receiver.__dict__["_filters"]]:
            if guarded(watcher.eventFilter, receiver, event) is True:
                return "wanted" if event.isAccepted() else "eaten"
        if event.isAccepted():
            return "wanted"
        receiver = receiver.parent()
    return ""
