"""Slice views of the current layout: geometry, slice in view, and moving to a slice."""

from __future__ import annotations

import numpy as np
import qt
import slicer

from ..engine.prompts import Box
from ..engine.volume.affine import transform_points
from ..scene.state.segment_state import SegmentState
from ..scene.volume.view_plane import ViewGeometry


def slice_views() -> list[slicer.qMRMLSliceWidget]:
    """Widgets of all slice views, the red one first as in the scene; empty if the application has no layout manager."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    # The layout manager lists its views in an order that differs from start to start.
    order = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]
    return [manager.sliceWidget(name) for name in sorted(manager.sliceViewNames(), key=order.index)]


def is_slice_view(view: qt.QWidget) -> bool:
    """Whether a view widget is a slice view."""
    return bool(view.className() == "qMRMLSliceWidget")


def geometry_of(view: slicer.qMRMLSliceWidget) -> ViewGeometry:
    """Geometry of a slice view."""
    return ViewGeometry.of(view.mrmlSliceNode())


def go_to(state: SegmentState, index: int) -> None:
    """Move all slice views to the centre of the object on a slice, so that views of its plane show the slice."""
    stack = state.stack(state.current.plane or state.plane)
    box = _object_box(state, index) or Box.of_slice(*stack.shape[1:])
    centre = np.array([[(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, 0.0]])
    r, a, s = transform_points(stack.slice_to_world(index), centre)[0]
    for view in slice_views():
        view.mrmlSliceNode().JumpSliceByOffsetting(float(r), float(a), float(s))


def result_slice_in_view(state: SegmentState) -> int:
    """Index of the slice of the result in the first view of its plane; -1 if no view shows this plane."""
    plane = state.current.plane
    if plane is not None:
        for view in map(geometry_of, slice_views()):
            if plane.is_shown_by(view, state.volume_node):
                return state.index_in(view, plane)
    return -1


def is_over_handle(view: slicer.qMRMLSliceWidget) -> bool:
    """Whether the mouse is over a point or handle of any markup in the view, which the user can drag.

    In Slicer, dragging a line or outline with the left button does nothing, so it is none.
    """
    # While no button is pressed, Slicer tells each display node which of its components the mouse is over.
    view_id = view.mrmlSliceNode().GetID()
    displays = slicer.util.getNodesByClass("vtkMRMLMarkupsDisplayNode")
    return any(_has_handle_under_mouse(display, view_id) for display in displays)


def _has_handle_under_mouse(display: slicer.vtkMRMLMarkupsDisplayNode, view_id: str) -> bool:
    shown = display.GetVisibility() and display.GetVisibility2D() and display.IsDisplayableInView(view_id)
    markup = display.GetDisplayableNode()
    if not shown or markup is None or markup.GetLocked():
        return False
    component = display.GetActiveComponentType()
    if component in (display.ComponentControlPoint, display.ComponentCenterPoint):
        return True
    # Exactly over a handle that lies on an outline, Slicer names the outline.
    return component != display.ComponentNone and display.GetHandlesInteractive()


def _object_box(state: SegmentState, index: int) -> Box | None:
    """Box of the object on a slice, from the result or else from the prompts; None if unknown."""
    result, prompts = state.current.result, state.prompts
    if result is not None and index in result:
        slice_result = result[index]
        return Box.from_mask(slice_result.mask) or slice_result.box
    if prompts is not None and index in prompts.keys:
        return prompts.keys[index].extent
    return None
