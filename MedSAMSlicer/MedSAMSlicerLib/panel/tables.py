"""Tables that show and select, and are not edited."""

from __future__ import annotations

from collections.abc import Sequence

import qt


def prepare_table(table: qt.QTableWidget, headers: Sequence[str]) -> None:
    """Set headers: the first column takes the room that the others leave."""
    table.columnCount = len(headers)
    table.setHorizontalHeaderLabels(list(headers))
    header = table.horizontalHeader()
    for column in range(len(headers)):
        header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents if column else qt.QHeaderView.Stretch)
    table.verticalHeader().visible = False


def fill_table(table: qt.QTableWidget, rows: Sequence[Sequence[str]], tooltips: Sequence[str] = ()) -> None:
    """Replace all rows; the selected row stays selected.

    Args:
        tooltips: one for each row, or none at all.
    """
    selected = table.currentRow()
    blocked = table.blockSignals(True)
    table.rowCount = len(rows)
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tooltips[row] if tooltips else text)
            table.setItem(row, column, item)
    if 0 <= selected < len(rows):
        table.selectRow(selected)
    table.blockSignals(blocked)
    table.resizeRowsToContents()
    # The table asks for the height of its rows (its size is adjusted to its contents).
    table.updateGeometry()
