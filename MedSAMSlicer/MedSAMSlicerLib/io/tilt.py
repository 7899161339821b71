"""Writes masks from a tilted gantry upright: files and viewers expect voxel grids with right angles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.ndimage

from .image import Image


def upright(mask: np.ndarray, image: Image) -> tuple[np.ndarray, Image]:
    """Resample the mask of a tilted image to a grid with right angles.

    Each slice stays where it was taken. It is shifted in its plane by a fraction of a pixel, linearly, and cut at one half.

    Args:
        mask: bool (k, j, i).
        image: the image, whose slices are shifted from one to the next.

    Returns:
        bool (k, j', i') mask on a grid that holds the whole image, and an image that describes this grid; its voxels are
        the mask.
    """
    row, column = image.direction[:, 0], image.direction[:, 1]
    normal = np.cross(row, column)
    spacing_i, spacing_j, spacing_k = image.spacing_ijk
    step = image.direction[:, 2] * spacing_k
    # Pixels (j, i) that each slice lies beside the first one.
    shifts = np.outer(np.arange(len(mask)), [step @ column / spacing_j, step @ row / spacing_i])
    lowest = np.floor(shifts.min(axis=0)).astype(int)
    margins = np.ceil(shifts.max(axis=0)).astype(int) - lowest
    result = np.zeros((len(mask), *np.add(mask.shape[1:], margins)), bool)
    for target, plane, shift in zip(result, mask, shifts, strict=True):
        if plane.any():
            padded = np.pad(plane.astype(np.float32), [(0, int(margins[0])), (0, int(margins[1]))])
            target[:] = scipy.ndimage.shift(padded, shift - lowest, order=1) >= 0.5
    x, y, z = (
        float(mm) for mm in np.array(image.origin_lps) + lowest[0] * spacing_j * column + lowest[1] * spacing_i * row
    )
    direction = np.stack([row, column, normal], axis=1)
    return result, replace(image, voxels=result, direction=direction, origin_lps=(x, y, z))
