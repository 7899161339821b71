"""What the mouse and the Escape key do in a slice view: rectangles, corrections of rectangles, and clicks."""

from __future__ import annotations

from ...engine.errors import MedSAMError
from ..state.segment_state import SegmentState
from ..volume.view_plane import ViewGeometry
from .point_tool import PointTool
from .prefetch import Prefetcher
from .rectangle_tool import RectangleDrag, RectangleTool
from .run_controller import RunController


class MouseInteraction:
    """Turns presses, moves and releases of the left button into prompts and runs.

    Args:
        state: prompts that are changed.
        rectangle: draws rectangles.
        points: takes clicks.
        runs: runs the prompts when a rectangle is released.
        prefetch: makes way when the button is pressed.
    """

    def __init__(
        self,
        state: SegmentState,
        rectangle: RectangleTool,
        points: PointTool,
        runs: RunController,
        prefetch: Prefetcher,
    ) -> None:
        self._state, self._rectangle, self._points, self._runs = state, rectangle, points, runs
        self._prefetch = prefetch

    def press(self, view: ViewGeometry, xy: tuple[float, float], add: bool) -> bool:
        """Begin a rectangle or a click at view pixel `xy`.

        Args:
            add: keep the other key slices.

        Returns:
            False if it cannot begin there; `SegmentState.problem` says why.
        """
        self._state.problem, self._state.view = None, view
        self._points.begin()
        self._prefetch.stop()
        try:
            self._state.check_nodes()
            self._rectangle.begin(view, xy, add)
        except MedSAMError as error:
            self._state.fail(error)
            return False
        self._state.changed.emit()
        return True

    def move(self, xy: tuple[float, float], view: ViewGeometry | None = None) -> None:
        """Extend the rectangle to `xy`; a preview of its mask is requested.

        Args:
            view: the view as it is now; None: as it was before. A view that has been turned drops the rectangle.
        """
        if self._goes_on(view):
            was_drawing = self._rectangle.drawing
            self._rectangle.move(xy, view)
            if was_drawing and self._rectangle.drawing:
                self._state.redrawn.emit()
            else:
                self._state.changed.emit()

    def release(self, xy: tuple[float, float], negative: bool = False, view: ViewGeometry | None = None) -> None:
        """End the rectangle: its slice becomes a key slice, and a run begins. A click only refines the preview.

        Args:
            negative: a click marks background instead of the object.
            view: as for `move`.
        """
        drag = self._rectangle.end(xy, view) if self._goes_on(view) else None
        if drag is None:
            return
        if drag.box is None:
            if drag.is_click:
                self._click(drag, not negative)
            self._points.refresh()
            self._state.changed.emit()
            return
        before = self._state.prompts
        self._state.correcting = None
        self._state.change_prompts(self._rectangle.prompts_with(drag))
        self._runs.want(before=[before])

    def abandon(self) -> None:
        """Drop the rectangle that is being drawn: the button went up where nobody heard of it, or the view is gone."""
        if self._rectangle.drop():
            self._points.show_again()
            self._state.changed.emit()

    def _goes_on(self, view: ViewGeometry | None) -> bool:
        drag = self._rectangle.drag
        if drag is not None and view is not None and not drag.can_go_on_in(view):
            self.abandon()
        return self._rectangle.drag is not None

    def _click(self, drag: RectangleDrag, positive: bool) -> None:
        try:
            self._state.check_nodes()
            self._points.click(drag.plane, drag.index, drag.pixel, positive)
        except MedSAMError as error:
            self._state.fail(error)

    def correct(self, index: int) -> None:
        """Show the rectangle of a key slice with handles: dragging a corner, or drawing over it, replaces it."""
        state = self._state
        state.problem = None
        self._rectangle.drop()
        self._points.show_again()
        key = None if state.prompts is None else state.prompts.keys.get(index)
        state.correcting = index if key is not None and key.box is not None else None
        state.changed.emit()

    @property
    def can_escape(self) -> bool:
        """Whether `escape` has something to drop or cancel."""
        drawing = self._rectangle.drag is not None or self._state.correcting is not None
        return drawing or self._runs.running or self._points.can_drop

    def escape(self) -> bool:
        """Drop the rectangle that is being drawn; else end a correction, leaving the rectangle as it is; else cancel
        the run and drop the rectangle that began it; else drop the clicks since the last run.

        Returns:
            False if there is nothing of the kind.
        """
        state = self._state
        if self._rectangle.drop():
            self._points.show_again()
        elif state.correcting is not None:
            state.correcting = None
        elif self._runs.running:
            before = list(self._runs.before)
            self._runs.cancel()
            if before:
                state.restore_prompts(before[0])
            self._points.show_again()
        else:
            return self._points.drop()
        state.changed.emit()
        return True
