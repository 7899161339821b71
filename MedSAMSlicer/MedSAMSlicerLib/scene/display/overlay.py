"""Overlays that show masks, grey slices and boxes of a stack in slice views.

World coordinates are RAS in millimetres.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ...engine.prompts import Box
from ...engine.results import SliceResult, StackResult
from ...engine.volume.affine import transform_points
from ..volume.geometry import to_matrix
from ..volume.view_plane import Stack, ViewGeometry

OPACITY = 0.45
LINE_PIXELS = 2
"""Width of outlines in view pixels."""
Color = tuple[float, float, float]


class StackImage:
    """A uint8 (slices, rows, columns) image, or (slices, rows, columns, 4) in colour, with the geometry of a stack.

    The operating system allocates memory only for slices that have been written.

    Args:
        stack: the stack that provides the geometry.
        first: first slice of the stack that the image covers.
        slices: number of slices; None: up to the last slice of the stack.
        colour: whether the image has colours, the fourth of which is the opacity.

    Attributes:
        changed: slices of the stack that were replaced since this set was last emptied.
    """

    def __init__(self, stack: Stack, first: int = 0, slices: int | None = None, colour: bool = False) -> None:
        count = stack.shape[0] - first if slices is None else slices
        self.first = first
        self.changed: set[int] = set()
        self._written: set[int] = set()
        self.to_world = stack.slice_to_world(first)
        self.is_colour = colour
        self.values = np.zeros((count, *stack.shape[1:], *([4] if colour else [])), np.uint8)
        self.image = vtk.vtkImageData()
        self.image.SetDimensions(*self.values.shape[2::-1])
        self.image.GetPointData().SetScalars(
            numpy_to_vtk(self.values.reshape(-1, 4) if colour else self.values.ravel())
        )

    def fits(self, stack: Stack) -> bool:
        """Whether the image has the slices of a stack, at the place where they are now."""
        same_shape = self.values.shape[:3] == tuple(stack.shape) and self.first == 0
        return same_shape and np.array_equal(self.to_world, stack.slice_to_world(0))

    def put(self, index: int, values: np.ndarray, nonzero_box: Box | None = None) -> None:
        """Replace slice `index` of the stack.

        Args:
            index: slice index in the stack.
            values: (rows, columns) array, or (rows, columns, 3) for an image in colour.
            nonzero_box: box outside of which `values` is 0; None if unknown.
        """
        target = self._cleared(index)
        if self.is_colour:
            target[..., :3], target[..., 3] = values, 255
        elif nonzero_box is None:
            target[:] = values
        else:
            rows, columns = (
                slice(int(nonzero_box.y0), int(nonzero_box.y1) + 1),
                slice(int(nonzero_box.x0), int(nonzero_box.x1) + 1),
            )
            target[rows, columns] = values[rows, columns]
        self._modified()

    def _cleared(self, index: int) -> np.ndarray:
        """A slice, which is about to be replaced, without what was written before."""
        target = self.values[index - self.first]
        if index in self._written:
            target[:] = 0
        self._written.add(index)
        self.changed.add(index)
        return target

    def _modified(self) -> None:
        self.image.GetPointData().GetScalars().Modified()
        self.image.Modified()

    def changed_in(self, view: ViewGeometry) -> bool:
        """Whether the plane of the view cuts one of the `changed` slices."""
        width, height = view.size
        corners = np.array([[x, y, 0.0] for x in (0, width) for y in (0, height)])
        depths = transform_points(np.linalg.inv(self.to_world) @ view.xy_to_world, corners)[:, 2] + self.first
        return any(depths.min() - 0.5 <= index <= depths.max() + 0.5 for index in self.changed)

    def put_result(self, result: SliceResult) -> None:
        """Replace a slice by the mask of its result."""
        box = Box.from_mask(result.mask)
        self.put(result.index, result.mask, box if box is not None else Box(0, 0, 0, 0))

    def put_results(self, results: StackResult, indices: Iterable[int]) -> None:
        """Replace slices by the masks of their results, as they are stored."""
        for index in indices:
            row, column, mask = results.crop(index)
            height, width = mask.shape
            self._cleared(index)[row : row + height, column : column + width] = mask
        self._modified()


class ViewOverlay:
    """Shows the cut of a `StackImage` with the plane of a slice view.

    Args:
        table: colours of the values; an image in colour has its own.
        smooth: whether values are interpolated linearly.

    Attributes:
        actor: 2D actor in view pixels.
        outline: 2D actor of the edge between 0 and 1, opaque, as Slicer draws segments: a fill alone hides where it ends
            on bright tissue. Only shown once it has been given a colour with `set_outline_color`.
    """

    def __init__(self, table: vtk.vtkLookupTable, smooth: bool = False) -> None:
        self._reslice = vtk.vtkImageReslice()
        self._reslice.SetOutputOrigin(0, 0, 0)
        self._reslice.SetOutputSpacing(1, 1, 1)
        self._reslice.SetBackgroundLevel(0)
        if smooth:
            self._reslice.SetInterpolationModeToLinear()
        else:
            self._reslice.SetInterpolationModeToNearestNeighbor()
        # The view stays visible outside the image, also if the table assigns a colour to 0.
        self._reslice.GenerateStencilOutputOn()
        self._colors = vtk.vtkImageMapToColors()
        self._colors.SetOutputFormatToRGBA()
        self._table = table
        self._colors.SetInputConnection(self._reslice.GetOutputPort())
        self._stencil = vtk.vtkImageStencil()
        self._stencil.SetInputConnection(self._colors.GetOutputPort())
        self._stencil.SetStencilConnection(self._reslice.GetStencilOutputPort())
        self._stencil.SetBackgroundColor(0, 0, 0, 0)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self._stencil.GetOutputPort())
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.VisibilityOff()
        edge = vtk.vtkFlyingEdges2D()
        edge.SetInputConnection(self._reslice.GetOutputPort())
        edge.SetValue(0, 0.5)
        edge.ComputeScalarsOff()
        lines = vtk.vtkPolyDataMapper2D()
        lines.SetInputConnection(edge.GetOutputPort())
        self.outline = vtk.vtkActor2D()
        self.outline.SetMapper(lines)
        self.outline.GetProperty().SetLineWidth(LINE_PIXELS)
        self.outline.VisibilityOff()
        self._has_outline = False

    def set_outline_color(self, color: Color) -> None:
        """Show the outline, in this colour (RGB, 0 to 1)."""
        self._has_outline = True
        self.outline.GetProperty().SetColor(*color)

    def show(self, image: StackImage | None, view: ViewGeometry) -> None:
        """Show the part of the image in the plane of the view; None hides the actors."""
        self.actor.SetVisibility(image is not None)
        self.outline.SetVisibility(image is not None and self._has_outline)
        if image is None:
            return
        transform = vtk.vtkTransform()
        transform.SetMatrix(to_matrix(np.linalg.inv(image.to_world) @ view.xy_to_world))
        self._colors.SetLookupTable(None if image.is_colour else self._table)
        self._reslice.SetInputData(image.image)
        self._reslice.SetResliceTransform(transform)
        self._reslice.SetOutputExtent(0, view.size[0] - 1, 0, view.size[1] - 1, 0, 0)

    def pixels(self) -> vtk.vtkImageData:
        """RGBA image of the overlay, one value per view pixel."""
        self._stencil.Update()
        return self._stencil.GetOutput()


# Corners of a handle in view pixels, relative to its centre.
_HANDLE = 4.0 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


class ViewRectangle:
    """Shows the outline of a box in views that show its slice.

    Args:
        color: RGB, 0 to 1.

    Attributes:
        actor: 2D actor in view pixels.
    """

    def __init__(self, color: Color) -> None:
        self._outline = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._outline)
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.GetProperty().SetColor(*color)
        self.actor.GetProperty().SetLineWidth(LINE_PIXELS)
        self.actor.VisibilityOff()

    def show(self, stack: Stack, index: int, box: Box, view: ViewGeometry, handles: bool = False) -> bool:
        """Show the box at the outer edges of its pixels. Returns whether the view shows the slice.

        Args:
            stack: stack of the slice.
            index: slice index.
            box: box in slice pixels.
            view: geometry of the view.
            handles: whether to show a square at each corner.
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
        """Hide the actor."""
        self.actor.VisibilityOff()


