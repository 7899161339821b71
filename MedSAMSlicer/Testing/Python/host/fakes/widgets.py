"""Widgets that are looked at or clicked: buttons, labels, group boxes, actions."""

from __future__ import annotations

from typing import Any

import slicer

from ..doubles import Double, double, implements


@implements("QWidget")
class Widget(Double):
    def made(self, *arguments: Any) -> None:
        self.__dict__["_layout"] = None
        double("QObject").made(self, *arguments)

    def layout(self) -> Any:
        return self.__dict__["_layout"]

    def setLayout(self, layout: Any) -> None:
        if self.__dict__["_layout"] is not None:
            raise RuntimeError(f"{self.className()} '{self.objectName}' has a layout already: Qt ignores a second one")
        self.__dict__["_layout"] = layout
        layout._belong(self)

    def read_sizeHint(self) -> Any:
        """Made up: the more the widget holds, the higher."""
        return double("QSize")(100, 10 + 10 * len(self.findChildren("QWidget")))

    def show(self) -> None:
        self.visible = True

    def hide(self) -> None:
        self.visible = False

    def setHidden(self, hidden: bool) -> None:
        self.visible = not hidden

    def isHidden(self) -> bool:
        return not self.visible

    def setDisabled(self, disabled: bool) -> None:
        self.enabled = not disabled

    def parentWidget(self) -> Any:
        return self.parent()

    def window(self) -> Any:
        above = self.parentWidget()
        return self if above is None else above.window()

    def isAncestorOf(self, child: Any) -> bool:
        above = child.parent()
        return above is not None and (above is self or self.isAncestorOf(above))

    def setFocus(self, _reason: int = 0) -> None:
        slicer.app._focus_on(self)


@implements("QAbstractButton")
class Button(Double):
    """`click` is the program's; a user's click goes through `user.click`, which refuses a disabled button."""

    def click(self) -> None:
        if self.autoExclusive:
            raise NotImplementedError("the host does not implement exclusive buttons: add them to host/fakes")
        if not self.enabled:
            return
        self.pressed.emit()
        if self.checkable:
            self.checked = not self.checked
        self.released.emit()
        self.clicked.emit(self.checked)


@implements("QCheckBox")
class CheckBox(Double):
    def checkState(self) -> int:
        return int(double("Qt").Checked if self.checked else double("Qt").Unchecked)

    def on_checked(self, checked: bool) -> None:
        self.stateChanged.emit(self.checkState())


@implements("QLabel")
class Label(Double):
    def setBuddy(self, _buddy: Any) -> None:
        pass


@implements("ctkCollapsibleButton")
class CollapsibleButton(Double):
    def made(self, *arguments: Any) -> None:
        double("QAbstractButton").made(self, *arguments)
        self.__dict__["_values"].update(checkable=True, checked=True)

    def on_checked(self, checked: bool) -> None:
        self.collapsed = not checked

    def on_collapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed


@implements("ctkCollapsibleGroupBox")
class CollapsibleGroupBox(Double):
    def made(self, *arguments: Any) -> None:
        double("QGroupBox").made(self, *arguments)
        self.__dict__["_values"].update(checkable=True, checked=True)
