"""What the mouse does in slice views, for the tools of the selected segment."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from ..scene.editing.contour_editor import ContourEditor
from .slice_views import geometry_of, is_over_handle

# The second press of a double click is an event of its own. If it were not handled, Slicer would maximise the view.
PRESSES = (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent)


class ViewEvents:
    """Takes the left button for rectangles and clicks; whatever else happens in the views is left to Slicer.

    Attributes:
        view: the view that the user works in; None before the mouse was in one.

    Args:
        on_enter: called when the mouse has come into a view.
        on_key: called with a key, as VTK calls it, and the view over which it was pressed; returns whether others must
            not get it.
    """

    def __init__(self, on_enter: Callable[[], None], on_key: Callable[[str, slicer.qMRMLSliceWidget], bool]) -> None:
        self._on_enter, self._on_key = on_enter, on_key
        self.view: slicer.qMRMLSliceWidget | None = None
        self._button_held = self._negative = False

    def process(
        self,
        editor: ContourEditor,
        interactor: vtk.vtkRenderWindowInteractor,
        event: int,
        view: slicer.qMRMLSliceWidget,
    ) -> bool:
        """Handle an event of a slice view. Returns whether others must not get it."""
        events = vtk.vtkCommand
        if event in PRESSES:
            return not is_over_handle(view) and self._press(editor, interactor, view)
        if event == events.KeyPressEvent:
            return self._on_key(interactor.GetKeySym(), view)
        if event == events.EnterEvent:
            if editor.rectangle.drag is None or self._is_over(view):
                editor.mouse.abandon()
                self.view = view
                self._on_enter()
        elif editor.rectangle.drag is not None and view is self.view:
            if event == events.MouseMoveEvent:
                return self._move(editor, interactor, view)
            if event == events.LeftButtonReleaseEvent:
                editor.mouse.release(interactor.GetEventPosition(), self._negative, geometry_of(view))
                return True
        return False

    def leave_view(self, editor: ContourEditor | None) -> None:
        """The layout has changed: the user works in no view, and a drag is over."""
        self.view = None
        if editor is not None:
            editor.mouse.abandon()

    def _is_over(self, view: slicer.qMRMLSliceWidget) -> bool:
        """Whether a drag has ended unheard, which an event of this view shows: the button went up elsewhere."""
        if self._button_held:
            return not slicer.app.mouseButtons()
        return view is not self.view  # as a rule, the mouse enters no other view while it is held

    def _press(
        self, editor: ContourEditor, interactor: vtk.vtkRenderWindowInteractor, view: slicer.qMRMLSliceWidget
    ) -> bool:
        self.view = view
        # False if a script sends the events.
        self._button_held = bool(slicer.app.mouseButtons())
        # In slice views, Slicer uses Ctrl only for dragging (it fades layers), so Ctrl+click is free.
        self._negative = bool(interactor.GetControlKey())
        return editor.mouse.press(geometry_of(view), interactor.GetEventPosition(), bool(interactor.GetShiftKey()))

    def _move(
        self, editor: ContourEditor, interactor: vtk.vtkRenderWindowInteractor, view: slicer.qMRMLSliceWidget
    ) -> bool:
        if self._is_over(view):
            editor.mouse.abandon()
        else:
            editor.mouse.move(interactor.GetEventPosition(), geometry_of(view))
        return editor.rectangle.drag is not None
