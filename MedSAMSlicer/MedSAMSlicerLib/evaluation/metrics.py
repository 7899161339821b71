"""Metrics of a segmentation against the truth. Surface metrics come from DeepMind's `surface-distance`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import surface_distance

from ..engine.masks import dice

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class Agreement:
    """Agreement of a segmentation with the truth.

    Attributes:
        dsc: Dice similarity coefficient, 0..1.
        nsd_2mm: normalised surface Dice at a tolerance of 2 mm, 0..1.
        hd95_mm: 95th percentile of the surface distances in both directions, in millimetres; infinite if the
            segmentation is empty.
        volume_error_pct: volume of the segmentation minus that of the truth, in percent of the truth.
    """

    dsc: float
    nsd_2mm: float
    hd95_mm: float
    volume_error_pct: float


def agreement(result: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> Agreement:
    """Compare a segmentation with the truth.

    Args:
        result, truth: bool arrays of the same shape; the truth must not be empty.
        spacing_mm: voxel size along their dimensions, in millimetres.
    """
    voxels, true_voxels = int(result.sum()), int(truth.sum())
    volume_error = 100 * (voxels - true_voxels) / true_voxels
    if voxels == 0:
        return Agreement(0.0, 0.0, math.inf, volume_error)
    distances = surface_distance.compute_surface_distances(truth, result, spacing_mm)
    nsd = surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM)
    hd95 = surface_distance.compute_robust_hausdorff(distances, 95)
    return Agreement(dice(result, truth), float(nsd), float(hd95), volume_error)
