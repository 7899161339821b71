"""Lists and tables with items."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements


@implements("QTableWidgetItem")
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

    def setForeground(self, brush: Any) -> None:
        self.setData(double("Qt").ForegroundRole, brush)

    def setTextAlignment(self, alignment: int) -> None:
        self.setData(double("Qt").TextAlignmentRole, int(alignment))


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

    def on_rowCount(self, count: int) -> None:
        for kept in ("_cells", "_widgets"):
            self.__dict__[kept] = {cell: thing for cell, thing in self.__dict__[kept].items() if cell[0] < count}

    def on_columnCount(self, count: int) -> None:
        for kept in ("_cells", "_widgets"):
            self.__dict__[kept] = {cell: thing for cell, thing in self.__dict__[kept].items() if cell[1] < count}

    def insertColumn(self, column: int) -> None:
        self.columnCount = self.columnCount + 1
        for kept in ("_cells", "_widgets"):
            cells = self.__dict__[kept].items()
            self.__dict__[kept] = {(row, at + (at >= column)): thing for (row, at), thing in cells}
        for cell, item in self.__dict__["_cells"].items():
            item.__dict__["_cell"] = cell

    def setHorizontalHeaderLabels(self, labels: Any) -> None:
        self.__dict__["_headers"] = dict(enumerate(labels))

    def horizontalHeader(self) -> Any:
        return self.__dict__.setdefault("_header", double("QHeaderView")())

    def verticalHeader(self) -> Any:
        return self.__dict__.setdefault("_side", double("QHeaderView")())

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


@implements("QHeaderView")
class Header(Double):
    def made(self, *_arguments: Any) -> None:
        double("QWidget").made(self)
