"""Reference segmentations from labelmap files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from .image_files import load_file
from .image_types import Image, grid_difference

# The largest atlases have some hundreds of labels.
_MOST_LABELS = 1000


def read_label(path: Path | str, value: str | None, like: Image | None = None) -> np.ndarray:
    """Read the object out of a labelmap.

    Args:
        path: labelmap file (NRRD, NIfTI, MetaImage).
        value: label value of the object, or several that together are the object: "1", "1+3+4". None: all but 0.
        like: image whose voxel grid the labelmap must have; None: any grid.

    Returns:
        bool (k, j, i); True in the object, at least one voxel.

    Raises:
        InputError: the file cannot be read, `value` is malformed, no voxel has it, the grid is not that of `like`, or
            without `value`, it is plainly an image.
    """
    path = Path(path)
    if value is not None and not re.fullmatch(r"\s*\d+\s*(\+\s*\d+\s*)*", value, re.ASCII):
        raise InputError(f"label value {value!r} for {path} is not understood: give a number, or several as 1+3+4")
    wanted = [] if value is None else [int(part) for part in value.split("+")]
    label = load_file(path)
    if like is not None and (difference := grid_difference(label, like)) is not None:
        raise InputError(f"{path} does not fit {like.path}: {difference}; resample the labelmap to the image's grid")
    mask = np.zeros(label.voxels.shape, bool)
    for object_slice, label_slice in zip(mask, label.voxels, strict=True):
        if value is None:
            np.not_equal(label_slice, 0, out=object_slice)
        else:
            np.logical_or.reduce([label_slice == number for number in wanted], out=object_slice)
    if value is None and _looks_like_an_image(label):
        raise InputError(
            f"{path} is an image or holds fractions: give a labelmap, whole numbers that are 0 outside of the object"
        )
    if value is None and not mask.any():
        raise InputError(f"{path} is empty: give a labelmap that holds the object")
    if not mask.any():
        found = sorted({value for label_slice in label.voxels for value in np.unique(label_slice).tolist()})
        shown = ", ".join(f"{number:g}" for number in found[:8]) + (", ..." if len(found) > 8 else "")
        raise InputError(f"{path} has no voxel with label value {value} (it has {shown}): give a value that it has")
    return mask


def _looks_like_an_image(label: Image) -> bool:
    """Grey levels: numbers below 0, fractions, or more different ones than anybody gives labels."""
    different: set[float] = set()
    for label_slice in label.voxels:
        if label_slice.min() < 0 or (label_slice % 1).any():
            return True
        different.update(np.unique(label_slice).tolist())
        if len(different) > _MOST_LABELS:
            return True
    return False
