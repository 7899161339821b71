"""User actions: mouse and keys in slice views, clicks, choices, shortcuts."""

from __future__ import annotations

from typing import Any

import slicer

from .doubles import double

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
        return self._send(view, f"{button}ButtonPressEvent", xy, shift, control)

    def move(self, view: str, xy: Point, shift: bool = False, control: bool = False) -> bool:
        return self._send(view, "MouseMoveEvent", xy, shift, control)

    def release(self, view: str, xy: Point, shift: bool = False, control: bool = False, button: str = "Left") -> bool:
        return self._send(view, f"{button}ButtonReleaseEvent", xy, shift, control)

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
        return self._send(view, "LeftButtonDoubleClickEvent", xy, shift, control)

    def key(self, keysym: str, view: str = "Red", shift: bool = False, control: bool = False) -> bool:
        """Presses and releases a key over a view: `keysym` as VTK calls it, such as "Escape"."""
        taken = self._send(view, "KeyPressEvent", None, shift, control, keysym)
        return self._send(view, "KeyReleaseEvent", None, shift, control, keysym) or taken

    def click(self, button: Any) -> None:
        """Raises AssertionError if the user could not: the button is disabled, or what it stands in is."""
        self._reachable(button)
        button.click()

    def choose(self, combo: Any, text: str) -> None:
        self._reachable(combo)
        index = combo.findText(text)
        assert index >= 0, f"{combo.objectName} does not offer {text!r}"
        combo.currentIndex = index
        combo.activated.emit(index)

    def shortcut(self, keys: str) -> None:
        """Activates the QShortcut with these keys. Two of them are ambiguous: neither does its work."""
        wanted = double("QKeySequence")(keys).toString()
        found = [one for one in self._shortcuts() if one.key.toString() == wanted and one.enabled]
        assert found, f"no enabled shortcut has the keys {keys}"
        for one in found:
            (one.activated if len(found) == 1 else one.activatedAmbiguously).emit()

    def _shortcuts(self) -> list[Any]:
        views = [self.view(name) for name in slicer.app.layoutManager().sliceViewNames()]
        roots = [slicer.app, *slicer.app.topLevelWidgets(), self._host.editor, *views]
        everything = [child for root in roots if root is not None for child in root.findChildren()]
        return [child for child in everything if child.inherits("QShortcut")]

    @staticmethod
    def _reachable(widget: Any) -> None:
        above = widget
        while above is not None:
            if above.inherits("QWidget"):
                assert above.enabled, f"{widget.className()} '{widget.objectName}' is disabled"
            above = above.parent()
