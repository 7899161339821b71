"""Helpers for read-only tables."""

from __future__ import annotations

from collections.abc import Sequence

import qt


def prepare_table(table: qt.QTableWidget, headers: Sequence[str]) -> None:
    """Set the column headers; the first column stretches, the others fit their contents."""
    table.columnCount = len(headers)
    table.setHorizontalHeaderLabels(list(headers))
    header = table.horizontalHeader()
    for column in range(len(headers)):
        header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents if column else qt.QHeaderView.Stretch)
    table.verticalHeader().visible = False


def fill_table(table: qt.QTableWidget, rows: Sequence[Sequence[str]], tooltips: Sequence[str] = ()) -> None:
    """Replace all rows; the row number of the selection is kept.

    Args:
        table: the table to fill.
        rows: texts of the cells, row by row.
        tooltips: one for each row; empty: each cell shows its own text.
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
    # The size of the table depends on the height of its rows.
    table.updateGeometry()
