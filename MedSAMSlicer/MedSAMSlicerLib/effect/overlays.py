"""What the effect draws over the slice views: rectangle, points, preview, result, and what the model sees."""

from __future__ import annotations

import numpy as np
import slicer

from ..engine.errors import MedSAMError
from ..engine.models.catalogue import find_model
from ..scene.display.overlay import StackImage, ViewOverlay, ViewRectangle, grey_colors, mask_colors
from ..scene.display.point_marks import PointMarks
from ..scene.editing.contour_editor import ContourEditor
from ..scene.volume.view_plane import ViewGeometry
from .slice_views import geometry_of, slice_views

_Color = tuple[float, float, float]


class Overlays:
    """Actors in every slice view while the effect is active.

    Args:
        scripted_effect: Slicer's half of the effect, which adds and removes actors.
    """

    def __init__(self, scripted_effect: slicer.qSlicerSegmentEditorScriptedEffect) -> None:
        self._effect = scripted_effect
        self._views: list[_View] = []

    def attach(self) -> None:
        """Begin to draw, in the views that there are now."""
        self.detach()
        shown = [view for view in slice_views() if self._effect.segmentationDisplayableInView(view.mrmlSliceNode())]
        self._views = [_View(self._effect, view) for view in shown]

    def detach(self) -> None:
        """Take everything away."""
        for view in self._views:
            view.remove()
        self._views = []

    def update(self, contouring: ContourEditor | None, only: slicer.qMRMLSliceWidget | None = None) -> None:
        """Draw what the contouring has; `only`: in this view, because nothing but the view has changed."""
        for view in self._views:
            if only is None or view.widget is only:
                view.draw(contouring)


class _View:
    def __init__(self, effect: slicer.qSlicerSegmentEditorScriptedEffect, widget: slicer.qMRMLSliceWidget) -> None:
        self.widget = widget
        self._effect = effect
        self._color: _Color = (-1.0, -1.0, -1.0)
        self._table = mask_colors((1.0, 1.0, 1.0))
        self._seen = ViewOverlay(grey_colors())
        self._result, self._preview = ViewOverlay(self._table), ViewOverlay(self._table)
        self._rectangle, self._points = ViewRectangle((1.0, 1.0, 1.0)), PointMarks()
        self._input: tuple[tuple[object, ...], StackImage] | None = None
        # From below to above.
        self._actors = [
            self._seen.actor,
            self._result.actor,
            self._preview.actor,
            self._rectangle.actor,
            *self._points.actors,
        ]
        for actor in self._actors:
            effect.addActor2D(widget, actor)

    def remove(self) -> None:
        for actor in self._actors:
            self._effect.removeActor2D(self.widget, actor)

    def draw(self, contouring: ContourEditor | None) -> None:
        try:
            if contouring is None or contouring.gone:
                self._hide()
            else:
                self._draw_all(contouring, geometry_of(self.widget))
        except MedSAMError:
            # The volume has changed so that nothing can be said to lie anywhere. Whoever runs or applies reads why.
            self._hide()
        self._effect.scheduleRender(self.widget)

    def _draw_all(self, contouring: ContourEditor, geometry: ViewGeometry) -> None:
        self._take_color(contouring)
        kept, rectangle = contouring.kept, contouring.rectangle
        self._seen.show(self._model_input(contouring, geometry), geometry)
        # A rectangle begun anew is drawn over a clean image, and so is what replaces the result of a slice.
        drawing = rectangle.drag is not None and rectangle.drag.box is not None
        shows_result = not (kept.applied or drawing or self._is_previewed(contouring, geometry))
        self._result.show(kept.image if shows_result else None, geometry)
        self._preview.show(rectangle.image, geometry)
        self._draw_rectangle(contouring, geometry)
        self._draw_points(contouring, geometry)

    def _hide(self) -> None:
        for actor in self._actors:
            actor.VisibilityOff()

    def _is_previewed(self, contouring: ContourEditor, geometry: ViewGeometry) -> bool:
        if contouring.preview.asked is None:
            return False
        plane = contouring.plane_in(geometry)
        return contouring.clicks.shows(plane, contouring.index_in(geometry, plane))

    def _draw_rectangle(self, contouring: ContourEditor, geometry: ViewGeometry) -> None:
        drag = contouring.rectangle.drag
        if drag is not None and drag.box is not None:
            self._rectangle.show(contouring.rectangle.stack, drag.index, drag.box, geometry)
            return
        self._rectangle.hide()
        if contouring.prompts is not None:
            stack = contouring.stack()
            for index, key in contouring.prompts.keys.items():
                correcting = index == contouring.correcting
                if key.box is not None and self._rectangle.show(stack, index, key.box, geometry, correcting):
                    break

    def _draw_points(self, contouring: ContourEditor, geometry: ViewGeometry) -> None:
        self._points.hide()
        if contouring.prompts is not None:
            stack = contouring.stack()
            for index, key in contouring.prompts.keys.items():
                if key.points is not None and self._points.show(stack, index, key.points, geometry):
                    break

    def _take_color(self, contouring: ContourEditor) -> None:
        segment = contouring.segmentation_node.GetSegmentation().GetSegment(contouring.segment_id)
        color = tuple(segment.GetColor()) if segment is not None else self._color
        if color != self._color:
            self._color = color
            self._table.DeepCopy(mask_colors(color))
            self._rectangle.actor.GetProperty().SetColor(*color)

    def _model_input(self, contouring: ContourEditor, geometry: ViewGeometry) -> StackImage | None:
        """The slice that the view shows, through the window and at the resolution of the network."""
        try:
            if not contouring.parameters.flag("ShowModelInput") or contouring.reader.window is None:
                return None
            plane = contouring.plane_in(geometry)
            stack, index = contouring.stack(plane), contouring.index_in(geometry, plane)
            side = find_model(contouring.parameters.get("Model")).input_size
            what = (plane, index, side, contouring.reader.window, contouring.reader.state)
            if self._input is None or self._input[0] != what:
                image = StackImage(stack, index, 1)
                image.put(index, at_resolution(contouring.reader.image(plane, stack, index), side))
                self._input = (what, image)
        except MedSAMError:
            return None  # the options frame says what is wrong with the window or the volume
        return self._input[1]


def at_resolution(image: np.ndarray, side: int) -> np.ndarray:
    """A uint8 (rows, columns) slice as a network of that input side sees it, in as many pixels as before."""
    from ..engine.resize import area_resize, longest_side_size

    rows, columns = image.shape
    if max(rows, columns) <= side:
        return image
    small = area_resize(image, *longest_side_size(rows, columns, side))
    row = (np.arange(rows) + 0.5) * small.shape[0] // rows
    column = (np.arange(columns) + 0.5) * small.shape[1] // columns
    return np.asarray(small[np.ix_(row.astype(int), column.astype(int))])
