"""Keys that work while the effect is active."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Shortcuts of the main window; none where there is no main window.

    Args:
        actions: keys, such as "Ctrl+Return", and what they do.
        on_escape: returns whether there was something to escape from.
    """

    def __init__(self, actions: Mapping[str, Callable[[], object]], on_escape: Callable[[], bool]) -> None:
        self._shortcuts: list[Any] = []
        self.escaped = False
        """Whether the stroke of Escape that is under way was taken already: it goes on to the widget with the focus."""
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
        """Give the keys back."""
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
            qt.QTimer.singleShot(0, self._stroke_is_over)
        return self.escaped

    def _stroke_is_over(self) -> None:
        self.escaped = False


class _EscapeFilter(qt.QObject):
    """Sees the Escape key before the Segment Editor's own shortcut, which would leave the effect.

    Qt asks the focused widget, and then those around it, whether they want a key that is a shortcut.
    """

    on_escape: Callable[[], bool] = staticmethod(lambda: False)

    def eventFilter(self, _watched: qt.QObject, event: Any) -> bool:
        if event.type() != qt.QEvent.ShortcutOverride or event.key() != qt.Qt.Key_Escape:
            return False
        if not self.on_escape():
            return False
        event.accept()
        return True
