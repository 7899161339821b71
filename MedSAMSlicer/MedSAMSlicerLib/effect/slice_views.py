"""The slice views of the layout: which there are, where they stand, and how to send them to a slice."""

from __future__ import annotations

import numpy as np
import qt
import slicer

from ..engine.affine import transform_points
from ..engine.prompts import Box
from ..scene.editing.contour_editor import ContourEditor
from ..scene.volume.view_plane import ViewGeometry


def slice_views() -> list[slicer.qMRMLSliceWidget]:
    """Widgets of all slice views; none while the application has no layout."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    return [manager.sliceWidget(name) for name in manager.sliceViewNames()]


def is_slice_view(view: qt.QWidget) -> bool:
    return bool(view.className() == "qMRMLSliceWidget")


def geometry_of(view: slicer.qMRMLSliceWidget) -> ViewGeometry:
    return ViewGeometry.of(view.mrmlSliceNode())


def go_to(contouring: ContourEditor, index: int) -> None:
    """Send all views through the middle of what is marked on a slice, those of its plane so to that slice."""
    stack = contouring.stack(contouring.kept.plane or contouring.plane)
    box = _marked(contouring, index) or Box.of_slice(*stack.shape[1:])
    middle = np.array([[(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, 0.0]])
    r, a, s = transform_points(stack.slice_to_world(index), middle)[0]
    for view in slice_views():
        view.mrmlSliceNode().JumpSliceByOffsetting(float(r), float(a), float(s))


def slice_shown(contouring: ContourEditor) -> int:
    """The slice of the result that a view shows; -1 if no view shows slices of its plane."""
    plane = contouring.kept.plane
    if plane is not None:
        for view in map(geometry_of, slice_views()):
            if plane.is_shown_by(view, contouring.volume_node):
                return contouring.index_in(view, plane)
    return -1


def on_a_handle(roi_node: slicer.vtkMRMLMarkupsROINode | None) -> bool:
    """Whether the mouse is on a handle of the ROI, which is then what the user wants to drag."""
    display = None if roi_node is None else roi_node.GetDisplayNode()
    return display is not None and display.GetActiveComponentType() != display.ComponentNone


def _marked(contouring: ContourEditor, index: int) -> Box | None:
    if contouring.result is not None and index in contouring.result:
        found = contouring.result[index]
        return Box.from_mask(found.mask) or found.box
    if contouring.prompts is not None and index in contouring.prompts.keys:
        return contouring.prompts.keys[index].marked
    return None
