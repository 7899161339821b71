"""Images from files and DICOM folders, checked before anything is done with them."""

from __future__ import annotations

import os
from pathlib import Path

from .dicom_series import load_series
from .image_files import SUPPORTED, load_file
from .image_types import Image
from .voxel_checks import check_finite, check_not_constant

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
    image = load_series(path) if os.path.isdir(path) else load_file(path, finite=True)
    if image.voxels.dtype.kind == "f":
        check_finite(path, image.voxels, image.voxels.shape)
    check_not_constant(path, image.voxels)
    return image
