"""One coloured cell for each slice of a result."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..engine.results import StackResult

# From doubtful to certain; told apart by people who see few colours, and by the mark on doubtful slices.
DOUBTFUL, CERTAIN = (213, 94, 0), (0, 114, 178)
NO_RESULT = (128, 128, 128)
KEY_MARK, DOUBTFUL_MARK = "◆", "!"


class ConfidenceStrip:
    """Fills a table of one row; a click on a cell tells its slice.

    Args:
        table: the QTableWidget.
        on_slice: gets the slice whose cell was clicked.
    """

    def __init__(self, table: qt.QTableWidget, on_slice: Callable[[int], None]) -> None:
        self._table, self._on_slice = table, on_slice
        self._shown: StackResult | None = None
        self._first = 0
        table.rowCount = 1
        header = table.horizontalHeader()
        header.visible = table.verticalHeader().visible = False
        header.minimumSectionSize = 1
        header.setSectionResizeMode(qt.QHeaderView.Stretch)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.connect("cellClicked(int,int)", self._clicked)

    def show(self, result: StackResult | None) -> None:
        """Show the slices of a result, from its lowest to its highest; nothing to do if it is the one that is shown."""
        if result is self._shown:
            return
        self._shown = result
        found = [] if result is None else list(result)
        self._first = found[0].index if found else 0
        self._table.clearContents()
        self._table.columnCount = found[-1].index - self._first + 1 if found else 0
        by_index = {one.index: one for one in found}
        for column in range(self._table.columnCount):
            index = self._first + column
            one = by_index.get(index)
            if one is None:
                self._put(column, NO_RESULT, "", _("Slice {index}: no result").format(index=index))
                continue
            mark = KEY_MARK if one.key else DOUBTFUL_MARK if one.needs_review else ""
            text = _("Slice {index}: confidence {percent} %").format(
                index=index, percent=round(100 * min(max(one.confidence, 0), 1))
            )
            note = _("key slice") if one.key else _("doubtful") if one.needs_review else ""
            self._put(column, color_of(one.confidence), mark, f"{text}, {note}" if note else text)

    def _put(self, column: int, color: tuple[int, int, int], mark: str, text: str) -> None:
        item = qt.QTableWidgetItem(mark)
        item.setBackground(qt.QBrush(qt.QColor(*color)))
        item.setForeground(qt.QBrush(qt.QColor(255, 255, 255)))
        item.setTextAlignment(qt.Qt.AlignCenter)
        item.setToolTip(text)
        self._table.setItem(0, column, item)

    def _clicked(self, _row: int, column: int) -> None:
        self._on_slice(self._first + column)


def color_of(confidence: float) -> tuple[int, int, int]:
    """Red, green, blue for a confidence between 0 and 1."""
    share = min(max(confidence, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(DOUBTFUL, CERTAIN, strict=True))
    return (red, green, blue)
