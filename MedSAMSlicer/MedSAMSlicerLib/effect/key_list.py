"""The key slices: where they are, how they came about, and what can be done with them."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.prompts import Prompts
from .texts import key_text, position_text


class KeyList:
    """Fills a table with a row for each key slice.

    Args:
        ui: has `keysTable`, and the buttons `goToKeyButton`, `correctKeyButton` and `removeKeyButton`.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._shown: Prompts | None = None
        self._indices: list[int] = []
        table = ui.keysTable
        table.columnCount = 3
        table.setHorizontalHeaderLabels([_("Slice"), _("Position"), _("How")])
        header = table.horizontalHeader()
        for column, mode in enumerate(
            (qt.QHeaderView.ResizeToContents, qt.QHeaderView.Stretch, qt.QHeaderView.Stretch)
        ):
            header.setSectionResizeMode(column, mode)
        table.verticalHeader().visible = False
        table.connect("itemSelectionChanged()", self._enable)
        self._enable()

    @property
    def selected(self) -> int | None:
        """The key slice whose row is selected."""
        row = self._ui.keysTable.currentRow()
        return self._indices[row] if 0 <= row < len(self._indices) else None

    def show(self, contouring: ContourEditor | None) -> None:
        """Show the key slices; nothing to do if they are those that are shown."""
        prompts = None if contouring is None or contouring.gone else contouring.prompts
        if prompts is self._shown:
            return
        selected = self.selected
        self._shown = prompts
        table = self._ui.keysTable
        blocked = table.blockSignals(True)
        if prompts is None or contouring is None:
            self._indices = []
            table.rowCount = 0
        else:
            self._indices = list(prompts.keys)
            table.rowCount = len(self._indices)
            for row, (index, key) in enumerate(prompts.keys.items()):
                for column, text in enumerate((str(index), _position(contouring, index), key_text(key))):
                    table.setItem(row, column, qt.QTableWidgetItem(text))
            if self._indices:
                table.selectRow(self._indices.index(selected) if selected in self._indices else len(self._indices) - 1)
        table.blockSignals(blocked)
        count = len(self._indices)
        self._ui.keysSection.title = _("Key slices") if count == 0 else _("Key slices ({count})").format(count=count)
        self._enable()

    def _enable(self) -> None:
        for button in (self._ui.goToKeyButton, self._ui.correctKeyButton, self._ui.removeKeyButton):
            button.enabled = self.selected is not None


def _position(contouring: ContourEditor, index: int) -> str:
    try:
        return position_text(contouring.stack(), index)
    except MedSAMError:
        return "–"  # the volume has changed, and has no such slice any more
