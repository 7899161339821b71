"""Widgets of Slicer and CTK that the .ui files name, as far as they need room: made of Qt's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_COLLAPSED_HEIGHT = 14


class Widget(QtWidgets.QWidget):
    """qMRMLWidget"""

    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: object) -> None:
        self.mrmlSceneChanged.emit(scene)


class NodeComboBox(QtWidgets.QComboBox):
    """qMRMLNodeComboBox"""

    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.addItem("None")
        self._node: Any = None

    def setMRMLScene(self, _scene: object) -> None:
        """Nodes are chosen by `setCurrentNode` only."""

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        self._node = node
        self.setItemText(0, "None" if node is None else node.GetName())


class _Children(QtCore.QObject):
    """Shows the children of a widget while it is open, but for those that were hidden by somebody else, as CTK does.

    It begins when the widget is first shown: until then Qt counts all children as hidden.
    """

    def __init__(self, owner: QtWidgets.QWidget) -> None:
        super().__init__(owner)
        self._owner, self._open, self._own = owner, True, False
        self._shown: dict[QtWidgets.QWidget, bool] = {}

    def begin(self) -> None:
        if not self._shown:
            find = self._owner.findChildren
            children = find(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly)
            self._shown = {child: not child.isHidden() for child in children}
            for child in children:
                child.installEventFilter(self)
            self.set_open(self._open)

    def set_open(self, is_open: bool) -> None:
        self._open, self._own = is_open, True
        for child, shown in self._shown.items():
            child.setVisible(is_open and shown)
        self._own = False

    def eventFilter(self, child: Any, event: QtCore.QEvent) -> bool:
        if not self._own and event.type() in (QtCore.QEvent.ShowToParent, QtCore.QEvent.HideToParent):
            self._shown[child] = event.type() == QtCore.QEvent.ShowToParent
            self.set_open(self._open)
        return False


class GroupBox(QtWidgets.QGroupBox):
    """ctkCollapsibleGroupBox: an arrow in place of the check mark; hides its children when it is collapsed."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._children = _Children(self)
        self.setCheckable(True)
        self.toggled.connect(self._expand)

    def _expand(self, expanded: bool) -> None:
        self._children.set_open(expanded)
        self.setMaximumHeight(16777215 if expanded else self.fontMetrics().height() + _COLLAPSED_HEIGHT)

    collapsed = QtCore.Property(
        bool, lambda self: not self.isChecked(), lambda self, collapsed: self.setChecked(not collapsed)
    )

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        super().showEvent(event)
        self._children.begin()

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionGroupBox()
        self.initStyleOption(option)
        kinds = QtWidgets.QStyle
        painter.drawComplexControl(kinds.CC_GroupBox, option)
        where = self.style().subControlRect(kinds.CC_GroupBox, option, kinds.SC_GroupBoxCheckBox, self)
        painter.fillRect(where.adjusted(-1, -1, 1, 1), self.palette().window())
        _draw_arrow(painter, self, where, self.isChecked())


class CollapsibleButton(QtWidgets.QWidget):
    """ctkCollapsibleButton: a title, and under it the contents, which are hidden when it is collapsed."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed, self._children = "", False, _Children(self)
        self._height = QtWidgets.QPushButton("X").sizeHint().height()
        self.setContentsMargins(0, self._height, 0, 0)

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        super().showEvent(event)
        self._children.begin()

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self._children.set_open(not collapsed)
        self.setMaximumHeight(self._height if collapsed else 16777215)

    text = QtCore.Property(str, lambda self: self._text, _set_text)
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), self._height)
        option.state |= QtWidgets.QStyle.State_Raised
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        _draw_arrow(painter, self, QtCore.QRect(6, 0, 12, self._height), not self._collapsed)
        painter.drawText(option.rect.adjusted(24, 0, 0, 0), QtCore.Qt.AlignVCenter, self._text)


class DirectoryButton(QtWidgets.QPushButton):
    """ctkDirectoryButton: as wide as its path, unless that may be elided."""

    directoryChanged = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._elide = QtCore.Qt.ElideNone

    def _set_directory(self, directory: str) -> None:
        self.setText(directory)
        self.directoryChanged.emit(directory)

    def _set_elide(self, mode: QtCore.Qt.TextElideMode) -> None:
        self._elide = mode
        self.updateGeometry()

    directory = QtCore.Property(str, QtWidgets.QPushButton.text, _set_directory)
    elideMode = QtCore.Property(QtCore.Qt.TextElideMode, lambda self: self._elide, _set_elide)

    def minimumSizeHint(self) -> QtCore.QSize:
        hint = super().sizeHint()
        return hint if self._elide == QtCore.Qt.ElideNone else QtCore.QSize(40, hint.height())

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        self.initStyleOption(option)
        option.text = self.fontMetrics().elidedText(self.text(), self._elide, self.width() - 16)
        painter.drawControl(QtWidgets.QStyle.CE_PushButton, option)


def _draw_arrow(painter: QtWidgets.QStylePainter, widget: QtWidgets.QWidget, where: QtCore.QRect, down: bool) -> None:
    option = QtWidgets.QStyleOption()
    option.initFrom(widget)
    option.rect = where
    kinds = QtWidgets.QStyle
    painter.drawPrimitive(kinds.PE_IndicatorArrowDown if down else kinds.PE_IndicatorArrowRight, option)


class Loader(QtUiTools.QUiLoader):
    """Loads a .ui file with these widgets."""

    KINDS = {  # noqa: RUF012
        "qMRMLWidget": Widget,
        "qMRMLNodeComboBox": NodeComboBox,
        "ctkCollapsibleGroupBox": GroupBox,
        "ctkCollapsibleButton": CollapsibleButton,
        "ctkDirectoryButton": DirectoryButton,
    }

    def createWidget(self, kind: str, parent: Any = None, name: str = "") -> Any:
        if kind not in self.KINDS:
            return super().createWidget(kind, parent, name)
        made = self.KINDS[kind](parent)
        made.setObjectName(name)
        return made


def load(path: str) -> QtWidgets.QWidget:
    """The widget that a .ui file describes."""
    device = QtCore.QFile(str(Path(path)))
    if not device.open(QtCore.QFile.ReadOnly):
        raise FileNotFoundError(path)
    widget = Loader().load(device)
    device.close()
    return widget
