#!/usr/bin/env python3
"""Renders Qt Designer files as PNG without Slicer, to check layout and wording.

    python tools/render_ui.py MedSAMSlicer/Resources/UI/MedSAMSlicer.ui --output panel.png [--width 420]

Needs PySide6 (`pip install PySide6-Essentials`). Widgets of Slicer and CTK are drawn as frames with their names,
collapsible sections as open group boxes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def render(file: Path, output: Path, width: int, fill: dict[str, str] | None = None) -> list[str]:
    """Render one file and return the classes that were drawn as frames.

    Args:
        file: Qt Designer file.
        output: PNG file to write.
        width: width in pixels; Slicer's module panel is about 420 wide.
        fill: texts of labels and tables by object name; see `_fill` for tables.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    framed: set[str] = set()

    class Loader(QtUiTools.QUiLoader):
        """Replaces widgets of Slicer and CTK."""

        def createWidget(self, kind: str, parent: Any = None, name: str = "") -> Any:
            if kind in self.availableWidgets():
                return super().createWidget(kind, parent, name)
            if kind in ("qMRMLWidget", "qSlicerWidget"):
                made: Any = QtWidgets.QWidget(parent)
            elif kind in ("ctkCollapsibleButton", "ctkCollapsibleGroupBox"):
                made = QtWidgets.QGroupBox(parent)
            else:
                made = _Named(kind, name, parent)
                framed.add(kind)
            made.setObjectName(name)
            return made

    class _Named(QtWidgets.QFrame):
        def __init__(self, kind: str, name: str, parent: Any) -> None:
            super().__init__(parent)
            self.setFrameShape(QtWidgets.QFrame.Shape.Box)
            self.setMinimumHeight(24)
            self._text = f"{kind} {name}"

        def paintEvent(self, event: Any) -> None:
            super().paintEvent(event)
            painter = QtGui.QPainter(self)
            painter.drawText(self.rect(), QtCore.Qt.AlignmentFlag.AlignCenter, self._text)
            painter.end()

    device = QtCore.QFile(str(file))
    if not device.open(QtCore.QFile.OpenModeFlag.ReadOnly):
        raise SystemExit(f"{file} cannot be opened: check the path")
    widget = Loader().load(device)
    device.close()
    if widget is None:
        raise SystemExit(f"{file} cannot be loaded as a Qt Designer file")
    for box in widget.findChildren(QtWidgets.QGroupBox):
        if box.property("text"):
            box.setTitle(str(box.property("text")))
    for name, text in (fill or {}).items():
        found: Any = widget.findChild(QtWidgets.QWidget, name)
        if found is None:
            raise SystemExit(f"{file} has no widget {name}")
        if isinstance(found, QtWidgets.QTableWidget):
            _fill(found, text)
        else:
            found.setText(text)
    widget.setFixedWidth(width)
    widget.ensurePolished()
    layout = widget.layout()
    height = layout.totalHeightForWidth(width) if layout and layout.hasHeightForWidth() else widget.sizeHint().height()
    widget.resize(width, max(height, 50))
    widget.show()
    application.processEvents()
    widget.grab().save(str(output))
    return sorted(framed)


def _fill(table: Any, text: str) -> None:
    """Fill a table. Rows are separated by ``;``, cells by ``|``; the first row is the header. The first column stretches."""
    from PySide6 import QtWidgets

    headers, *rows = [row.split("|") for row in text.split(";")]
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(headers)
    table.verticalHeader().hide()
    modes = QtWidgets.QHeaderView.ResizeMode
    for column in range(len(headers)):
        table.horizontalHeader().setSectionResizeMode(column, modes.ResizeToContents if column else modes.Stretch)
    table.setRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            table.setItem(row, column, QtWidgets.QTableWidgetItem(cell))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--output", type=Path, required=True, metavar="PICTURE.png")
    parser.add_argument("--width", type=int, default=420)
    parser.add_argument(
        "--fill",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="text of a label, or cells of a table: headers as A|B, then rows after ;. Repeatable",
    )
    options = parser.parse_args(arguments)
    pairs = dict(pair.split("=", 1) for pair in options.fill)
    framed = render(options.file, options.output, options.width, pairs)
    print(f"{options.output}" + (f"; drawn as frames: {', '.join(framed)}" if framed else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
