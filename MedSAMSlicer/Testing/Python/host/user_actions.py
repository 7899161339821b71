"""User actions: mouse and keys in slice views, clicks, choices, shortcuts."""

from __future__ import annotations

from typing import Any

import slicer
import slicer.util

from .fakes.keys import active_shortcuts, press, trigger

Point = tuple[int, int]


class UserActions:
    """Events go through the view's interactor to whoever observes it, as in Slicer.

    Mouse methods return True if the active effect kept an event from others, which it says by returning True.
    """

    def __init__(self, host: Any) -> None:
        self._host = host

    def view(self, name: str) -> Any:
        return slicer.app.layoutManager().sliceWidget(name)

    def _send(self, view: str, event: str, xy: Point | None, shift: bool, control: bool, keysym: str = "") -> bool:
        slice_view = self.view(view).sliceView()
        interactor = slice_view.interactor()
        x, y = xy if xy is not None else interactor.GetEventPosition()
        interactor.SetEventInformation(int(x), int(y), int(control), int(shift), keysym[:1] or "\0", 0, keysym or None)
        slice_view.__dict__["taken"] = False
        interactor.InvokeEvent(event)
        return bool(slice_view.__dict__["taken"])

    def press(self, view: str, xy: Point, shift: bool = False, control: bool = False, button: str = "Left") -> bool:
        slicer.app._focus_on(self.view(view).sliceView())
        slicer.app._hold(button)
        return self._send(view, f"{button}ButtonPressEvent", xy, shift, control)

    def move(self, view: str, xy: Point, shift: bool = False, control: bool = False) -> bool:
        return self._send(view, "MouseMoveEvent", xy, shift, control)

    def release(self, view: str, xy: Point, shift: bool = False, control: bool = False, button: str = "Left") -> bool:
        slicer.app._hold("")
        return self._send(view, f"{button}ButtonReleaseEvent", xy, shift, control)

    def release_elsewhere(self) -> None:
        """The button goes up where no slice view hears of it, such as over a view that the layout took away."""
        slicer.app._hold("")

    def drag(self, view: str, start: Point, end: Point, shift: bool = False, steps: int = 5) -> bool:
        """Presses at one point, moves in `steps` steps and releases at the other. True if every event was taken."""
        taken = [self.press(view, start, shift)]
        for n in range(1, steps + 1):
            between = tuple(round(a + (b - a) * n / steps) for a, b in zip(start, end, strict=True))
            taken.append(self.move(view, (between[0], between[1]), shift))
        return all([*taken, self.release(view, end, shift)])

    def double_click(self, view: str, xy: Point, shift: bool = False, control: bool = False) -> bool:
        """Two quick clicks: the second press is an event of its own."""
        taken = [self.press(view, xy, shift, control), self.release(view, xy, shift, control)]
        taken.append(self.press_again(view, xy, shift, control))
        return all([*taken, self.release(view, xy, shift, control)])

    def press_again(self, view: str, xy: Point, shift: bool = False, control: bool = False) -> bool:
        """A press so soon after a click that it comes as a double click, instead of as a press."""
        slicer.app._hold("Left")
        return self._send(view, "LeftButtonDoubleClickEvent", xy, shift, control)

    def resize(self, view: str, size: Point) -> None:
        """The view gets another size, such as when a panel beside it grows; its middle stays, and what a pixel measures."""
        self.view(view).sliceLogic().ResizeSliceNode(*size)
        self.view(view).sliceView().renderWindow().SetSize(*size)

    def enter(self, view: str, xy: Point = (200, 150)) -> None:
        """The mouse comes into a view; while a button is held, on most platforms, Qt tells no view of it."""
        self._send(view, "EnterEvent", xy, False, False)

    def key(self, keysym: str, view: str = "Red", shift: bool = False, control: bool = False) -> bool:
        """Strokes a key over a view, which has the focus: `keysym` as VTK calls it, such as "Escape".

        Like any key it goes to event filters and shortcuts first. True if one of them, or an effect, took it.
        """
        slicer.app._focus_on(self.view(view).sliceView())
        name = {"Escape": "Esc", "BackSpace": "Backspace", "KP_Enter": "Enter"}.get(keysym, keysym.capitalize())
        if press(f"{'Ctrl+' * control}{'Shift+' * shift}{name}", slicer.app.focusWidget()):
            return True
        taken = self._send(view, "KeyPressEvent", None, shift, control, keysym)
        return self._send(view, "KeyReleaseEvent", None, shift, control, keysym) or taken

    def click(self, button: Any) -> None:
        """Raises AssertionError if the user could not: the button is disabled, or what it stands in is."""
        self._reachable(button)
        slicer.app._focus_on(button)
        button.click()

    def choose(self, combo: Any, text: str) -> None:
        self._reachable(combo)
        slicer.app._focus_on(combo)
        index = combo.findText(text)
        assert index >= 0, f"{combo.objectName} does not offer {text!r}"
        combo.currentIndex = index
        combo.activated.emit(index)

    def shortcut(self, keys: str, focus: Any = None) -> None:
        """Presses keys that a shortcut is waiting for, where the focus is or at this widget."""
        focus = focus or slicer.app.focusWidget() or slicer.util.mainWindow()
        found = active_shortcuts(keys, focus)
        assert found, f"no shortcut of this window has the keys {keys}"
        trigger(found)

    @staticmethod
    def _reachable(widget: Any) -> None:
        above = widget
        while above is not None:
            if above.inherits("QWidget"):
                assert above.enabled, f"{widget.className()} '{widget.objectName}' is disabled"
            above = above.parent()
