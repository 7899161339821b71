"""The rectangle that the user draws in a slice view, with a preview of the mask inside it."""

from __future__ import annotations

import math

import numpy as np

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompts import Box, Points, SlicePrompt
from ...engine.volume.affine import transform_points
from ..display.overlay import StackImage, outline_in_view
from ..state.prompts import KeySlice, Prompts
from ..state.segment_state import SegmentState
from ..volume.view_plane import Plane, Stack, ViewGeometry
from .slice_preview import PreviewRequest, SlicePreview

MINIMUM_DRAG = 4.0
"""View pixels that a rectangle must measure in both directions; a smaller one is taken for a click."""
CORNER_RADIUS = 9.0
"""View pixels around a corner within which a press takes hold of the corner."""


class RectangleDrag:
    """One drag of the mouse: converts view pixels to a box in slice pixels.

    The rectangle lies on the slice in which the button was pressed, and its fixed corner keeps its place in the patient
    when the view is resized, zoomed, moved or scrolled. All four corners are converted, so in a view that is rotated
    within its plane the box is the smallest one that contains the rectangle.

    Attributes:
        plane, stack, index: the slice.
        pixel: (column, row) of the press in slice pixels, with fractions.
        box: the rectangle so far, clipped to the slice; None while it is smaller than `MINIMUM_DRAG`.

    Args:
        plane, stack: slices that the view shows.
        view: the view at the time of the press.
        fixed: (3,) world RAS position in mm of the corner that stays in place: that of the press, unless another corner
            was taken hold of.

    Raises:
        InputError: the press is outside of the volume.
    """

    def __init__(self, plane: Plane, stack: Stack, view: ViewGeometry, fixed: np.ndarray) -> None:
        self.plane, self.stack = plane, stack
        self._view, self._fixed, self._farthest = view, fixed, 0.0
        slices, rows, columns = stack.shape
        position, row, column = stack.world_to_slice(fixed[None])[0]
        self.index = math.floor(position + 0.5)
        self.pixel = (float(column), float(row))
        inside = -0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5
        if not (0 <= self.index < slices and inside):
            raise InputError(_("the rectangle starts outside of the volume: start it on the image"))
        self.box: Box | None = None

    @property
    def is_click(self) -> bool:
        """Whether the mouse has stayed where the button was pressed."""
        return self._farthest < MINIMUM_DRAG

    def can_go_on_in(self, view: ViewGeometry) -> bool:
        """Whether the view has not been turned since the press."""
        return view.is_parallel_to(self._view)

    def move_to(self, xy: tuple[float, float], view: ViewGeometry | None = None) -> Box | None:
        """Move the free corner to view pixel `xy`. Returns `box`.

        Args:
            view: the view as it is now; None: as it was before.
        """
        self._view = view or self._view
        (x0, y0, depth), (x1, y1) = self._view.to_view(self._fixed), xy
        width, height = abs(x1 - x0), abs(y1 - y0)
        self._farthest = max(self._farthest, width, height)
        if min(width, height) < MINIMUM_DRAG:
            self.box = None
            return None
        corners = np.array([[x, y, depth] for x in (x0, x1) for y in (y0, y1)])
        rows, columns = self.stack.world_to_slice(transform_points(self._view.xy_to_world, corners))[:, 1:].T
        drawn = Box(
            math.floor(columns.min() + 0.5),
            math.floor(rows.min() + 0.5),
            math.floor(columns.max() + 0.5),
            math.floor(rows.max() + 0.5),
        )
        self.box = drawn.intersection(Box.of_slice(*self.stack.shape[1:]))
        return self.box


