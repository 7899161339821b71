"""Masks and grey slices of a stack, drawn over whatever slice view looks at them. World is RAS, in millimetres."""

from __future__ import annotations

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ...engine.affine import transform_points
from ...engine.prompts import Box
from ...engine.results import SliceResult
from ..volume.geometry import to_matrix
from ..volume.view_plane import Stack, ViewGeometry

OPACITY = 0.45
Color = tuple[float, float, float]


class StackImage:
    """A (slices, rows, columns) uint8 image that lies in the world where the slices of a stack do.

    Memory is taken only where something was put.

    Args:
        stack: the slices that it lies on.
        first, slices: the part of the stack that it covers; None: up to the last slice.
    """

    def __init__(self, stack: Stack, first: int = 0, slices: int | None = None) -> None:
        count = stack.shape[0] - first if slices is None else slices
        self.first = first
        self.to_world = stack.slice_to_world(first)
        self.values = np.zeros((count, *stack.shape[1:]), np.uint8)
        self.image = vtk.vtkImageData()
        self.image.SetDimensions(*self.values.shape[::-1])
        self.image.GetPointData().SetScalars(numpy_to_vtk(self.values.ravel()))

    def put(self, index: int, values: np.ndarray, around: Box | None = None) -> None:
        """Put (rows, columns) values on slice `index` of the stack; what was there before is gone.

        Args:
            around: box outside of which the values are 0, if that is known.
        """
        one = self.values[index - self.first]
        if one.any():
            one[:] = 0
        if around is None:
            one[:] = values
        else:
            rows, columns = slice(int(around.y0), int(around.y1) + 1), slice(int(around.x0), int(around.x1) + 1)
            one[rows, columns] = values[rows, columns]
        self.image.GetPointData().GetScalars().Modified()
        self.image.Modified()

    def put_result(self, found: SliceResult) -> None:
        """Put the mask of one slice."""
        box = Box.from_mask(found.mask)
        self.put(found.index, found.mask, box if box is not None else Box(0, 0, 0, 0))


class ViewOverlay:
    """What a slice view shows of one image of a stack, as an actor in view pixels."""

    def __init__(self, table: vtk.vtkLookupTable, smooth: bool = False) -> None:
        self._reslice = vtk.vtkImageReslice()
        self._reslice.SetOutputOrigin(0, 0, 0)
        self._reslice.SetOutputSpacing(1, 1, 1)
        self._reslice.SetBackgroundLevel(0)
        if smooth:
            self._reslice.SetInterpolationModeToLinear()
        else:
            self._reslice.SetInterpolationModeToNearestNeighbor()
        # Where the image does not reach the view shows what it showed before, also where 0 is a colour.
        self._reslice.GenerateStencilOutputOn()
        self._colors = vtk.vtkImageMapToColors()
        self._colors.SetOutputFormatToRGBA()
        self._colors.SetLookupTable(table)
        self._colors.SetInputConnection(self._reslice.GetOutputPort())
        self._cut = vtk.vtkImageStencil()
        self._cut.SetInputConnection(self._colors.GetOutputPort())
        self._cut.SetStencilConnection(self._reslice.GetStencilOutputPort())
        self._cut.SetBackgroundColor(0, 0, 0, 0)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self._cut.GetOutputPort())
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.VisibilityOff()

    def show(self, image: StackImage | None, view: ViewGeometry) -> None:
        """Show the part of the image that lies in the view's plane; None shows nothing."""
        self.actor.SetVisibility(image is not None)
        if image is None:
            return
        transform = vtk.vtkTransform()
        transform.SetMatrix(to_matrix(np.linalg.inv(image.to_world) @ view.xy_to_world))
        self._reslice.SetInputData(image.image)
        self._reslice.SetResliceTransform(transform)
        self._reslice.SetOutputExtent(0, view.size[0] - 1, 0, view.size[1] - 1, 0, 0)

    def pixels(self) -> vtk.vtkImageData:
        """RGBA of what is shown, a value for each view pixel."""
        self._cut.Update()
        return self._cut.GetOutput()


# Around a corner, in view pixels.
_HANDLE = 4.0 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


class ViewRectangle:
    """The outline of a box on one slice, as an actor in view pixels; shown only in views that show that slice."""

    def __init__(self, color: Color) -> None:
        self._outline = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._outline)
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.GetProperty().SetColor(*color)
        self.actor.GetProperty().SetLineWidth(2)
        self.actor.VisibilityOff()

    def show(self, stack: Stack, index: int, box: Box, view: ViewGeometry, handles: bool = False) -> bool:
        """Draw the outer edges of the box's pixels. Returns whether the view shows that slice.

        Args:
            handles: whether the corners have squares by which they can be dragged.
        """
        corners = outline_in_view(stack, index, box, view)
        self.actor.SetVisibility(corners is not None)
        if corners is None:
            return False
        points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
        outlines = [corners, *(corner + _HANDLE for corner in corners)] if handles else [corners]
        for outline in outlines:
            numbers = [points.InsertNextPoint(x, y, 0) for x, y in outline]
            lines.InsertNextCell(5)
            for n in (*numbers, numbers[0]):
                lines.InsertCellPoint(n)
        self._outline.SetPoints(points)
        self._outline.SetLines(lines)
        self._outline.Modified()
        return True

    def hide(self) -> None:
        self.actor.VisibilityOff()


def outline_in_view(stack: Stack, index: int, box: Box, view: ViewGeometry) -> np.ndarray | None:
    """(4, 2) view pixels of the box's outer corners; None if the view doesn't show that slice there."""
    x0, y0, x1, y1 = box.x0 - 0.5, box.y0 - 0.5, box.x1 + 0.5, box.y1 + 0.5
    return positions_in_view(stack, index, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float), view)


def positions_in_view(stack: Stack, index: int, positions: np.ndarray, view: ViewGeometry) -> np.ndarray | None:
    """(n, 2) view pixels of (n, 2) columns and rows of a slice; None if the view doesn't show that slice there."""
    in_view = np.linalg.inv(view.xy_to_world) @ stack.slice_to_world(index)
    xyz = transform_points(in_view, np.column_stack([positions, np.zeros(len(positions))]))
    half = abs(float(in_view[2, 2])) / 2
    if half == 0 or np.abs(xyz[:, 2]).max() > half * (1 + 1e-6):
        return None
    return np.asarray(xyz[:, :2])


def mask_colors(color: Color, opacity: float = OPACITY) -> vtk.vtkLookupTable:
    """0 transparent, everything else in one colour."""
    table = vtk.vtkLookupTable()
    table.SetNumberOfTableValues(2)
    table.SetTableRange(0, 1)
    table.SetTableValue(0, 0, 0, 0, 0)
    table.SetTableValue(1, *color, opacity)
    return table


def grey_colors() -> vtk.vtkLookupTable:
    """0 to 255 as grey, opaque."""
    table = vtk.vtkLookupTable()
    table.SetNumberOfTableValues(256)
    table.SetTableRange(0, 255)
    for n in range(256):
        table.SetTableValue(n, n / 255, n / 255, n / 255, 1)
    return table