def outline_in_view(stack: Stack, index: int, box: Box, view: ViewGeometry) -> np.ndarray | None:
    """Outer corners of a box as (4, 2) view pixels; None if the view does not show the slice there."""
    x0, y0, x1, y1 = box.x0 - 0.5, box.y0 - 0.5, box.x1 + 0.5, box.y1 + 0.5
    return positions_in_view(stack, index, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float), view)


def positions_in_view(stack: Stack, index: int, positions: np.ndarray, view: ViewGeometry) -> np.ndarray | None:
    """Convert (n, 2) columns and rows of a slice to (n, 2) view pixels; None if the view does not show the slice there."""
    in_view = np.linalg.inv(view.xy_to_world) @ stack.slice_to_world(index)
    xyz = transform_points(in_view, np.column_stack([positions, np.zeros(len(positions))]))
    half = abs(float(in_view[2, 2])) / 2
    if half == 0 or np.abs(xyz[:, 2]).max() > half * (1 + 1e-6):
        return None
    return np.asarray(xyz[:, :2])


def mask_colors(color: Color, opacity: float = OPACITY) -> vtk.vtkLookupTable:
    """Colour table that shows 0 as transparent and 1 in `color` (RGB, 0 to 1)."""
    table = vtk.vtkLookupTable()
    table.SetNumberOfTableValues(2)
    table.SetTableRange(0, 1)
    table.SetTableValue(0, 0, 0, 0, 0)
    table.SetTableValue(1, *color, opacity)
    return table


def grey_colors() -> vtk.vtkLookupTable:
    """Colour table that shows 0 to 255 as opaque grey levels."""
    table = vtk.vtkLookupTable()
    table.SetNumberOfTableValues(256)
    table.SetTableRange(0, 255)
    for n in range(256):
        table.SetTableValue(n, n / 255, n / 255, n / 255, 1)
    return table
