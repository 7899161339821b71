"""The Segment Editor's own keys, which its module installs in the main window while it is open."""

from __future__ import annotations

from typing import Any

import slicer

from ..doubles import Double, double


class EditorKeys(Double):
    def installKeyboardShortcuts(self, parent: Any = None) -> None:
        self.uninstallKeyboardShortcuts()
        parent = parent if parent is not None else slicer.app.__dict__["_window"]
        keys = {"Esc": 0, **{str(n % 10): n for n in range(1, 11)}, **{f"Shift+{n % 10}": n + 10 for n in range(1, 11)}}
        for key, index in keys.items():
            shortcut = self._add_key(key, parent, lambda index=index: self._select_effect(index))
            shortcut.setProperty("effectIndex", index)
        for key, action in {"Z": self.undo, "Ctrl+Z": self.undo, "Y": self.redo, "Ctrl+Y": self.redo}.items():
            self._add_key(key, parent, action)

    def uninstallKeyboardShortcuts(self) -> None:
        for shortcut in self.__dict__.pop("_keys", []):
            shortcut._delete()

    def _add_key(self, key: str, parent: Any, action: Any) -> Any:
        shortcut = double("QShortcut")(double("QKeySequence")(key), parent)
        shortcut.connect("activated()", action)
        self.__dict__.setdefault("_keys", []).append(shortcut)
        return shortcut

    def _select_effect(self, index: int) -> None:
        """0: no effect. The key of the effect that is active puts it away."""
        effects = self.__dict__["_effects"]
        wanted = effects[index - 1] if 1 <= index <= len(effects) else None
        self.setActiveEffect(None if wanted is self.activeEffect() else wanted)
