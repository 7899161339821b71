"""Overlays of the effect in slice views: rectangle, points, preview, result, and the input of the model."""

from __future__ import annotations

import numpy as np
import slicer

from ..engine.errors import MedSAMError
from ..engine.models.catalogue import find_model
from ..scene.display.overlay import StackImage, ViewOverlay, ViewRectangle, grey_colors, mask_colors
from ..scene.display.point_marks import PointMarks
from ..scene.editing.contour_editor import ContourEditor
from ..scene.editing.rectangle_tool import RectangleDrag
from ..scene.state.segment_state import SegmentState
from ..scene.volume.view_plane import ViewGeometry
from .slice_views import geometry_of, slice_views

_Color = tuple[float, float, float]


class Overlays:
    """Shows the state of the editor in all slice views while the effect is active.

    Args:
        scripted_effect: Slicer's side of the effect, which adds and removes actors.
    """

    def __init__(self, scripted_effect: slicer.qSlicerSegmentEditorScriptedEffect) -> None:
        self._effect = scripted_effect
        self._views: list[_View] = []
        self._waiting: list[_View] = []
        # The view whose rendering was requested last, until the next `render_next`; and whether `update` has requested it.
        self._requested: _View | None = None
        self._updated = False

    def attach(self) -> None:
        """Add actors to the current slice views."""
        self.detach()
        views = [view for view in slice_views() if self._effect.segmentationDisplayableInView(view.mrmlSliceNode())]
        self._views = [_View(self._effect, view) for view in views]

    def detach(self) -> None:
        """Remove all actors."""
        for view in self._views:
            view.remove()
        self._views, self._waiting = [], []
        self._requested, self._updated = None, False

    @property
    def waiting(self) -> bool:
        """Whether `render_next` has to be called."""
        return bool(self._waiting) or self._requested is not None

    def update(
        self,
        editor: ContourEditor | None,
        only: slicer.qMRMLSliceWidget | None = None,
        at_once: slicer.qMRMLSliceWidget | None = None,
    ) -> None:
        """Update the views, which `render_next` has rendered one by one.

        Args:
            editor: editor whose state is shown; None: nothing is shown.
            only: the only view to update, with its turn now if no other view is about to be rendered; None: all views.
            at_once: a view that is rendered before this returns, unless another one is about to be. Otherwise Slicer renders
                a view at most 60 times a second, which would add 17 ms to what the user waits for.
        """
        drawn = [view for view in self._views if only is None or view.widget is only]
        for view in drawn:
            view.draw(editor)
        self._waiting = drawn + [view for view in self._waiting if view not in drawn]
        urgent = next((view for view in drawn if view.widget is at_once), None)
        if urgent is not None and self._requested in (None, urgent):
            # In place of a rendering of this view that was requested and not done.
            self._request(urgent)
            urgent.widget.sliceView().forceRender()
        elif drawn and only is not None and self._requested is None:
            self._request(drawn[0])
            self._effect.scheduleRender(only)

    def _request(self, view: _View) -> None:
        self._waiting.remove(view)
        self._requested, self._updated = view, True

    def result_grew(self, image: StackImage) -> None:
        """Have the views that show one of the image's changed slices updated by `render_next`."""
        self._waiting += [view for view in self._views if view not in self._waiting and view.shows_change(image)]
        image.changed.clear()

    def render_next(self, editor: ContourEditor | None) -> None:
        """Update one view that waits, and have it rendered. Called again and again, with the event loop in between."""
        updated, self._requested, self._updated = self._updated, None, False
        if self._waiting and not updated:
            self._requested = view = self._waiting.pop(0)
            view.draw(editor)
            self._effect.scheduleRender(view.widget)


