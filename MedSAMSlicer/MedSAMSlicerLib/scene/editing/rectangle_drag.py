"""A rectangle drawn with the mouse, or a click: from view pixels to slice pixels."""

from __future__ import annotations

import math

import numpy as np

from ...engine.affine import transform_points
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompts import Box
from ..volume.view_plane import Stack, ViewGeometry

SMALLEST_DRAG = 4.0
"""View pixels that a rectangle must measure in both directions: less is a click, or a hand that shook."""


class RectangleDrag:
    """From the press of the button to its release. The slice is the one in which the press was.

    All four corners of the rectangle are taken to slice pixels, so in a view that is turned in its plane the box is
    the smallest that holds the rectangle.

    Args:
        stack: the slices that the view shows.
        view: the view, as it stood at the press.
        xy: where the button was pressed, in view pixels.
        adds_key: whether the other key slices stay.

    Raises:
        InputError: the press was outside of the volume.
    """

    def __init__(self, stack: Stack, view: ViewGeometry, xy: tuple[float, float], adds_key: bool) -> None:
        slices, self._rows, self._columns = stack.shape
        self._stack, self._view, self._start = stack, view, xy
        self._farthest = 0.0
        self.adds_key = adds_key
        position, row, column = stack.world_to_slice(view.to_world(xy)[None])[0]
        self.index = math.floor(position + 0.5)
        self.pixel = (float(column), float(row))
        """Column and row of the press, in slice pixels, with fractions."""
        inside = -0.5 <= row <= self._rows - 0.5 and -0.5 <= column <= self._columns - 0.5
        if not (0 <= self.index < slices and inside):
            raise InputError(_("the rectangle begins outside of the volume: begin it on the image"))
        self.box: Box | None = None
        """What the rectangle covers now, whole pixels; None while it is too small to mean anything."""

    def is_click(self, xy: tuple[float, float]) -> bool:
        """Whether the button, released at `xy`, was never moved away from where it was pressed."""
        self._watch(xy)
        return self._farthest < SMALLEST_DRAG

    def _watch(self, xy: tuple[float, float]) -> None:
        away = max(abs(xy[0] - self._start[0]), abs(xy[1] - self._start[1]))
        self._farthest = max(self._farthest, away)

    def to(self, xy: tuple[float, float]) -> Box | None:
        """Draw the rectangle to `xy`, view pixels, and return its box."""
        self._watch(xy)
        (x0, y0), (x1, y1) = self._start, xy
        if min(abs(x1 - x0), abs(y1 - y0)) < SMALLEST_DRAG:
            self.box = None
            return None
        corners = np.array([[x, y, 0.0] for x in (x0, x1) for y in (y0, y1)])
        rows, columns = self._stack.world_to_slice(transform_points(self._view.xy_to_world, corners))[:, 1:].T
        whole = Box.of_slice(self._rows, self._columns)
        drawn = Box(
            math.floor(columns.min() + 0.5),
            math.floor(rows.min() + 0.5),
            math.floor(columns.max() + 0.5),
            math.floor(rows.max() + 0.5),
        )
        self.box = drawn.intersection(whole)
        return self.box
