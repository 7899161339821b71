"""How well a result agrees with the truth. Surface metrics are those of DeepMind's `surface-distance`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import surface_distance

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class Agreement:
    """Agreement of a mask with the truth.

    Attributes:
        dsc: Dice similarity coefficient, 0..1.
        nsd_2mm: normalised surface Dice at 2 mm, 0..1.
        hd95_mm: 95th percentile of surface distances, both ways, in millimetres; inf if the result is empty.
        volume_error_pct: volume of the result less that of the truth, in percent of the truth.
    """

    dsc: float
    nsd_2mm: float
    hd95_mm: float
    volume_error_pct: float


def agreement(result: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> Agreement:
    """Compare two bool arrays of the same shape; `spacing_mm` is the voxel size along their dimensions.

    The truth must not be empty.
    """
    voxels, true_voxels = int(result.sum()), int(truth.sum())
    volume_error = 100 * (voxels - true_voxels) / true_voxels
    if voxels == 0:
        return Agreement(0.0, 0.0, math.inf, volume_error)
    distances = surface_distance.compute_surface_distances(truth, result, spacing_mm)
    nsd = surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM)
    hd95 = surface_distance.compute_robust_hausdorff(distances, 95)
    return Agreement(slice_dsc(result, truth), float(nsd), float(hd95), volume_error)


def slice_dsc(result: np.ndarray, truth: np.ndarray) -> float:
    """DSC of two bool arrays of any shape; 1 if both are empty."""
    total = int(result.sum()) + int(truth.sum())
    return 2 * int((result & truth).sum()) / total if total else 1.0
