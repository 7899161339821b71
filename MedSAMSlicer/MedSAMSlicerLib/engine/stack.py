"""Volumes as stacks of 2D slices along one of their index axes.

Voxel arrays are in numpy order (k, j, i). A slice along K has rows j and columns i; along J, rows k and columns i; along
I, rows k and columns j: columns run along the first of the two remaining axes, rows along the second. Slices are
views, so the volume is never copied.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np

from .errors import InputError, shown
from .i18n import tr as _

Axis = Literal["I", "J", "K"]
AXES: tuple[str, ...] = get_args(Axis)
_ARRAY_AXIS = {"K": 0, "J": 1, "I": 2}


class ValueSource(Protocol):
    """Stack of slices in scanner values, such as Hounsfield units."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        ...

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distances between slices, rows and columns in millimetres."""
        ...

    def slice_values(self, index: int) -> np.ndarray:
        """(rows, columns) voxel values of one slice, or (rows, columns, 3) uint8 colour. It must not be modified."""
        ...


class SliceSource(Protocol):
    """Stack of slices as models see them."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        ...

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distances between slices, rows and columns in millimetres."""
        ...

    def slice_uint8(self, index: int) -> np.ndarray:
        """uint8 (rows, columns) grey levels of one slice, after windowing, or (rows, columns, 3) colour."""
        ...


def array_axis(axis: str) -> int:
    """Dimension of a (k, j, i) array along index axis I, J or K.

    Raises:
        InputError: `axis` is not I, J or K.
    """
    if not isinstance(axis, str) or axis not in _ARRAY_AXIS:
        raise InputError(_("axis {axis} is unknown: choose I, J or K").format(axis=shown(axis)))
    return _ARRAY_AXIS[axis]


def slice_to_ijk(axis: str, index: int = 0) -> np.ndarray:
    """(4, 4) matrix from (column, row, n) to (i, j, k), where n counts slices along `axis` from slice `index`.

    Raises:
        InputError: `axis` is not I, J or K.
    """
    across = 2 - array_axis(axis)
    columns, rows = (n for n in range(3) if n != across)
    matrix = np.zeros((4, 4))
    matrix[columns, 0] = matrix[rows, 1] = matrix[across, 2] = matrix[3, 3] = 1
    matrix[across, 3] = index
    return matrix


class ArrayStack:
    """A (k, j, i) voxel array as a `ValueSource` along one index axis.

    Args:
        voxels: (k, j, i) array, or (k, j, i, 3) for colour, which is not copied.
        spacing_ijk: voxel size along I, J, K in millimetres.
        axis: index axis along which the slices are counted.

    Raises:
        InputError: the array is not three-dimensional, or `axis` is not I, J or K.
    """

    def __init__(self, voxels: np.ndarray, spacing_ijk: tuple[float, float, float], axis: str) -> None:
        if voxels.ndim not in (3, 4):
            raise InputError(_("the volume has {count} dimensions: a volume has three").format(count=voxels.ndim))
        self.axis = axis
        self._slices_first = np.moveaxis(voxels, array_axis(axis), 0)
        kji = spacing_ijk[::-1]
        along = kji[array_axis(axis)]
        rows, columns = (mm for n, mm in enumerate(kji) if n != array_axis(axis))
        self._spacing = (float(along), float(rows), float(columns))

    @property
    def shape(self) -> tuple[int, int, int]:
        slices, rows, columns = self._slices_first.shape[:3]
        return (slices, rows, columns)

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._spacing

    def slice_values(self, index: int) -> np.ndarray:
        return self._slices_first[index]


def from_slices_first(stack: np.ndarray, axis: str) -> np.ndarray:
    """View of a (slices, rows, columns) array along `axis` in (k, j, i) order."""
    return np.moveaxis(stack, 0, array_axis(axis))


def default_axis(
    spacing_ijk: tuple[float, float, float], ijk_to_world: np.ndarray, dimensions: tuple[int, int, int] | None = None
) -> str:
    """Axis to propagate along: the one with the coarsest spacing, and among equals the one nearest to superior-inferior.

    An image of one slice has that slice, whatever its thickness.

    Args:
        spacing_ijk: voxel size along I, J, K in millimetres. Values within 1 % of the coarsest count as equal.
        ijk_to_world: (3, 3) or (4, 4) matrix to RAS or LPS, of which only the directions are used.
        dimensions: number of voxels along I, J, K; None: all axes may be meant.

    Returns:
        "I", "J" or "K".
    """
    if dimensions is not None and dimensions.count(1) == 1:
        return AXES[dimensions.index(1)]
    directions = np.asarray(ijk_to_world, dtype=float)[:3, :3]
    upright = np.abs(directions[2]) / np.linalg.norm(directions, axis=0)
    coarsest = max(spacing_ijk)
    candidates = [n for n, mm in enumerate(spacing_ijk) if mm >= 0.99 * coarsest]
    return AXES[max(candidates, key=lambda n: upright[n])]
