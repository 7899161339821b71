"""A 3D scalar image, the comparison of two voxel grids, and checks of voxel values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engine.errors import InputError, shown

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Two grids count as equal if no corner voxel is further from its counterpart than this fraction of the smallest
# spacing: NIfTI stores float32, and text headers round direction cosines to a few digits.
_SAME_GRID = 0.02
_SAME_GRID_FLOOR_MM = 1e-3
# Largest cosine of the angle between two axes that count as perpendicular.
_ORTHOGONAL = 1e-3


@dataclass(frozen=True, eq=False)
class Image:
    """A 3D scalar image with its geometry.

    Attributes:
        voxels: (k, j, i), read-only, in the data type of the file. DICOM values have rescale slope and intercept
            applied (CT: Hounsfield units).
        spacing_ijk: voxel size along I, J, K in mm.
        origin_lps: centre of voxel (0, 0, 0) in LPS mm.
        direction: (3, 3), unit columns along I, J, K in LPS.
        modality: DICOM modality ("CT", "MR", "PT", "US", ...), or None if the file does not state it.
        path: file or DICOM folder that the image was read from; the name of an image made by `from_array`.
    """

    voxels: np.ndarray
    spacing_ijk: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    direction: np.ndarray
    modality: str | None
    path: Path

    @classmethod
    def from_array(
        cls,
        voxels: np.ndarray,
        *,
        affine: np.ndarray | None = None,
        spacing: tuple[float, float, float] | None = None,
        modality: str | None = None,
        name: str = "image",
    ) -> Image:
        """Make an image of an array, without a copy.

        Args:
            voxels: (k, j, i) whole or floating-point numbers. For an array in (i, j, k) order, as nibabel returns it,
                give its transpose.
            affine: (4, 4) matrix from (i, j, k) to RAS mm, as nibabel's `affine`.
            spacing: voxel size along I, J, K in mm, if there is no affine: the axes are those of LPS then, and voxel
                (0, 0, 0) lies at the origin.
            modality: "CT", "MR", ...; chooses the window for "auto". None: CT is recognised by its values.
            name: for messages and the report.

        Raises:
            InputError: `voxels` is not such an array, has NaN or infinite values or only one value; neither or both of
                affine and spacing are given, or they are no voxel grid: `affine` needs perpendicular columns.
        """
        if not isinstance(name, str | Path):
            raise InputError(f"the name {shown(name)} is not text")
        if modality is not None and not isinstance(modality, str):
            raise InputError(f"{name} has the modality {shown(modality)}: give text such as 'CT', or None")
        if not isinstance(voxels, np.ndarray):
            raise InputError(f"{name} is a {type(voxels).__name__}: give a numpy array (k, j, i)")
        path = Path(name)
        if voxels.ndim != 3 or voxels.dtype.kind not in "iuf" or not voxels.size:
            raise InputError(f"{name} is {voxels.dtype} {voxels.shape}: give whole or floating-point numbers (k, j, i)")
        if (affine is None) == (spacing is None):
            raise InputError(f"the geometry of {name} is not known: give either its affine or its spacing")
        if spacing is not None:
            mm = _numbers(spacing)
            if mm.shape != (3,) or not (np.isfinite(mm) & (mm > 0)).all():
                raise InputError(f"{name} has the spacing {shown(spacing)}: give three values in mm above 0")
            to_lps = np.diag([*mm, 1.0])
        else:
            to_ras = _numbers(affine)
            if to_ras.shape != (4, 4) or not np.isfinite(to_ras).all() or not np.linalg.det(to_ras):
                raise InputError(f"{name} has no usable geometry: give a (4, 4) affine with an inverse")
            to_lps = _LPS_TO_RAS @ to_ras
        sizes = np.linalg.norm(to_lps[:3, :3], axis=0)
        direction = to_lps[:3, :3] / sizes
        if not has_perpendicular_axes(direction):
            raise InputError(f"{name} has sheared axes: resample it to a grid with right angles first")
        if voxels.dtype.kind == "f":
            check_finite(path, voxels, voxels.shape)
        check_not_constant(path, voxels)
        view = voxels.view()
        view.flags.writeable = False
        i, j, k = (float(mm) for mm in sizes)
        x, y, z = (float(mm) for mm in to_lps[:3, 3])
        return cls(view, (i, j, k), (x, y, z), direction, modality, path)

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """(4, 4) matrix from voxel indices (i, j, k) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.asarray(self.spacing_ijk)
        matrix[:3, 3] = self.origin_lps
        return matrix

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """(4, 4) matrix from voxel indices (i, j, k) to RAS mm."""
        return _LPS_TO_RAS @ self.ijk_to_lps


def _numbers(value: object) -> np.ndarray:
    """The value as an array of floats; an empty one if it has no numbers."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return np.zeros(0)


def has_perpendicular_axes(direction: np.ndarray) -> bool:
    """Whether the unit columns of a (3, 3) matrix are perpendicular to each other."""
    return np.allclose(direction.T @ direction, np.eye(3), rtol=0, atol=_ORTHOGONAL)


def grid_difference(one: Image, other: Image) -> str | None:
    """How the voxel grid of `one` differs from that of `other`, for a message; None if the grids are equal."""
    if one.voxels.shape != other.voxels.shape:
        return f"its size is {shown_size(one.voxels)}, not {shown_size(other.voxels)} voxels"
    ends = np.array(one.voxels.shape[::-1]) - 1
    corners = np.array([(*np.multiply(corner, ends), 1.0) for corner in itertools.product((0, 1), repeat=3)])
    distance = np.linalg.norm(corners @ (one.ijk_to_lps - other.ijk_to_lps).T, axis=1).max()
    if distance <= max(_SAME_GRID_FLOOR_MM, _SAME_GRID * min(other.spacing_ijk)):
        return None
    # Name the parameter that moves voxels furthest.
    parts = {
        "spacing": (np.array(one.spacing_ijk), np.array(other.spacing_ijk), float(ends.max())),
        "origin": (np.array(one.origin_lps), np.array(other.origin_lps), 1.0),
        "direction": (one.direction.T.ravel(), other.direction.T.ravel(), float(np.max(ends * other.spacing_ijk))),
    }
    name, (ours, theirs, _) = max(parts.items(), key=lambda item: np.abs(item[1][0] - item[1][1]).max() * item[1][2])
    return f"its {name} is {_shown(ours)}, not {_shown(theirs)} (corners lie up to {distance:.3g} mm apart)"


def shown_size(voxels: np.ndarray) -> str:
    """Size of a (k, j, i) array as "I x J x K", for messages."""
    return " x ".join(str(n) for n in voxels.shape[::-1])


def _shown(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.7g}" for value in values + 0.0) + ")"


def check_finite(path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Check that no voxel is NaN or infinite.

    Args:
        path: file or folder to name in the message.
        blocks: all voxels in order, in arrays of any size: no temporary of the full size is needed.
        shape: (k, j, i) shape of the volume.

    Raises:
        InputError: a voxel is NaN or infinite.
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
    """Check that the voxels, (k, j, i), do not all have the same value.

    Raises:
        InputError: they have.
    """
    value = voxels[0, 0, 0]
    if all((voxel_slice == value).all() for voxel_slice in voxels):
        raise InputError(
            f"{path} is constant (every voxel is {value}): there is nothing to segment, give another image"
        )
