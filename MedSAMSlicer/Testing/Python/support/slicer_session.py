"""Drives a running Slicer as a user does, whatever its speed and the size of its window. Needs nothing but Slicer."""

from __future__ import annotations

import sys
import time
import traceback
import unittest
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
import slicer

VIEWS = ("Red", "Yellow", "Green")
SMALLEST_VIEW = 40
"""Pixels; the object is magnified to what there is."""
IDLE_CYCLES = 20_000
"""Event cycles in a row in which nothing changes, before a wait gives up. On a slow computer each of them takes longer."""
SETTLING_CYCLES = 200


class Session:
    """Slice views, mouse, keys, and waiting for what they bring about.

    Views are looked up, and places in them computed, just before each event: layouts and sizes change at any time.
    """

    def __init__(self, middle: np.ndarray, radius: float) -> None:
        """
        Args:
            middle: (3,) RAS mm, around which the mouse moves.
            radius: unit of the distances from there, mm.
        """
        self.middle, self.radius = np.asarray(middle, float), radius
        self._restore: list[Callable[[], object]] = []

    # The window

    def open_views(self, volume_node: Any) -> None:
        """Show a volume in three slice views, and make room for them where there is none. `close` restores the window.

        Raises:
            unittest.SkipTest: Slicer runs without a main window.
        """
        manager = slicer.app.layoutManager()
        if manager is None:
            raise unittest.SkipTest("needs Slicer's main window: start it without --no-main-window")
        before = manager.layout
        self._restore.append(lambda: slicer.app.layoutManager().setLayout(before))
        self.set_layout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        for make_room in (lambda: None, self._enlarge_window, self._hide_module_panel):
            make_room()
            if self._settle(lambda: all(map(self.is_usable, VIEWS))):
                break
        for name in VIEWS:
            assert self.is_usable(name), f"the view {name} is smaller than {SMALLEST_VIEW} pixels"
        slicer.util.setSliceViewerLayers(background=volume_node, fit=True)
        for name in VIEWS:
            self.look(name)

    def close(self) -> None:
        """Leave the window as it was."""
        while self._restore:
            self._restore.pop()()

    def set_layout(self, layout: int) -> None:
        slicer.app.layoutManager().setLayout(layout)

    def is_usable(self, name: str) -> bool:
        view = self.view(name)
        return view is not None and view.visible and min(view.mrmlSliceNode().GetDimensions()[:2]) >= SMALLEST_VIEW

    def _enlarge_window(self) -> None:
        window = slicer.util.mainWindow()
        width, height = window.width, window.height
        self._restore.append(lambda: window.resize(width, height))
        window.resize(max(width, 1280), max(height, 960))

    def _hide_module_panel(self) -> None:
        panel = slicer.util.findChild(slicer.util.mainWindow(), "PanelDockWidget")
        self._restore.append(panel.show)
        panel.hide()

    def _settle(self, condition: Callable[[], bool]) -> bool:
        for _ in range(SETTLING_CYCLES):
            if condition():
                return True
            self._cycle()
        return condition()

    # Waiting

    def wait(self, condition: Callable[[], Any], what: str, moving: Callable[[], object] = lambda: None) -> None:
        """Let events happen until the condition holds.

        Args:
            what: what is waited for, for the message.
            moving: a value that changes as long as there is progress.
        """
        idle, before = 0, moving()
        while not condition():
            assert idle < IDLE_CYCLES, f"{what} did not come"
            self._cycle()
            now = moving()
            idle = idle + 1 if now == before else 0
            before = now

    @staticmethod
    def _cycle() -> None:
        slicer.app.processEvents()
        time.sleep(0.002)

    # Views and the mouse

    def view(self, name: str) -> Any:
        return slicer.app.layoutManager().sliceWidget(name)

    def look(self, name: str, share: float = 2.0) -> None:
        """Bring the middle into the middle of a view, with `share` radii to each side of it."""
        node = self.view(name).mrmlSliceNode()
        node.JumpSliceByCentering(*self.middle)
        x, y, z = node.GetFieldOfView()
        scale = 2 * share * self.radius / min(x, y)
        node.SetFieldOfView(x * scale, y * scale, z)

    def at(self, name: str, share: float) -> tuple[int, int]:
        """View pixel that lies `share` radii to the right of and above the middle."""
        node, (x, y) = self.view(name).mrmlSliceNode(), self.xy_of(name, self.middle)
        pixels = share * self.radius * node.GetDimensions()[0] / node.GetFieldOfView()[0]
        return round(x + pixels), round(y + pixels)

    def xy_of(self, name: str, world: np.ndarray) -> tuple[int, int]:
        """View pixel of a place in RAS mm."""
        to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(self.view(name).mrmlSliceNode().GetXYToRAS()))
        x, y = (to_xy @ [*world, 1])[:2]
        return round(x), round(y)

    def hover(self, name: str, xy: tuple[int, int]) -> None:
        """Bring the mouse over a view pixel."""
        self._send(name, "EnterEvent", xy)
        self._send(name, "MouseMoveEvent", xy)

    def drag_pixels(self, name: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag from one view pixel to another."""
        self._send(name, "LeftButtonPressEvent", start)
        for n in range(1, 5):
            self._send(
                name,
                "MouseMoveEvent",
                (start[0] + (end[0] - start[0]) * n // 4, start[1] + (end[1] - start[1]) * n // 4),
            )
        self._send(name, "LeftButtonReleaseEvent", end)

    def press(self, name: str, share: float, shift: bool = False) -> None:
        self._send(name, "LeftButtonPressEvent", self.at(name, share), shift)

    def move(self, name: str, share: float, shift: bool = False) -> None:
        self._send(name, "MouseMoveEvent", self.at(name, share), shift)

    def release(self, name: str, share: float, shift: bool = False) -> None:
        self._send(name, "LeftButtonReleaseEvent", self.at(name, share), shift)

    def drag(self, name: str, half: float, shift: bool = False) -> None:
        """A rectangle around the middle, `half` radii to each side."""
        self.press(name, -half, shift)
        for n in range(1, 5):
            self.move(name, half * (n - 2) / 2, shift)
        self.release(name, half, shift)

    def key(self, name: str, keysym: str) -> None:
        """Strike a key, named as VTK does, over a view."""
        for event in ("KeyPressEvent", "KeyReleaseEvent"):
            self._send(name, event, self.at(name, 0), keysym=keysym)

    @staticmethod
    def shortcut(keys: str) -> None:
        """Press the keys of a shortcut of the main window. Two with the same keys would do nothing."""
        found = [child for child in slicer.util.mainWindow().children() if child.className() == "QShortcut"]
        enabled = [one for one in found if one.enabled and one.key.toString() == keys]
        assert len(enabled) == 1, f"{len(enabled)} shortcuts have the keys {keys}"
        enabled[0].activated.emit()

    def _send(self, name: str, event: str, xy: tuple[int, int], shift: bool = False, keysym: str | None = None) -> None:
        interactor = self.view(name).sliceView().interactor()
        interactor.SetEventInformation(*xy, 0, int(shift), "\0", 0, keysym)
        interactor.InvokeEvent(event)


class ExceptionRecorder:
    """Records what otherwise only reaches the console: exceptions that leave slots, observers and methods of effects."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._before: Any = None

    def start(self) -> None:
        self._before, sys.excepthook = sys.excepthook, self._record

    def stop(self) -> None:
        if self._before is not None:
            sys.excepthook, self._before = self._before, None

    def _record(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self.texts.append("".join(traceback.format_exception(kind, error, trace)))
        self._before(kind, error, trace)
