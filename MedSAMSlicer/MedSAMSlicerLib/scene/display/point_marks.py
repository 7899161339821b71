"""Clicked points as marks over a slice view: a plus in a ring where the object is, a minus in a ring where it is not."""

from __future__ import annotations

import numpy as np
import vtk

from ...engine.prompts import Points
from ..volume.view_plane import Stack, ViewGeometry
from .overlay import Color, positions_in_view

# A blue and an orange that all kinds of colour vision tell apart; the signs say the same without any colour.
POSITIVE: Color = (0.34, 0.71, 0.91)
NEGATIVE: Color = (0.90, 0.62, 0.0)
_RING_RADIUS, _ARM = 8.0, 4.5
_TURN = np.linspace(0, 2 * np.pi, 17)
_RING = _RING_RADIUS * np.column_stack([np.cos(_TURN), np.sin(_TURN)])
_ACROSS = _ARM * np.array([[-1.0, 0.0], [1.0, 0.0]])
_UP = _ACROSS[:, ::-1]


class PointMarks:
    """Marks of one slice's points, as two actors in view pixels: a dark edge below, which is seen on bright images.

    Attributes:
        actors: from below to above.
        centres: (n, 2) view pixels of the marks that are seen.
    """

    def __init__(self) -> None:
        self._lines = vtk.vtkPolyData()
        self.actors = [self._actor(5.0, (0.0, 0.0, 0.0)), self._actor(2.0, None)]
        self.centres = np.zeros((0, 2))

    def show(self, stack: Stack, index: int, points: Points, view: ViewGeometry) -> bool:
        """Draw the points of a slice. Returns whether the view shows that slice."""
        centres = positions_in_view(stack, index, np.array(points.coordinates), view)
        if centres is None:
            self.hide()
            return False
        corners, lines, colors = vtk.vtkPoints(), vtk.vtkCellArray(), vtk.vtkUnsignedCharArray()
        colors.SetNumberOfComponents(3)
        for centre, positive in zip(centres, points.positive, strict=True):
            color = [round(255 * part) for part in (POSITIVE if positive else NEGATIVE)]
            for line in (_RING, _ACROSS, _UP) if positive else (_RING, _ACROSS):
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
        self.centres = np.zeros((0, 2))
        for actor in self.actors:
            actor.VisibilityOff()

    def _actor(self, width: float, color: Color | None) -> vtk.vtkActor2D:
        """Of the colours of the signs, if there is no other."""
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
