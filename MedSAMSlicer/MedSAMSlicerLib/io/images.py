"""Images from files and DICOM folders, checked before anything is done with them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from .dicom_series import load_series
from .image_files import SUPPORTED, load_file
from .image_types import Image

__all__ = ["SUPPORTED", "Image", "read_image"]


def read_image(path: Path | str) -> Image:
    """Read a 3D scalar image that can be segmented.

    Args:
        path: what `SUPPORTED` lists: a NRRD, NIfTI or MetaImage file, or a folder with one DICOM series.

    Returns:
        The image in the type that the file stores; voxels are not copied to another type.

    Raises:
        InputError: what `load_file` and `load_series` refuse; NaN or infinite voxels; all voxels of one value.
    """
    path = Path(path)
    # os.path, because it answers no where pathlib raises; opening the file then tells why.
    image = load_series(path) if os.path.isdir(path) else load_file(path)
    _check_values(path, image.voxels)
    return image


def _check_values(path: Path, voxels: np.ndarray) -> None:
    """Refuse voxels that are not finite, and images of one value. One slice at a time: no full-size temporary."""
    bad, first_bad = 0, ""
    lowest = highest = voxels[0, 0, 0]
    for k, voxel_slice in enumerate(voxels):
        if voxels.dtype.kind == "f":
            finite = np.isfinite(voxel_slice)
            if not finite.all():
                if not bad:
                    j, i = np.argwhere(~finite)[0]
                    first_bad = f"i {i}, j {j}, k {k}"
                bad += finite.size - int(np.count_nonzero(finite))
                continue
        lowest, highest = min(lowest, voxel_slice.min()), max(highest, voxel_slice.max())
    if bad:
        raise InputError(
            f"{path} has {bad} voxel{'s' if bad > 1 else ''} that are NaN or infinite (the first at {first_bad}): "
            "replace them by a background value"
        )
    if lowest == highest:
        raise InputError(
            f"{path} is constant (every voxel is {lowest}): there is nothing to segment, give another image"
        )
