"""Lists and tables with items."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements


class Item(Double):
    def made(self, *arguments: Any) -> None:
        self.__dict__["_data"] = {}
        if arguments and isinstance(arguments[0], str):
            self.setText(arguments[0])
        elif arguments and arguments[0] is not None:
            self._no_overload(arguments)

    def text(self) -> str:
        return str(self.data(double("Qt").DisplayRole) or "")

    def setText(self, text: str) -> None:
        self.setData(double("Qt").DisplayRole, text)

    def data(self, role: int) -> Any:
        return self.__dict__["_data"].get(int(role))

    def setData(self, role: int, value: Any) -> None:
        self.__dict__["_data"][int(role)] = value

    def setToolTip(self, text: str) -> None:
        self.setData(double("Qt").ToolTipRole, text)

    def toolTip(self) -> str:
        return str(self.data(double("Qt").ToolTipRole) or "")

    def setBackground(self, brush: Any) -> None:
        self.setData(double("Qt").BackgroundRole, brush)

    def background(self) -> Any:
        return self.data(double("Qt").BackgroundRole) or double("QBrush")()

    def setFlags(self, flags: int) -> None:
        self.__dict__["_flags"] = flags

    def flags(self) -> int:
        return int(self.__dict__.get("_flags", 61))

    def setCheckState(self, state: int) -> None:
        self.setData(double("Qt").CheckStateRole, state)

    def checkState(self) -> int:
        return int(self.data(double("Qt").CheckStateRole) or 0)

    def setIcon(self, icon: Any) -> None:
        self.setData(double("Qt").DecorationRole, icon)

    def setForeground(self, brush: Any) -> None:
        self.setData(double("Qt").ForegroundRole, brush)

    def setTextAlignment(self, alignment: int) -> None:
        self.setData(double("Qt").TextAlignmentRole, int(alignment))


@implements("QTableWidgetItem")
class TableItem(Item):
    def row(self) -> int:
        return int(self.__dict__.get("_cell", (-1, -1))[0])

    def column(self) -> int:
        return int(self.__dict__.get("_cell", (-1, -1))[1])


@implements("QListWidgetItem")
class ListItem(Item):
    pass


@implements("QTableWidget")
class Table(Double):
    def made(self, *arguments: Any) -> None:
        rest = list(arguments)
        rows, columns = (rest.pop(0), rest.pop(0)) if rest and isinstance(rest[0], int) else (0, 0)
        double("QWidget").made(self, *rest)
        self.__dict__.update(_cells={}, _widgets={}, _headers={}, _current=(-1, -1))
        self.rowCount, self.columnCount = rows, columns

    def item(self, row: int, column: int) -> Any:
        return self.__dict__["_cells"].get((row, column))

    def setItem(self, row: int, column: int, item: Any) -> None:
        self._within(row, column)
        self.__dict__["_cells"][row, column] = item
        item.__dict__["_cell"] = (row, column)

    def _within(self, row: int, column: int) -> None:
        if not (0 <= row < self.rowCount and 0 <= column < self.columnCount):
            raise ValueError(f"cell {row}, {column} lies outside {self.rowCount} rows and {self.columnCount} columns")

    def setCellWidget(self, row: int, column: int, widget: Any) -> None:
        self._within(row, column)
        self.__dict__["_widgets"][row, column] = widget
        widget._attach(self)

    def cellWidget(self, row: int, column: int) -> Any:
        return self.__dict__["_widgets"].get((row, column))

    def insertRow(self, row: int) -> None:
        self.rowCount = self.rowCount + 1
        self._move_rows(row, 1)

    def removeRow(self, row: int) -> None:
        self._move_rows(row, -1)
        self.rowCount = self.rowCount - 1

    def _move_rows(self, first: int, by: int) -> None:
        for kept in ("_cells", "_widgets"):
            moved = {}
            for (row, column), thing in self.__dict__[kept].items():
                if not (by < 0 and row == first):
                    moved[(row + by if row >= first else row, column)] = thing
            self.__dict__[kept] = moved
        for cell, item in self.__dict__["_cells"].items():
            item.__dict__["_cell"] = cell

    def on_rowCount(self, count: int) -> None:
        for kept in ("_cells", "_widgets"):
            self.__dict__[kept] = {cell: thing for cell, thing in self.__dict__[kept].items() if cell[0] < count}

    def clearContents(self) -> None:
        self.__dict__.update(_cells={}, _widgets={})

    def setHorizontalHeaderLabels(self, labels: Any) -> None:
        self.__dict__["_headers"] = dict(enumerate(labels))

    def horizontalHeader(self) -> Any:
        return self.__dict__.setdefault("_header", double("QHeaderView")())

    def verticalHeader(self) -> Any:
        return self.__dict__.setdefault("_side", double("QHeaderView")())

    def rowHeight(self, _row: int) -> int:
        return 24

    def columnWidth(self, _column: int) -> int:
        return 100

    def selectedItems(self) -> tuple[Any, ...]:
        item = self.currentItem()
        return (item,) if item is not None else ()

    def selectRow(self, row: int) -> None:
        self.setCurrentCell(row, 0)

    def setCurrentCell(self, row: int, column: int, _command: int = 0) -> None:
        before = self.__dict__["_current"]
        if before != (row, column):
            self.__dict__["_current"] = (row, column)
            self.currentCellChanged.emit(row, column, *before)
            self.itemSelectionChanged.emit()

    def currentRow(self) -> int:
        return int(self.__dict__["_current"][0])

    def currentColumn(self) -> int:
        return int(self.__dict__["_current"][1])

    def currentItem(self) -> Any:
        return self.item(*self.__dict__["_current"])

    def clearSelection(self) -> None:
        self.setCurrentCell(-1, -1)


@implements("QHeaderView")
class Header(Double):
    def made(self, *_arguments: Any) -> None:
        double("QWidget").made(self)


@implements("QListWidget")
class ListWidget(Double):
    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__["_entries"] = []
        self.__dict__["_values"]["currentRow"] = -1

    def addItem(self, item: Any) -> None:
        self.__dict__["_entries"].append(double("QListWidgetItem")(item) if isinstance(item, str) else item)

    def item(self, row: int) -> Any:
        entries = self.__dict__["_entries"]
        return entries[row] if 0 <= row < len(entries) else None

    def takeItem(self, row: int) -> Any:
        taken = self.__dict__["_entries"].pop(row)
        self.currentRow = min(self.currentRow, len(self.__dict__["_entries"]) - 1)
        return taken

    def read_count(self) -> int:
        return len(self.__dict__["_entries"])

    def clear(self) -> None:
        self.__dict__["_entries"].clear()
        self.currentRow = -1

    def row(self, item: Any) -> int:
        return next((n for n, there in enumerate(self.__dict__["_entries"]) if there is item), -1)

    def currentItem(self) -> Any:
        return self.item(self.currentRow)

    def on_currentRow(self, row: int) -> None:
        self.itemSelectionChanged.emit()