class _View:
    def __init__(self, effect: slicer.qSlicerSegmentEditorScriptedEffect, widget: slicer.qMRMLSliceWidget) -> None:
        self.widget = widget
        self._effect = effect
        self._color: _Color = (-1.0, -1.0, -1.0)
        self._table = mask_colors((1.0, 1.0, 1.0))
        self._model_input = ViewOverlay(grey_colors())
        self._result, self._preview = ViewOverlay(self._table), ViewOverlay(self._table)
        self._rectangle, self._points = ViewRectangle((1.0, 1.0, 1.0)), PointMarks()
        self._input: tuple[tuple[object, ...], StackImage] | None = None
        # Drawn from first to last.
        self._actors = [
            self._model_input.actor,
            self._result.actor,
            self._result.outline,
            self._preview.actor,
            self._preview.outline,
            self._rectangle.actor,
            *self._points.actors,
        ]
        for actor in self._actors:
            effect.addActor2D(widget, actor)

    def remove(self) -> None:
        for actor in self._actors:
            self._effect.removeActor2D(self.widget, actor)

    def draw(self, editor: ContourEditor | None) -> None:
        try:
            if editor is None or editor.state.gone:
                self._hide()
            else:
                self._draw_all(editor, geometry_of(self.widget))
        except MedSAMError:
            # The volume has become unusable. The error is reported when it is used for a run or for writing.
            self._hide()

    def shows_change(self, image: StackImage) -> bool:
        return image.changed_in(geometry_of(self.widget))

    def _draw_all(self, editor: ContourEditor, geometry: ViewGeometry) -> None:
        state, rectangle = editor.state, editor.rectangle
        self._update_color(state)
        self._model_input.show(self._model_input_image(editor, geometry), geometry)
        # Only the image is visible below a new rectangle, and below a preview that replaces the result of its slice.
        hides_result = (
            state.current.applied or state.current.outdated or rectangle.drawing or self._is_previewed(editor, geometry)
        )
        self._result.show(None if hides_result else state.current.image, geometry)
        self._preview.show(rectangle.image, geometry)
        self._draw_rectangle(state, rectangle.drag, geometry)
        self._draw_points(state, geometry)

    def _hide(self) -> None:
        for actor in self._actors:
            actor.VisibilityOff()

    @staticmethod
    def _is_previewed(editor: ContourEditor, geometry: ViewGeometry) -> bool:
        if editor.preview.tag is None:
            return False
        plane = editor.state.plane_in(geometry)
        return editor.points.shows(plane, editor.state.index_in(geometry, plane))

    def _draw_rectangle(self, state: SegmentState, drag: RectangleDrag | None, geometry: ViewGeometry) -> None:
        if drag is not None and drag.box is not None:
            self._rectangle.show(drag.stack, drag.index, drag.box, geometry)
            return
        self._rectangle.hide()
        if state.prompts is not None:
            stack = state.stack()
            for index, key in state.prompts.keys.items():
                handles = index == state.correcting
                if key.box is not None and self._rectangle.show(stack, index, key.box, geometry, handles):
                    break

    def _draw_points(self, state: SegmentState, geometry: ViewGeometry) -> None:
        self._points.hide()
        if state.prompts is not None:
            stack = state.stack()
            for index, key in state.prompts.keys.items():
                if key.points is not None and self._points.show(stack, index, key.points, geometry):
                    break

    def _update_color(self, state: SegmentState) -> None:
        segment = state.segmentation_node.GetSegmentation().GetSegment(state.segment_id)
        color = tuple(segment.GetColor()) if segment is not None else self._color
        if color != self._color:
            self._color = color
            self._table.DeepCopy(mask_colors(color))
            self._rectangle.actor.GetProperty().SetColor(*color)
            for overlay in (self._result, self._preview):
                overlay.set_outline_color(color)

    def _model_input_image(self, editor: ContourEditor, geometry: ViewGeometry) -> StackImage | None:
        """The slice in the view as the model gets it: windowed, at the resolution of the network. None if not shown."""
        state, reader = editor.state, editor.reader
        try:
            if not state.parameters.flag("ShowModelInput") or reader.window is None:
                return None
            plane = state.plane_in(geometry)
            stack, index = state.stack(plane), state.index_in(geometry, plane)
            side = find_model(state.parameters.get("Model")).input_size
            key = (plane, index, side, reader.window, reader.state)
            if self._input is None or self._input[0] != key:
                seen = at_network_resolution(reader.image(plane, stack, index), side)
                image = StackImage(stack, index, 1, colour=seen.ndim == 3)
                image.put(index, seen)
                self._input = (key, image)
        except MedSAMError:
            return None  # the options frame shows the error
        return self._input[1]


def at_network_resolution(image: np.ndarray, side: int) -> np.ndarray:
    """Reduce a slice to the resolution of a network, and enlarge it to its own shape again with nearest neighbours.

    Args:
        image: uint8 (rows, columns) or (rows, columns, 3) array.
        side: side of the network's square input in pixels.
    """
    from ..engine.resize import area_resize, longest_side_size

    rows, columns = image.shape[:2]
    if max(rows, columns) <= side:
        return image
    reduced = area_resize(image, *longest_side_size(rows, columns, side))
    row = (np.arange(rows) + 0.5) * reduced.shape[0] // rows
    column = (np.arange(columns) + 0.5) * reduced.shape[1] // columns
    return np.asarray(reduced[np.ix_(row.astype(int), column.astype(int))])
