"""Which slices a contour is made on: the volume's own, where a view shows those, or slices in the view's plane."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import slicer

from ...engine.affine import box_corners, transform_points
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.stack import AXES
from .geometry import ijk_to_world, label, to_array, voxel_sizes, voxels_of
from .oblique_stack import ObliqueStack
from .slice_stack import SliceStack

Stack = SliceStack | ObliqueStack


@dataclass(frozen=True)
class ViewGeometry:
    """Where a slice view stands at one moment.

    Attributes:
        xy_to_world: (4, 4) from view pixels (x to the right, y upwards, from 0) to world RAS mm.
        slice_to_world: (4, 4), rotation and position of the view: its x, its y, its normal, in world RAS mm.
        size: width and height of the view in pixels.
    """

    xy_to_world: np.ndarray
    slice_to_world: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, slice_node: slicer.vtkMRMLSliceNode) -> ViewGeometry:
        width, height, _depth = slice_node.GetDimensions()
        return cls(to_array(slice_node.GetXYToRAS()), to_array(slice_node.GetSliceToRAS()), (width, height))

    def to_world(self, xy: tuple[float, float]) -> np.ndarray:
        """(3,) world position of a view pixel."""
        return np.asarray(transform_points(self.xy_to_world, np.array([[xy[0], xy[1], 0.0]]))[0])


@dataclass(frozen=True)
class Plane:
    """Slices along an index axis of the volume or, where `axis` is None, parallel to a view that stood at `view`.

    Attributes:
        axis: "I", "J", "K" or None.
        view: 16 numbers, row by row, of a view's `slice_to_world`; empty with an axis.
    """

    axis: str | None
    view: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.axis is None and len(self.view) != 16:
            raise InputError(_("the plane of a view needs its matrix of 16 numbers: draw the rectangle again"))
        if self.axis is not None and self.axis not in AXES:
            raise InputError(_("axis {axis!r} is unknown: choose I, J or K").format(axis=self.axis))

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) `slice_to_world` of the view."""
        return np.array(self.view, dtype=float).reshape(4, 4)

    def text(self) -> str:
        """For the scene; `from_text` reads it."""
        return self.axis if self.axis is not None else json.dumps(list(self.view))

    @classmethod
    def from_text(cls, text: str) -> Plane:
        """Raises InputError if the text is no plane."""
        if text in AXES:
            return cls(text)
        try:
            numbers = tuple(float(number) for number in json.loads(text))
        except (ValueError, TypeError):
            raise InputError(_("{text!r} is no plane: draw the rectangle again").format(text=text[:40])) from None
        return cls(None, numbers)

    def stack(self, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Stack:
        """The volume as it is now, in slices of this plane. Raises InputError as `SliceStack` does."""
        if self.axis is not None:
            return SliceStack(volume_node, self.axis)
        return ObliqueStack(volume_node, self.matrix)

    def is_shown_by(self, view: ViewGeometry, volume_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
        """Whether the view shows slices of this plane, wherever it stands along them."""
        if self.axis is not None:
            return axis_shown(view, volume_node) == self.axis
        return _drift(self.matrix[:3, 2], view.slice_to_world[:3, 2], volume_node) < 0.5


def plane_of(view: ViewGeometry, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Plane:
    """The volume's own slices if the view is aligned with them, slices in the view's plane otherwise.

    Raises:
        InputError: the volume cannot be used.
    """
    axis = axis_shown(view, volume_node)
    return Plane(axis) if axis is not None else Plane(None, tuple(float(n) for n in view.slice_to_world.ravel()))


def axis_shown(view: ViewGeometry, volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """The index axis whose slices the view shows: it leaves a slice by less than half of one across the volume."""
    voxels_of(volume_node)
    directions = ijk_to_world(volume_node)[:3, :3]
    for n, axis in enumerate(AXES):
        one, other = (directions[:, m] for m in range(3) if m != n)
        # Of a sheared volume the slices are not at right angles to the axis that counts them.
        if _drift(np.cross(one, other), view.slice_to_world[:3, 2], volume_node) < 0.5:
            return axis
    return None


def anatomical_name(stack: Stack) -> str:
    """ "axial", "sagittal" or "coronal": the nearest."""
    along = np.abs(np.cross(*stack.slice_to_world(0)[:3, :2].T))
    return ("sagittal", "coronal", "axial")[int(along.argmax())]


def position_of(stack: Stack, index: int) -> tuple[str, float]:
    """Letter of the nearest anatomical direction, and how far in millimetres the middle of a slice lies along it.

    For example ("S", -260.0), as Slicer's slice views write it.
    """
    matrix = stack.slice_to_world(index)
    normal = np.cross(*matrix[:3, :2].T)
    normal = normal / np.linalg.norm(normal)
    letter = int(np.abs(normal).argmax())
    middle = transform_points(matrix, np.array([[(stack.shape[2] - 1) / 2, (stack.shape[1] - 1) / 2, 0.0]]))[0]
    return "RAS"[letter], float(middle @ normal * np.sign(normal[letter]))


def _drift(normal: np.ndarray, other: np.ndarray, volume_node: slicer.vtkMRMLScalarVolumeNode) -> float:
    """How many slices two planes through the volume's middle are apart at most, within the volume."""
    matrix = ijk_to_world(volume_node)
    normal, other = normal / np.linalg.norm(normal), other / np.linalg.norm(other)
    if normal @ other < 0:
        other = -other
    size = np.array(voxels_of(volume_node).shape[::-1])
    corners = transform_points(matrix, box_corners(np.zeros(3), size - 1.0))
    from_middle = corners - corners.mean(axis=0)
    along = np.abs(normal @ matrix[:3, :3])
    step = float(along.max())
    if step <= 0:
        raise InputError(
            _("{volume_node} has no extent: check its spacing {sizes}").format(
                volume_node=label(volume_node), sizes=voxel_sizes(matrix)
            )
        )
    return float(np.abs(from_middle @ (other - normal)).max()) / step
