"""What a user reads in the panel's tables."""

from __future__ import annotations

from typing import Any


def rows_of(table: Any) -> list[list[str]]:
    """Texts of a table's cells."""
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]
