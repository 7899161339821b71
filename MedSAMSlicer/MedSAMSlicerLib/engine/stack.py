"""A volume as a stack of 2D slices along one of its index axes.

Voxel arrays are in numpy order (k, j, i). Along axis K a slice has rows j and columns i; along J rows k and
columns i; along I rows k and columns j. So columns are always the first of the two remaining axes, and rows
the second. Slices are views where the array allows it: no copy of the volume is ever made.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np

from .errors import InputError
from .i18n import tr as _

Axis = Literal["I", "J", "K"]
AXES: tuple[str, ...] = get_args(Axis)
_ARRAY_AXIS = {"K": 0, "J": 1, "I": 2}


class ValueSource(Protocol):
    """Slices in scanner values (Hounsfield units, MR signal, ...)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        ...

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between slices, between rows, between columns."""
        ...

    def slice_values(self, index: int) -> np.ndarray:
        """(rows, columns) voxel values of one slice; not to be written to."""
        ...


class SliceSource(Protocol):
    """Slices as models see them."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        ...

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between slices, between rows, between columns."""
        ...

    def slice_uint8(self, index: int) -> np.ndarray:
        """(rows, columns) uint8 of one slice, windowed to 0..255."""
        ...


def array_axis(axis: str) -> int:
    """Dimension of a (k, j, i) array that index axis I, J or K runs along.

    Raises:
        InputError: `axis` is not I, J or K.
    """
    if axis not in _ARRAY_AXIS:
        raise InputError(_("axis {axis!r} is unknown: choose I, J or K").format(axis=axis))
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
        voxels: (k, j, i) array; read only through views.
        spacing_ijk: voxel size along I, J, K in millimetres.
        axis: the index axis that the slices are counted along.
    """

    def __init__(self, voxels: np.ndarray, spacing_ijk: tuple[float, float, float], axis: str) -> None:
        if voxels.ndim != 3:
            raise InputError(_("the volume has {count} dimensions: a volume has three").format(count=voxels.ndim))
        self.axis = axis
        self._slices_first = np.moveaxis(voxels, array_axis(axis), 0)
        kji = spacing_ijk[::-1]
        along = kji[array_axis(axis)]
        rows, columns = (mm for n, mm in enumerate(kji) if n != array_axis(axis))
        self._spacing = (float(along), float(rows), float(columns))

    @property
    def shape(self) -> tuple[int, int, int]:
        slices, rows, columns = self._slices_first.shape
        return (slices, rows, columns)

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._spacing

    def slice_values(self, index: int) -> np.ndarray:
        return self._slices_first[index]


def from_slices_first(stack: np.ndarray, axis: str) -> np.ndarray:
    """A (slices, rows, columns) array along `axis` as a view in (k, j, i) order."""
    return np.moveaxis(stack, 0, array_axis(axis))


def default_axis(spacing_ijk: tuple[float, float, float], ijk_to_world: np.ndarray) -> str:
    """The axis to propagate along: coarsest spacing; among equals, nearest to superior-inferior.

    Args:
        spacing_ijk: voxel size along I, J, K in millimetres.
        ijk_to_world: 3x3 or 4x4 matrix to RAS or LPS; only its directions are read.

    Returns:
        "I", "J" or "K". Spacings within 1 % of each other count as equal.
    """
    directions = np.asarray(ijk_to_world, dtype=float)[:3, :3]
    upright = np.abs(directions[2]) / np.linalg.norm(directions, axis=0)
    coarsest = max(spacing_ijk)
    candidates = [n for n, mm in enumerate(spacing_ijk) if mm >= 0.99 * coarsest]
    return AXES[max(candidates, key=lambda n: upright[n])]
