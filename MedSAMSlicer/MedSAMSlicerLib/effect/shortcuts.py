"""Keyboard shortcuts while the effect is active."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Adds shortcuts to the main window, if there is one.

    Attributes:
        escaped: whether `on_escape` has handled the current press of Esc, which then also reaches the focused widget.

    Args:
        actions: key sequence, such as "Ctrl+Return" -> function to call.
        on_escape: called when Esc is pressed; returns whether it has cancelled something.
    """

    def __init__(self, actions: Mapping[str, Callable[[], object]], on_escape: Callable[[], bool]) -> None:
        self._shortcuts: list[Any] = []
        self.escaped = False
        self._window = slicer.util.mainWindow()
        self._filter: Any = None
        if self._window is None:
            return
        for keys, action in actions.items():
            shortcut = qt.QShortcut(self._window)
            shortcut.setKey(qt.QKeySequence(keys))
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)
        self._filter = _EscapeFilter()
        self._filter.on_escape = lambda: self._escape(on_escape)
        self._window.installEventFilter(self._filter)

    def remove(self) -> None:
        """Remove the shortcuts."""
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._shortcuts = []
        if self._filter is not None:
            self._window.removeEventFilter(self._filter)
            self._filter = None

    def _escape(self, on_escape: Callable[[], bool]) -> bool:
        self.escaped = on_escape()
        if self.escaped:
            qt.QTimer.singleShot(0, self._reset_escaped)
        return self.escaped

    def _reset_escaped(self) -> None:
        self.escaped = False


class _EscapeFilter(qt.QObject):
    """Handles Esc before the shortcut of the Segment Editor, which would deactivate the effect.

    Before Qt triggers a shortcut it sends a ShortcutOverride event to the focused widget and then to its parents; a
    widget that accepts the event gets the key instead.
    """

    on_escape: Callable[[], bool] = staticmethod(lambda: False)

    def eventFilter(self, _watched: qt.QObject, event: Any) -> bool:
        if event.type() != qt.QEvent.ShortcutOverride or event.key() != qt.Qt.Key_Escape:
            return False
        if not self.on_escape():
            return False
        event.accept()
        return True
