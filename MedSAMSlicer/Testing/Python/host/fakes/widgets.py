"""Widgets that are looked at or clicked: buttons, labels, group boxes, actions, shortcuts."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements
from .objects import is_a


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

    def close(self) -> bool:
        self.visible = False
        return True

    def setParent(self, parent: Any, _flags: int = 0) -> None:
        self._attach(parent)

    def parentWidget(self) -> Any:
        return self.parent()

    def window(self) -> Any:
        return self if self.parent() is None else self.parent().window()

    def isVisibleTo(self, _other: Any) -> bool:
        return bool(self.visible)

    def setSizePolicy(self, *policy: Any) -> None:
        self.sizePolicy = policy[0] if len(policy) == 1 else double("QSizePolicy")(*policy)

    def addAction(self, action: Any) -> None:
        self.__dict__.setdefault("_actions", []).append(action)

    def actions(self) -> tuple[Any, ...]:
        return tuple(self.__dict__.get("_actions", ()))

    def fontMetrics(self) -> Any:
        return double("QFontMetrics")()

    def style(self) -> Any:
        return double("QStyle")()

    def read_size(self) -> Any:
        return double("QSize")(self.width, self.height)

    def read_sizeHint(self) -> Any:
        return double("QSize")(100, 24)

    def resize(self, *size: Any) -> None:
        width, height = size if len(size) == 2 else (size[0].width(), size[0].height())
        self.__dict__["_values"].update(width=int(width), height=int(height))


@implements("QAbstractButton")
class Button(Double):
    """`click` is the program's; a user's click goes through `user.click`, which refuses a disabled button."""

    def _checked_by_user(self) -> None:
        if self.checkable:
            self.checked = not self.checked
            if self.checked:
                self._uncheck_others()

    def _uncheck_others(self) -> None:
        group = self.__dict__.get("_group")
        exclusive = group.exclusive if group is not None else self.autoExclusive
        siblings = group.buttons() if group is not None else (self.parent().children() if self.parent() else ())
        for other in siblings if exclusive else ():
            if other is not self and is_a(other, "QAbstractButton") and (group is not None or other.autoExclusive):
                other.checked = False

    def on_checked(self, checked: bool) -> None:
        if checked:
            self._uncheck_others()

    def click(self) -> None:
        if not self.enabled:
            return
        self.pressed.emit()
        group = self.__dict__.get("_group")
        alone = self.autoExclusive or (group is not None and group.exclusive)
        if not (self.checked and alone):
            self._checked_by_user()
        self.released.emit()
        self.clicked.emit(self.checked)
        if group is not None:
            group.buttonClicked.emit(self)

    def toggle(self) -> None:
        self._checked_by_user()

    def animateClick(self, _milliseconds: int = 100) -> None:
        self.click()

    def group(self) -> Any:
        return self.__dict__.get("_group")


@implements("QCheckBox")
class CheckBox(Double):
    def checkState(self) -> int:
        return int(double("Qt").Checked if self.checked else double("Qt").Unchecked)

    def setCheckState(self, state: int) -> None:
        self.checked = state == double("Qt").Checked

    def on_checked(self, checked: bool) -> None:
        self.stateChanged.emit(self.checkState())


@implements("QRadioButton")
class RadioButton(Double):
    def made(self, *arguments: Any) -> None:
        double("QAbstractButton").made(self, *arguments)
        self.__dict__["_values"].update(checkable=True, autoExclusive=True)


@implements("QButtonGroup")
class ButtonGroup(Double):
    def addButton(self, button: Any, identifier: int = -1) -> None:
        members = self.__dict__.setdefault("_members", {})
        members[button] = identifier if identifier != -1 else -2 - len(members)
        button.__dict__["_group"] = self

    def buttons(self) -> tuple[Any, ...]:
        return tuple(self.__dict__.get("_members", ()))

    def button(self, identifier: int) -> Any:
        return next((b for b, number in self.__dict__.get("_members", {}).items() if number == identifier), None)

    def id(self, button: Any) -> int:
        return int(self.__dict__.get("_members", {}).get(button, -1))

    def checkedButton(self) -> Any:
        return next((button for button in self.buttons() if button.checked), None)

    def checkedId(self) -> int:
        return int(self.id(self.checkedButton()))


@implements("QLabel")
class Label(Double):
    def clear(self) -> None:
        self.text = ""

    def setBuddy(self, _buddy: Any) -> None:
        pass

    def setNum(self, number: float) -> None:
        self.text = f"{number:g}"


@implements("QAction")
class Action(Double):
    def trigger(self) -> None:
        if self.enabled:
            if self.checkable:
                self.checked = not self.checked
            self.triggered.emit(self.checked)

    def toggle(self) -> None:
        self.checked = not self.checked


@implements("QMenu")
class Menu(Double):
    """A menu's `addAction` takes an action or the text of a new one."""

    def addAction(self, *arguments: Any) -> Any:
        action = arguments[0] if is_a(arguments[0], "QAction") else double("QAction")(arguments[0], self)
        self.__dict__.setdefault("_actions", []).append(action)
        return action

    def addSeparator(self) -> Any:
        return self.addAction("")

    def clear(self) -> None:
        self.__dict__["_actions"] = []


@implements("QToolButton")
class ToolButton(Double):
    def setMenu(self, menu: Any) -> None:
        self.__dict__["_menu"] = menu

    def menu(self) -> Any:
        return self.__dict__.get("_menu")

    def setDefaultAction(self, action: Any) -> None:
        self.__dict__["_default"] = action
        self.text, self.icon = action.text, action.icon

    def defaultAction(self) -> Any:
        return self.__dict__.get("_default")


@implements("QShortcut")
class Shortcut(Double):
    """Made with (parent) or (key, parent); pressed by `user.shortcut`."""

    def made(self, *arguments: Any) -> None:
        key = arguments[0] if is_a(arguments[0] if arguments else None, "QKeySequence") else None
        double("QObject").made(self, *(arguments[1:] if key is not None else arguments))
        self.__dict__["_values"].update(enabled=True, autoRepeat=True)
        if self.parent() is None:
            raise ValueError("a QShortcut without a parent widget is never activated")
        if key is not None:
            self.key = key

    def setKey(self, key: Any) -> None:
        self.key = key


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
