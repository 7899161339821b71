"""Voxel values that cannot be segmented."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..engine.errors import InputError


def check_finite(path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Refuse voxels that are NaN or infinite.

    Args:
        path: file or folder to name.
        blocks: all voxels in order, piece by piece, so that no full-size temporary is needed.
        shape: (k, j, i) sizes of the whole.

    Raises:
        InputError: there is such a voxel.
    """
    count, seen, where = 0, 0, ""
    for block in blocks:
        finite = np.isfinite(block)
        bad = block.size - int(np.count_nonzero(finite))
        if bad and not count:
            k, j, i = np.unravel_index(seen + int(finite.argmin()), shape)
            where = f"i {i}, j {j}, k {k}"
        count += bad
        seen += block.size
    if count == 1:
        raise InputError(f"{path} has 1 voxel that is NaN or infinite (at {where}): replace it by a background value")
    if count:
        raise InputError(
            f"{path} has {count} voxels that are NaN or infinite (the first at {where}): "
            "replace them by a background value"
        )


def check_not_constant(path: Path, voxels: np.ndarray) -> None:
    """Refuse (k, j, i) voxels that all have one value.

    Raises:
        InputError: they have.
    """
    value = voxels[0, 0, 0]
    if all((voxel_slice == value).all() for voxel_slice in voxels):
        raise InputError(
            f"{path} is constant (every voxel is {value}): there is nothing to segment, give another image"
        )
