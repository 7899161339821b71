"""Metrics of a segmentation against the truth. Surface metrics come from DeepMind's `surface-distance`."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import surface_distance

from ..engine.masks import dice

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class Agreement:
    """Agreement of a segmentation with the truth.

    Attributes:
        dsc: Dice similarity coefficient of the slices that were not given, 0..1.
        nsd_2mm: normalised surface Dice at a tolerance of 2 mm, 0..1.
        hd95_mm: 95th percentile of the surface distances in both directions, in millimetres; infinite if the
            segmentation is empty.
        volume_error_pct: volume of the segmentation minus that of the truth, in percent of the truth, on the slices that
            were not given.
    """

    dsc: float
    nsd_2mm: float
    hd95_mm: float
    volume_error_pct: float


def agreement(
    result: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float], given: Collection[int] = ()
) -> Agreement:
    """Compare a segmentation with the truth.

    Args:
        result, truth: bool arrays (slices, rows, columns) of the same shape; the truth must not be empty on the slices that
            are not given.
        spacing_mm: voxel size along their dimensions, in millimetres.
        given: slices whose mask was given, which do not count for the coefficient and the volume. Surfaces are those of
            the whole object: on its own, a slice next to them has other surfaces.
    """
    counted = np.delete(result, list(given), axis=0), np.delete(truth, list(given), axis=0)
    voxels, true_voxels = (int(np.count_nonzero(one)) for one in counted)
    volume_error = 100 * (voxels - true_voxels) / true_voxels
    if not result.any():
        return Agreement(0.0, 0.0, math.inf, volume_error)
    distances = surface_distance.compute_surface_distances(truth, result, spacing_mm)
    nsd = surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM)
    hd95 = surface_distance.compute_robust_hausdorff(distances, 95)
    return Agreement(dice(*counted), float(nsd), float(hd95), volume_error)