class RectangleTool:
    """Draws one rectangle at a time and requests previews of its mask.

    Attributes:
        drag: the rectangle that is being drawn; None if there is none.

    Args:
        state: prompts and result that the rectangle is added to; not changed.
        preview: shows the mask.
    """

    def __init__(self, state: SegmentState, preview: SlicePreview) -> None:
        self._state, self._preview = state, preview
        self.drag: RectangleDrag | None = None
        self._base: Prompts | None = None
        """Prompts that the rectangle is added to; None if it replaces all prompts."""
        self._points: Points | None = None
        """Clicks on the rectangle's slice that stay."""
        self._previewing = False

    @property
    def image(self) -> StackImage | None:
        """The mask that is previewed; None if there is none."""
        return self._preview.image

    @property
    def shown(self) -> PreviewRequest | None:
        """The request that `image` answers."""
        return self._preview.shown

    @property
    def drawing(self) -> bool:
        """Whether a rectangle is being drawn that is large enough to be one."""
        return self.drag is not None and self.drag.box is not None

    def begin(self, view: ViewGeometry, xy: tuple[float, float], add: bool) -> None:
        """Begin a rectangle, or take hold of a corner of the one that is being corrected.

        A preview stays visible until the rectangle is large enough to be one.

        Args:
            add: keep the other key slices. They are also kept if the rectangle is drawn on a key slice.

        Raises:
            InputError: `xy` is outside of the volume, or the key slices to keep lie in another plane.
        """
        plane, prompts = self._state.plane_in(view), self._state.prompts
        if add and prompts is not None and prompts.plane != plane:
            raise InputError(
                _("the key slices lie in another plane: add one in a view of that plane, or draw without Shift")
            )
        drag = RectangleDrag(plane, self._state.stack(plane), view, self._fixed_corner(view, xy))
        self.drag, self._base, self._points, self._previewing = drag, None, None, False
        if prompts is None or prompts.plane != plane:
            return
        key = prompts.keys.get(drag.index)
        if add or key is not None:
            self._base = prompts
        if key is not None and self._state.parameters.takes({"box", "points"}):
            self._points = key.points

    def move(self, xy: tuple[float, float], view: ViewGeometry | None = None) -> None:
        """Move the free corner; if the box changes, its preview is requested. `view`: see `RectangleDrag.move_to`."""
        drag = self.drag
        if drag is None:
            return
        before, box = drag.box, drag.move_to(xy, view)
        if box is None:
            if self._previewing:
                self._preview.forget()
        elif box != before:
            if not self._previewing:
                self._preview.forget()
                self._preview.use(drag.plane, drag.stack)
            self._previewing = True
            prompt = SlicePrompt(box, self._points)
            base = self._base
            limit = None if base is None else base.oriented_box_around(drag.index, prompt, drag.stack)
            self._preview.request(drag.index, prompt, oriented_box=limit)

    def end(self, xy: tuple[float, float], view: ViewGeometry | None = None) -> RectangleDrag | None:
        """End the drag at `xy` and return it; None if there is none. The preview stays. `view`: as for `move`."""
        drag, self.drag = self.drag, None
        if drag is not None:
            drag.move_to(xy, view)
        return drag

    def drop(self) -> bool:
        """Forget the rectangle. Returns False if there is none."""
        dragging, self.drag = self.drag is not None, None
        return dragging

    def prompts_with(self, drag: RectangleDrag) -> Prompts:
        """The prompts with the rectangle of the drag that has just ended as a key slice."""
        result, base = self._state.current.result, self._base
        corrects = base is not None and result is not None and drag.index in result
        key = KeySlice(drag.box, "corrected" if corrects else "drawn", self._points)
        return Prompts(drag.plane, {drag.index: key}) if base is None else base.with_key(drag.index, key, drag.stack)

    def _fixed_corner(self, view: ViewGeometry, xy: tuple[float, float]) -> np.ndarray:
        """The corner that stays in place: opposite to the one that is taken hold of, or that of the press."""
        index, prompts, opposite = self._state.correcting, self._state.prompts, None
        box = None if index is None or prompts is None or index not in prompts.keys else prompts.keys[index].box
        if index is not None and box is not None:
            opposite = opposite_corner(self._state.stack(), index, box, view, xy)
        return view.to_world(xy) if opposite is None else opposite


def opposite_corner(
    stack: Stack, index: int, box: Box, view: ViewGeometry, xy: tuple[float, float]
) -> np.ndarray | None:
    """Finds the corner of a rectangle that stays in place when the corner near `xy` is dragged.

    Args:
        stack, index, box: the rectangle, in slice pixels.
        view: the view that was pressed in.
        xy: view pixel of the press.

    Returns:
        (3,) world RAS position of the centre of the opposite corner's slice pixel. None if no corner is within `CORNER_RADIUS` of
        `xy`, or the view shows another slice.
    """
    outline = outline_in_view(stack, index, box, view)
    if outline is None:
        return None
    distance = np.linalg.norm(outline - np.asarray(xy), axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > CORNER_RADIUS:
        return None
    # In the order of `outline_in_view`.
    corners = np.array([[box.x0, box.y0, 0], [box.x1, box.y0, 0], [box.x1, box.y1, 0], [box.x0, box.y1, 0]], float)
    return np.asarray(transform_points(stack.slice_to_world(index), corners[(nearest + 2) % 4][None])[0])
