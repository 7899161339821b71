"""A 3D scalar image as it was read from a file, and when two of them share one voxel grid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Two grids are one if no corner voxel of the volume is further from its partner than this part of the smallest
# spacing: NIfTI keeps float32, and text headers round direction cosines to a few digits.
_SAME_GRID = 0.02
_SAME_GRID_FLOOR_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Image:
    """A 3D scalar image in the type that its file stores.

    Attributes:
        voxels: (k, j, i), read-only; DICOM values have rescale slope and intercept applied (CT: Hounsfield units).
        spacing_ijk: millimetres along I, J, K.
        origin_lps: centre of voxel (0, 0, 0) in LPS millimetres.
        direction: 3x3, unit columns along I, J, K in LPS.
        modality: DICOM modality ("CT", "MR", "PT", "US", ...), or None where the file does not tell.
        path: file or DICOM folder that it came from.
    """

    voxels: np.ndarray
    spacing_ijk: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    direction: np.ndarray
    modality: str | None
    path: Path

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """4x4 matrix from voxel indices (i, j, k) to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.asarray(self.spacing_ijk)
        matrix[:3, 3] = self.origin_lps
        return matrix

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """4x4 matrix from voxel indices (i, j, k) to RAS millimetres."""
        return _LPS_TO_RAS @ self.ijk_to_lps


def grid_difference(one: Image, other: Image) -> str | None:
    """What keeps two images from sharing one voxel grid, in words that start with `one`'s side; None if they do."""
    if one.voxels.shape != other.voxels.shape:
        return f"its size is {shown_size(one.voxels)}, not {shown_size(other.voxels)} voxels"
    ends = np.array(one.voxels.shape[::-1]) - 1
    corners = np.array([(*np.multiply(corner, ends), 1.0) for corner in itertools.product((0, 1), repeat=3)])
    distance = np.linalg.norm(corners @ (one.ijk_to_lps - other.ijk_to_lps).T, axis=1).max()
    if distance <= max(_SAME_GRID_FLOOR_MM, _SAME_GRID * min(other.spacing_ijk)):
        return None
    # The part that differs most, seen from its own scale, is the one to name.
    parts = {
        "spacing": (np.array(one.spacing_ijk), np.array(other.spacing_ijk), float(ends.max())),
        "origin": (np.array(one.origin_lps), np.array(other.origin_lps), 1.0),
        "direction": (one.direction.T.ravel(), other.direction.T.ravel(), float(np.max(ends * other.spacing_ijk))),
    }
    name, (ours, theirs, _) = max(parts.items(), key=lambda item: np.abs(item[1][0] - item[1][1]).max() * item[1][2])
    return f"its {name} is {_shown(ours)}, not {_shown(theirs)} (corners lie up to {distance:.3g} mm apart)"


def shown_size(voxels: np.ndarray) -> str:
    """Size of a (k, j, i) array for a message: "I x J x K"."""
    return " x ".join(str(n) for n in voxels.shape[::-1])


def _shown(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.7g}" for value in values + 0.0) + ")"
