"""A key slice whose rectangle is to be corrected: its corners can be dragged, or a new rectangle drawn over it."""

from __future__ import annotations

import numpy as np

from ...engine.affine import transform_points
from ...engine.prompts import Box
from ..display.overlay import outline_in_view
from ..volume.view_plane import Stack, ViewGeometry

REACH_OF_A_CORNER = 9.0
"""View pixels around a corner in which the mouse takes hold of it."""


def opposite_corner(
    stack: Stack, index: int, box: Box, view: ViewGeometry, xy: tuple[float, float]
) -> tuple[float, float] | None:
    """Where a rectangle has to begin so that the mouse, pressed at `xy`, drags the nearest corner of the box.

    Args:
        stack, index, box: the rectangle that is seen.
        view: the view that was pressed in.
        xy: where, in view pixels.

    Returns:
        View pixel of the middle of the pixel in the opposite corner; None if no corner is near, or the view shows
        another slice.
    """
    outline = outline_in_view(stack, index, box, view)
    if outline is None:
        return None
    away = np.linalg.norm(outline - np.asarray(xy), axis=1)
    nearest = int(away.argmin())
    if away[nearest] > REACH_OF_A_CORNER:
        return None
    # As `outline_in_view` orders them.
    corners = np.array([[box.x0, box.y0, 0], [box.x1, box.y0, 0], [box.x1, box.y1, 0], [box.x0, box.y1, 0]], float)
    fixed = corners[(nearest + 2) % 4][None]
    x, y = transform_points(np.linalg.inv(view.xy_to_world) @ stack.slice_to_world(index), fixed)[0, :2]
    return float(x), float(y)
