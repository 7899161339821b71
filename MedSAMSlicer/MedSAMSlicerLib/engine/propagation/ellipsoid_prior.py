"""Expected sections of an object in a 3D box: those of a sheared ellipsoid that touches the faces of the box.

An object that lies obliquely in its box moves across the box from slice to slice and is smaller on every slice than
the box. A shear of `s` moves the centre of the sections by `s` half widths between the middle and the end of the stack. The
sections are then narrower by a factor of sqrt(1 - s²), so that the ellipsoid still touches the faces.
"""

from __future__ import annotations

import math

from ..prompts import Box
from .settings import InBoxSettings


class EllipsoidPrior:
    """Sections of an ellipsoid in a 3D box, whose shear is estimated from the slices predicted so far.

    Args:
        box3d: the box on each slice, in slice pixels.
        first, last: first and last slice of the box, inclusive.
        settings: weight of the upright ellipsoid and largest shear.
        observations: number of slices that will be observed; None for all slices of the box.
    """

    def __init__(
        self, box3d: Box, first: int, last: int, settings: InBoxSettings, observations: int | None = None
    ) -> None:
        self._box3d, self._first, self._last = box3d, first, last
        self._largest_shear = settings.largest_shear
        self._share = 2 / (last - first + 1 if observations is None else observations)
        # Regression of the centres on the depth, regularised towards no shear.
        self._depth_squares = settings.upright_weight
        self._shift_x = self._shift_y = 0.0

    def observe(self, index: int, box: Box, trust: float) -> None:
        """Update the shear with the object's box on one slice.

        Args:
            index: slice index.
            box: bounding box of the object on the slice, in slice pixels.
            trust: weight of the observation; clipped to 0..1.
        """
        depth = self._depth(index)
        # Sections near the ends are small and more irregular, so their centres are less informative.
        weight = min(1.0, max(0.0, trust)) * math.sqrt(1 - depth * depth) * self._share
        (x, y), (middle_x, middle_y) = _centre(box), _centre(self._box3d)
        self._depth_squares += weight * depth * depth
        self._shift_x += weight * depth * (x - middle_x) / (self._box3d.width / 2)
        self._shift_y += weight * depth * (y - middle_y) / (self._box3d.height / 2)

    @property
    def shear(self) -> tuple[float, float]:
        """Shift of the centre in x and y from the middle of the box to its upper end, in half widths and half heights."""
        x, y = (
            max(-self._largest_shear, min(self._largest_shear, shift / self._depth_squares))
            for shift in (self._shift_x, self._shift_y)
        )
        return x, y

    def section(self, index: int, width: float) -> Box:
        """Section of the ellipsoid on a slice, clipped to the 3D box and at least one pixel wide and high.

        Args:
            index: slice index.
            width: factor by which the section is enlarged.
        """
        depth = self._depth(index)
        box, (shear_x, shear_y) = self._box3d, self.shear
        x0, x1 = _interval(box.x0, box.x1, depth, shear_x, width)
        y0, y1 = _interval(box.y0, box.y1, depth, shear_y, width)
        return Box(x0, y0, x1, y1)

    def _depth(self, index: int) -> float:
        """Position along the stack: -1 at the lower face of the 3D box, 1 at the upper one."""
        return (2 * index - self._first - self._last) / (self._last - self._first + 1)


def _interval(low: float, high: float, depth: float, shear: float, width: float) -> tuple[float, float]:
    full = high - low + 1
    size = max(1.0, full * min(1.0, width * math.sqrt((1 - shear * shear) * (1 - depth * depth))))
    start = (low + high - size + 1) / 2 + shear * depth * full / 2
    start = min(max(start, low), high - size + 1)
    return start, start + size - 1


def _centre(box: Box) -> tuple[float, float]:
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
