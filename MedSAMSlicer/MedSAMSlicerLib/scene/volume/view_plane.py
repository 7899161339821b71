"""Planes of slices: the index axes of a volume, or the plane of an oblique slice view."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.stack import AXES
from ...engine.volume.affine import box_corners, transform_points
from .geometry import grid_shape, ijk_to_world, label, to_array, voxel_sizes, voxels_of
from .oblique_stack import ObliqueStack
from .slice_stack import SliceStack

Stack = SliceStack | ObliqueStack


@dataclass(frozen=True)
class ViewGeometry:
    """Snapshot of the position and size of a slice view.

    Attributes:
        xy_to_world: (4, 4) matrix from view pixels (x to the right, y upwards, from 0) to world RAS in mm.
        slice_to_world: (4, 4) matrix whose columns are the x axis, y axis, normal and position of the view, in world RAS
            and mm.
        size: (width, height) of the view in pixels.
        slab: thickness in mm of the slab whose projection the view shows; 0 if it shows single slices.
    """

    xy_to_world: np.ndarray
    slice_to_world: np.ndarray
    size: tuple[int, int]
    slab: float = 0.0

    @classmethod
    def of(cls, slice_node: slicer.vtkMRMLSliceNode) -> ViewGeometry:
        """Geometry of the view of a slice node."""
        width, height, _depth = slice_node.GetDimensions()
        slab = slice_node.GetSlabReconstructionThickness() if slice_node.GetSlabReconstructionEnabled() else 0.0
        return cls(to_array(slice_node.GetXYToRAS()), to_array(slice_node.GetSliceToRAS()), (width, height), slab)

    def to_world(self, xy: tuple[float, float]) -> np.ndarray:
        """(3,) world RAS position, in mm, of a view pixel."""
        return np.asarray(transform_points(self.xy_to_world, np.array([[xy[0], xy[1], 0.0]]))[0])

    def to_view(self, world: np.ndarray) -> np.ndarray:
        """View pixel x and y, and depth in slices of the view, of a (3,) world RAS position in mm."""
        return np.asarray(transform_points(np.linalg.inv(self.xy_to_world), world[None])[0])

    def is_parallel_to(self, other: ViewGeometry) -> bool:
        """Whether the axes of both views have the same directions."""
        return np.allclose(self.slice_to_world[:3, :3], other.slice_to_world[:3, :3], atol=1e-6)


@dataclass(frozen=True)
class Plane:
    """Orientation of a stack of slices: an index axis of the volume, or the plane of a view.

    Attributes:
        axis: index axis across the slices, "I", "J" or "K"; None: slices are parallel to `view`.
        view: `ViewGeometry.slice_to_world` of the view, 16 numbers row by row; empty if `axis` is set.

    Raises:
        InputError: the axis is unknown, or the matrix does not have 16 numbers.
    """

    axis: str | None
    view: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.axis is None and len(self.view) != 16:
            raise InputError(_("the matrix of the view plane does not have 16 numbers: draw the rectangle again"))
        if self.axis is not None and self.axis not in AXES:
            raise InputError(_("axis {axis!r} is unknown: choose I, J or K").format(axis=self.axis))

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) matrix `slice_to_world` of the view."""
        return np.array(self.view, dtype=float).reshape(4, 4)

    def text(self) -> str:
        """Serialise the plane for storage in the scene; see `from_text`."""
        return self.axis if self.axis is not None else json.dumps(list(self.view))

    @classmethod
    def from_text(cls, text: str) -> Plane:
        """Read a plane from the result of `text`.

        Raises:
            InputError: the text is not a plane.
        """
        if text in AXES:
            return cls(text)
        try:
            numbers = tuple(float(number) for number in json.loads(text))
        except (ValueError, TypeError):
            raise InputError(_("{text!r} is not a plane: draw the rectangle again").format(text=text[:40])) from None
        return cls(None, numbers)

    def stack(self, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Stack:
        """Stack of slices of the volume in this plane, with the current geometry of the volume.

        Raises:
            InputError: the volume cannot be used (see `SliceStack`).
        """
        if self.axis is not None:
            return SliceStack(volume_node, self.axis)
        return ObliqueStack(volume_node, self.matrix)

    def is_shown_by(self, view: ViewGeometry, volume_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
        """Whether the view is parallel to this plane, at any position across the slices."""
        if self.axis is not None:
            return axis_in_view(view, volume_node) == self.axis
        return _max_deviation(self.matrix[:3, 2], view.slice_to_world[:3, 2], volume_node) < 0.5


def plane_of(view: ViewGeometry, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Plane:
    """Index axis of the volume if the view shows slices along it, else the plane of the view.

    Raises:
        InputError: the volume cannot be used (see `SliceStack`).
    """
    axis = axis_in_view(view, volume_node)
    return Plane(axis) if axis is not None else Plane(None, tuple(float(n) for n in view.slice_to_world.ravel()))


def axis_in_view(view: ViewGeometry, volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """Index axis whose slices the view shows; None if it is oblique.

    The view may deviate from a slice by less than half the slice distance anywhere in the volume.
    """
    voxels_of(volume_node)
    directions = ijk_to_world(volume_node)[:3, :3]
    for n, axis in enumerate(AXES):
        one, other = (directions[:, m] for m in range(3) if m != n)
        # In a sheared volume the slices are not orthogonal to the axis across them.
        if _max_deviation(np.cross(one, other), view.slice_to_world[:3, 2], volume_node) < 0.5:
            return axis
    return None


def anatomical_plane(stack: Stack) -> str:
    """Closest anatomical plane: "axial", "sagittal" or "coronal"."""
    along = np.abs(np.cross(*stack.slice_to_world(0)[:3, :2].T))
    return ("sagittal", "coronal", "axial")[int(along.argmax())]


def position_of(stack: Stack, index: int) -> tuple[str, float]:
    """Closest anatomical direction ("R", "A" or "S") and position in mm of the centre of a slice along its normal.

    For example ("S", -260.0), as Slicer displays it in slice views.
    """
    matrix = stack.slice_to_world(index)
    normal = np.cross(*matrix[:3, :2].T)
    normal = normal / np.linalg.norm(normal)
    letter = int(np.abs(normal).argmax())
    centre = transform_points(matrix, np.array([[(stack.shape[2] - 1) / 2, (stack.shape[1] - 1) / 2, 0.0]]))[0]
    return "RAS"[letter], float(centre @ normal * np.sign(normal[letter]))


def slice_name(stack: Stack, index: int) -> str:
    """Number of a slice and its position as slice views show it, such as "20 (S -260.0 mm)"."""
    letter, millimetres = position_of(stack, index)
    return _("{index} ({letter} {position} mm)").format(index=index, letter=letter, position=f"{millimetres:.1f}")


def _max_deviation(normal: np.ndarray, other: np.ndarray, volume_node: slicer.vtkMRMLScalarVolumeNode) -> float:
    """Maximum distance, in slices, between two planes through the centre of the volume, within the volume."""
    matrix = ijk_to_world(volume_node)
    normal, other = normal / np.linalg.norm(normal), other / np.linalg.norm(other)
    if normal @ other < 0:
        other = -other
    size = np.array(grid_shape(volume_node)[::-1])
    corners = transform_points(matrix, box_corners(np.zeros(3), size - 1.0))
    from_centre = corners - corners.mean(axis=0)
    along = np.abs(normal @ matrix[:3, :3])
    step = float(along.max())
    if step <= 0:
        raise InputError(
            _("{volume_node} has no extent: check its spacing {sizes}").format(
                volume_node=label(volume_node), sizes=voxel_sizes(matrix)
            )
        )
    return float(np.abs(from_centre @ (other - normal)).max()) / step
