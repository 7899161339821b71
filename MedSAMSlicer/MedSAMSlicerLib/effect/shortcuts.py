"""Keyboard shortcuts while the effect is active."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import qt
import slicer

_SWITCHED_OFF = "MedSAM.SwitchedOff"


def segment_editor_of(effect: slicer.qSlicerSegmentEditorScriptedEffect) -> slicer.qMRMLSegmentEditorWidget:
    """The Segment Editor that shows the effect's options."""
    widget = effect.optionsFrame()
    while not widget.inherits("qMRMLSegmentEditorWidget"):
        widget = widget.parent()
    return widget


class Shortcuts:
    """Adds shortcuts to the main window, if there is one, and to the window of the Segment Editor, if that is another one.

    In Slicer, Esc puts any effect away. Qt triggers neither of two shortcuts with the same keys, and Python learns from no
    event which key it is about to trigger: therefore the Segment Editor's Esc is switched off while the effect needs Esc.

    Args:
        editor: the Segment Editor.
        actions: key sequence, such as "Ctrl+Return" -> function to call.
        on_escape: called when Esc is pressed while the effect needs it.
    """

    def __init__(
        self,
        editor: slicer.qMRMLSegmentEditorWidget,
        actions: Mapping[str, Callable[[], object]],
        on_escape: Callable[[], object],
    ) -> None:
        main, own = slicer.util.mainWindow(), editor.window()
        windows = [own] if main is None or main == own else [main, own]
        self._parents = [*windows, editor]
        self._on_escape = on_escape
        self._state = (False, False)
        self._actions = [_shortcut(window, keys, action) for window in windows for keys, action in actions.items()]
        self._escapes = [_shortcut(window, "Esc", on_escape) for window in windows]
        for escape in self._escapes:
            # The Segment Editor's Esc may be installed anew at any time, switched on.
            escape.connect("activatedAmbiguously()", self._escape_again)

    def update(self, enabled: bool, escape_needed: bool) -> None:
        """Switch the shortcuts on or off.

        Args:
            enabled: whether the actions' keys work.
            escape_needed: whether Esc is the effect's.
        """
        before, self._state = self._state, (enabled, escape_needed)
        if before == self._state:
            return
        self._switch_editors_escape(not escape_needed)
        for shortcut in self._actions:
            shortcut.enabled = enabled
        for shortcut in self._escapes:
            shortcut.enabled = escape_needed

    def remove(self) -> None:
        """Remove the shortcuts; the Segment Editor's Esc works again."""
        self.update(False, False)
        for shortcut in (*self._actions, *self._escapes):
            shortcut.deleteLater()
        self._actions, self._escapes = [], []

    def _escape_again(self) -> None:
        self._switch_editors_escape(False)
        self._on_escape()

    def _switch_editors_escape(self, on: bool) -> None:
        for shortcut in self._editors_escapes():
            if on and shortcut.property(_SWITCHED_OFF):
                shortcut.setProperty(_SWITCHED_OFF, False)
                shortcut.enabled = True
            elif not on and shortcut.enabled:
                shortcut.setProperty(_SWITCHED_OFF, True)
                shortcut.enabled = False

    def _editors_escapes(self) -> Iterator[Any]:
        """Those that are installed now: of the shortcuts with the property `effectIndex`, 0 means no effect."""
        for parent in self._parents:
            for child in parent.children():
                if child.className() == "QShortcut" and child.property("effectIndex") == 0:
                    yield child


def _shortcut(window: qt.QWidget, keys: str, action: Callable[[], object]) -> qt.QShortcut:
    shortcut = qt.QShortcut(window)
    shortcut.setKey(qt.QKeySequence(keys))
    shortcut.enabled = False
    shortcut.connect("activated()", action)
    return shortcut
