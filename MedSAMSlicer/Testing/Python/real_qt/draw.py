"""Draws the effect's options and the module's panel, and says how much room they take.

    cd MedSAMSlicer/Testing/Python; PYTHONPATH=../.. python -m real_qt.draw FOLDER

Writes `<state>-<light or dark>.png` into the folder, at the width that is left in a module panel of 420 pixels, and
`measured.json`: for each width of the module panel, and each state, what `measure` says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PySide6 import QtCore, QtGui, QtWidgets

from host import slicer_python
from real_qt import pythonqt, slicer_widgets

FONT = ("DejaVu Sans", 10)
"""What Slicer's screenshots show on Linux; wider than the fonts of Windows and macOS."""
WIDTHS = (420, 467)
"""Of the module panel: narrow, and as it is in a Slicer of 1500 x 900 pixels."""
EFFECT_MARGIN = 130
"""Pixels that the Segment Editor takes beside an effect's options: its buttons and frames."""
REFRESHES = 10
READABLE = 4.5
"""Contrast that WCAG 2 asks of text."""
_DARK = {
    "Window": 0x323232, "WindowText": 0xFFFFFF, "Base": 0x1E1E1E, "AlternateBase": 0x323232, "Text": 0xFFFFFF,
    "Button": 0x323232, "ButtonText": 0xFFFFFF, "Light": 0x828284, "Midlight": 0x5A5A5B, "Mid": 0x2B2B2B,
    "Dark": 0x232323, "Link": 0x3CA4FF, "PlaceholderText": 0xC0C0C0,
}  # fmt: skip
_LIGHT = {
    "Window": 0xEFEFEF, "WindowText": 0, "Base": 0xFFFFFF, "AlternateBase": 0xE4E4FE, "Text": 0, "Button": 0xEFEFEF,
    "ButtonText": 0, "Light": 0xFFFFFF, "Midlight": 0xE6E6E6, "Mid": 0xC8C8C8, "Dark": 0xAAAAAA, "Link": 0x0000FF,
    "PlaceholderText": 0x808080,
}  # fmt: skip


def palette(colors: dict[str, int], disabled: int) -> QtGui.QPalette:
    made = QtGui.QPalette()
    for name, color in colors.items():
        made.setColor(getattr(QtGui.QPalette, name), QtGui.QColor(color))
    for name in ("WindowText", "Text", "ButtonText"):
        made.setColor(QtGui.QPalette.Disabled, getattr(QtGui.QPalette, name), QtGui.QColor(disabled))
    return made


PALETTES = {"light": palette(_LIGHT, 0xA0A0A0), "dark": palette(_DARK, 0x8C8C8C)}


