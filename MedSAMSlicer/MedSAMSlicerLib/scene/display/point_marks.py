"""Markers of clicked points: a plus in a ring inside the object, a minus in a ring outside."""

from __future__ import annotations

import numpy as np
import vtk

from ...engine.prompts import Points
from ..volume.view_plane import Stack, ViewGeometry
from .overlay import Color, positions_in_view

# Distinguishable with any colour vision deficiency; plus and minus carry the same information.
POSITIVE: Color = (0.34, 0.71, 0.91)
NEGATIVE: Color = (0.90, 0.62, 0.0)
_RING_RADIUS, _ARM = 8.0, 4.5
_ANGLES = np.linspace(0, 2 * np.pi, 17)
_RING = _RING_RADIUS * np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_HORIZONTAL = _ARM * np.array([[-1.0, 0.0], [1.0, 0.0]])
_VERTICAL = _HORIZONTAL[:, ::-1]


class PointMarks:
    """Markers of the points on one slice, with a dark edge that is visible on bright images.

    Attributes:
        actors: 2D actors in view pixels, from bottom to top.
        centres: (n, 2) view pixels of the visible markers.
    """

    def __init__(self) -> None:
        self._lines = vtk.vtkPolyData()
        self.actors = [self._actor(5.0, (0.0, 0.0, 0.0)), self._actor(2.0, None)]
        self.centres = np.zeros((0, 2))

    def show(self, stack: Stack, index: int, points: Points, view: ViewGeometry) -> bool:
        """Show the points of slice `index`. Returns whether the view shows the slice."""
        centres = positions_in_view(stack, index, np.array(points.coordinates), view)
        if centres is None:
            self.hide()
            return False
        corners, lines, colors = vtk.vtkPoints(), vtk.vtkCellArray(), vtk.vtkUnsignedCharArray()
        colors.SetNumberOfComponents(3)
        for centre, positive in zip(centres, points.positive, strict=True):
            color = [round(255 * part) for part in (POSITIVE if positive else NEGATIVE)]
            for line in (_RING, _HORIZONTAL, _VERTICAL) if positive else (_RING, _HORIZONTAL):
                lines.InsertNextCell(len(line))
                for x, y in centre + line:
                    lines.InsertCellPoint(corners.InsertNextPoint(x, y, 0))
                colors.InsertNextTuple3(*color)
        self._lines.SetPoints(corners)
        self._lines.SetLines(lines)
        self._lines.GetCellData().SetScalars(colors)
        self._lines.Modified()
        self.centres = centres
        for actor in self.actors:
            actor.VisibilityOn()
        return True

    def hide(self) -> None:
        """Hide all markers."""
        self.centres = np.zeros((0, 2))
        for actor in self.actors:
            actor.VisibilityOff()

    def _actor(self, width: float, color: Color | None) -> vtk.vtkActor2D:
        """Actor of the markers; `color` None: in the colours of the points."""
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._lines)
        mapper.SetScalarVisibility(color is None)
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetLineWidth(width)
        if color is not None:
            actor.GetProperty().SetColor(*color)
        actor.VisibilityOff()
        return actor