def prepare(settings: Path) -> QtWidgets.QApplication:
    """The application, and the modules that the product imports from Slicer."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QtCore.QCoreApplication.setOrganizationName("MedSAMSlicerTest")
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(settings))
    application = QtWidgets.QApplication([])
    application.setStyle("fusion")
    application.setFont(QtGui.QFont(*FONT))
    import slicer.util

    sys.modules.update({"qt": pythonqt.qt_module(), **slicer_python.modules()})
    slicer.mrmlScene = slicer.vtkMRMLScene()
    slicer.util.loadUI = lambda path: pythonqt.shown(slicer_widgets.load(path))
    slicer.util.childWidgetVariables = lambda widget: SimpleNamespace(
        **{
            child.objectName(): pythonqt.shown(child)
            for child in widget.real.findChildren(QtWidgets.QWidget)
            if child.objectName().isidentifier()
        }
    )
    return application


def settle(widget: QtWidgets.QWidget, width: int) -> None:
    """Give the widget this width, and the height that it wants then; a layout needs several rounds."""
    widget.resize(width, 50)
    widget.show()
    for _round in range(3):
        QtWidgets.QApplication.processEvents()
        layout = widget.layout()
        height = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        widget.resize(width, max(height, 50))
    QtWidgets.QApplication.processEvents()


def measure(widget: QtWidgets.QWidget, width: int, refresh: Callable[[], None], refreshes: int) -> dict[str, Any]:
    """How much room the widget takes in a column of this width.

    Returns:
        hints: widths that it asks for after each of several refreshes, in a column that gives it what it asks for and
            adds a scroll bar, as Slicer's module panel does (`qSlicerModulePanel` makes the hint the minimum).
        cut: names of visible widgets that do not show all of their text.
        ends: y of the lower edges of the visible parts.
    """
    hints, column = [], width
    bar = widget.style().pixelMetric(QtWidgets.QStyle.PM_ScrollBarExtent)
    for _round in range(refreshes):
        refresh()
        settle(widget, column)
        hints.append(widget.sizeHint().width())
        column = max(width, hints[-1] + bar)
    settle(widget, width)
    parts = [child for child in widget.findChildren(QtWidgets.QWidget) if child.isVisible() and child.objectName()]
    return {
        "hints": hints,
        "cut": sorted(part.objectName() for part in parts if is_cut(part)),
        "ends": {part.objectName(): part.mapTo(widget, QtCore.QPoint(0, part.height())).y() for part in parts},
    }


def is_cut(widget: QtWidgets.QWidget) -> bool:
    """Whether a widget does not show all of its text."""
    if isinstance(widget, slicer_widgets.DirectoryButton):
        return False  # elides paths, and shows the whole in a tooltip
    advance = widget.fontMetrics().horizontalAdvance
    if isinstance(widget, QtWidgets.QLabel):
        if not widget.text():
            return False
        wanted = widget.heightForWidth(widget.width()) if widget.wordWrap() else widget.sizeHint().height()
        too_wide = widget.minimumSizeHint().width() if widget.wordWrap() else widget.sizeHint().width()
        return wanted > widget.height() or too_wide > widget.width()
    if isinstance(widget, QtWidgets.QCheckBox):
        return widget.sizeHint().width() > widget.width()
    if isinstance(widget, QtWidgets.QAbstractButton):
        return advance(widget.text().replace("&", "")) + 6 > widget.width()
    if isinstance(widget, QtWidgets.QComboBox):
        return advance(widget.currentText()) + 26 > widget.width()
    if isinstance(widget, QtWidgets.QTableWidget):
        columns = range(widget.columnCount())
        if widget.objectName() == "stripTable":
            return False  # cells of colour
        narrow = any(widget.sizeHintForColumn(n) > widget.columnWidth(n) for n in columns)
        return narrow or sum(map(widget.columnWidth, columns)) > widget.viewport().width()
    return False


def draw(widget: QtWidgets.QWidget, name: str, folder: Path) -> list[str]:
    """Write the pictures. Returns the labels that cannot be read in one of them."""
    faint = []
    for shade, colors in PALETTES.items():
        QtWidgets.QApplication.setPalette(colors)
        QtWidgets.QApplication.processEvents()
        widget.grab().save(str(folder / f"{name}-{shade}.png"))
        labels = [label for label in widget.findChildren(QtWidgets.QLabel) if label.isVisible() and label.text()]
        faint += [f"{label.objectName()} ({shade})" for label in labels if contrast(label) < READABLE]
    QtWidgets.QApplication.setPalette(PALETTES["light"])
    return faint


def contrast(widget: QtWidgets.QWidget) -> float:
    """Of the brightest and the darkest pixel, as WCAG 2 defines it: 1 to 21."""
    if widget.size().isEmpty():
        return 1.0
    picture = widget.grab().toImage().convertToFormat(QtGui.QImage.Format_RGB888)
    rows = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    shares = rows[:, : 3 * picture.width()].reshape(-1, 3) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return float((luminance.max() + 0.05) / (luminance.min() + 0.05))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["MEDSAM_SLICER_CACHE"] = str(folder / "a folder with a long name for the weights of all models")
    os.environ.pop("MEDSAM_SLICER_WEIGHTS", None)
    application = prepare(folder)
    from real_qt import states

    effect_states = states.effect_states()
    measured: dict[int, dict[str, Any]] = {}
    for width in WIDTHS:
        effect_width = width - EFFECT_MARGIN
        drawn = {name: (partial(states.effect, name, state), effect_width) for name, state in effect_states.items()}
        drawn |= {name: (partial(states.panel, name), width) for name in states.PANEL_STATES}
        measured[width] = {"help": {"height": states.help_height(effect_width)}}
        for name, (make, room) in drawn.items():
            widget, refresh = make()
            measured[width][name] = measure(widget, room, refresh, REFRESHES if width == WIDTHS[0] else 1)
            if width == WIDTHS[0]:
                measured[width][name]["faint"] = draw(widget, name, folder)
            widget.hide()
    (folder / "measured.json").write_text(json.dumps(measured, indent=1))
    application.quit()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the order in which Qt's objects and Python's would be deleted is nobody's
