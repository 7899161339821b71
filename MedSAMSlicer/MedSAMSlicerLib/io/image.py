"""An image with its geometry, the comparison of two voxel grids, and checks of voxel values."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engine.errors import InputError, shown
from ..engine.finite import not_finite_steps
from ..engine.stack import ArrayStack
from ..engine.steps import result_of

if TYPE_CHECKING:
    from SimpleITK import ImageFileReader

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Two grids count as equal if no corner voxel is further from its counterpart than this fraction of the smallest
# spacing: NIfTI stores float32, and text headers round direction cosines to a few digits.
_SAME_GRID = 0.02
_SAME_GRID_FLOOR_MM = 1e-3
# Sheared axes are made perpendicular if that moves no voxel further than this share of the smallest voxel side.
_MOST_MOVED = 0.1
# Below this share, the shear is rounding: text headers and float32 round direction cosines.
_NOTED_MOVE = 1e-3


@dataclass(frozen=True, eq=False)
class Image:
    """A grey volume, or a stack of colour pictures, with its geometry.

    Attributes:
        voxels: (k, j, i), read-only, in the data type of the file; (k, j, i, 3) uint8 red, green, blue for colour. DICOM
            values have rescale slope and intercept applied (CT: Hounsfield units). They may be NaN or infinite.
        spacing_ijk: voxel size along I, J, K in mm; between slices, the perpendicular distance.
        origin_lps: centre of voxel (0, 0, 0) in LPS mm.
        direction: (3, 3), columns along I, J, K in LPS: perpendicular unit vectors, except that the third column of a
            series from a tilted gantry leads from slice to slice, sideways too; its part along the normal is 1.
        modality: DICOM modality ("CT", "MR", "PT", "US", ...), or None if the file does not state it.
        path: file or DICOM folder that the image was read from; the name of an image made by `from_array`.
        notes: what a user should know about how the file was read, one line each.
    """

    voxels: np.ndarray
    spacing_ijk: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    direction: np.ndarray
    modality: str | None
    path: Path
    notes: tuple[str, ...] = ()

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
            voxels: (k, j, i) whole or floating-point numbers, or (k, j, i, 3) uint8 red, green, blue. For an array in
                (i, j, k) order, as nibabel returns it, give its transpose.
            affine: (4, 4) matrix from (i, j, k) to RAS mm, as nibabel's `affine`.
            spacing: voxel size along I, J, K in mm, if there is no affine: the axes are those of LPS then, and voxel
                (0, 0, 0) lies at the origin.
            modality: "CT", "MR", ...; chooses the window for "auto". None: CT is recognised by its values.
            name: for messages and the report.

        Raises:
            InputError: `voxels` is not such an array or has only one value; neither or both of affine and spacing are
                given, or they are no voxel grid: `affine` needs perpendicular columns.
        """
        if not isinstance(name, str | Path):
            raise InputError(f"the name {shown(name)} is not text")
        if modality is not None and not isinstance(modality, str):
            raise InputError(f"{name} has the modality {shown(modality)}: give text such as 'CT', or None")
        if not isinstance(voxels, np.ndarray):
            raise InputError(f"{name} is a {type(voxels).__name__}: give a numpy array (k, j, i)")
        path = Path(name)
        grey = voxels.ndim == 3 and voxels.dtype.kind in "iuf"
        colour = voxels.ndim == 4 and voxels.shape[3] == 3 and voxels.dtype == np.uint8
        if not (grey or colour) or not voxels.size:
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
            to_lps = LPS_TO_RAS @ to_ras
        view = voxels.view()
        view.flags.writeable = False
        return checked_image(placed_image(view, to_lps, modality, path))

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """Number of voxels along I, J, K."""
        k, j, i = self.voxels.shape[:3]
        return i, j, k

    @property
    def is_colour(self) -> bool:
        """Whether the voxels are red, green and blue."""
        return self.voxels.ndim == 4

    @property
    def is_tilted(self) -> bool:
        """Whether slices are shifted sideways from one to the next, as those of a tilted gantry are."""
        return bool(np.linalg.norm(self.direction[:, 2]) > 1 + 1e-9)

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
        return LPS_TO_RAS @ self.ijk_to_lps


def _numbers(value: object) -> np.ndarray:
    """The value as an array of floats; an empty one if it has no numbers."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return np.zeros(0)


def itk_matrix(reader: ImageFileReader) -> np.ndarray:
    """(4, 4) matrix from voxel indices to LPS mm of a file whose header was read; a picture lies in the plane of K."""
    dimension = len(reader.GetSize())
    used = min(dimension, 3)
    matrix = np.eye(4)
    direction = np.array(reader.GetDirection()).reshape(dimension, dimension)[:used, :used]
    matrix[:used, :used] = direction * np.array(reader.GetSpacing()[:used])
    matrix[:used, 3] = reader.GetOrigin()[:used]
    return matrix


def placed_image(
    voxels: np.ndarray, ijk_to_lps: np.ndarray, modality: str | None, path: Path, notes: tuple[str, ...] = ()
) -> Image:
    """An image on the grid of a matrix, whose axes are made perpendicular if they nearly are.

    Args:
        voxels: (k, j, i) or (k, j, i, 3).
        ijk_to_lps: (4, 4) matrix from voxel indices to LPS mm.
        notes: to which one is added if the axes were sheared by more than rounding.

    Raises:
        InputError: perpendicular axes would move a voxel by more than a tenth of its smallest side.
    """
    sizes = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    if not (np.isfinite(ijk_to_lps).all() and sizes.min() > 0):
        raise InputError(f"{path} has no usable geometry (voxel size {_shown(sizes)}): export it again")
    shape = voxels.shape[2::-1]
    direction, moved = _perpendicular(ijk_to_lps, shape)
    origin = ijk_to_lps[:3, 3]
    if moved > _MOST_MOVED:
        raise InputError(
            f"{path} has sheared axes (as a CT with a tilted gantry has): resample it to a grid with right angles first"
        )
    if moved > _NOTED_MOVE:
        # The middle of the grid stays where it is.
        origin = origin - (direction * sizes - ijk_to_lps[:3, :3]) @ (np.subtract(shape, 1) / 2)
        notes += (
            "The axes of the image are slightly sheared: made perpendicular, which moves voxels by up to "
            f"{moved:.2g} of their size.",
        )
    else:
        direction = ijk_to_lps[:3, :3] / sizes
    i, j, k = (float(mm) for mm in sizes)
    x, y, z = (float(mm) for mm in origin)
    return Image(voxels, (i, j, k), (x, y, z), direction + 0.0, modality, path, notes)


def is_nearly_perpendicular(ijk_to_lps: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether `placed_image` accepts the axes of a (4, 4) matrix for a grid of (i, j, k) voxels."""
    sizes = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    return bool(
        np.isfinite(ijk_to_lps).all() and sizes.min() > 0 and _perpendicular(ijk_to_lps, shape)[1] <= _MOST_MOVED
    )


def _perpendicular(ijk_to_lps: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """The nearest perpendicular unit axes, and how far they move a voxel, as a share of its smallest side."""
    sizes = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    left, _stretch, right = np.linalg.svd(ijk_to_lps[:3, :3] / sizes)
    direction = left @ right
    corners = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) * np.subtract(shape, 1)
    moved = np.linalg.norm(corners @ (direction * sizes - ijk_to_lps[:3, :3]).T, axis=1).max() / sizes.min()
    # Voxels of a flat or small grid hardly move; axes that are far from perpendicular are no rounding.
    return direction, float(max(moved, np.abs(direction * sizes - ijk_to_lps[:3, :3]).max() / sizes.max()))


def grid_difference(one: Image, other: Image) -> str | None:
    """How the voxel grid of `one` differs from that of `other`, for a message; None if the grids are equal."""
    if one.dimensions != other.dimensions:
        return f"its size is {_size(one)}, not {_size(other)} voxels"
    ends = np.array(one.dimensions) - 1
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


def _size(image: Image) -> str:
    return " x ".join(map(str, image.dimensions))


def _shown(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.7g}" for value in values + 0.0) + ")"


def checked_image(image: Image) -> Image:
    """The image, with a note if voxels are not finite.

    Raises:
        InputError: all voxels have the same value, or none is finite.
    """
    if image.voxels.dtype.kind == "f" and (note := _not_finite(image)):
        image = replace(image, notes=(*image.notes, note))
    _check_not_constant(image)
    return image


def _not_finite(image: Image) -> str:
    """Note on the voxels that are NaN or infinite; empty without any."""
    count, note = result_of(not_finite_steps(ArrayStack(image.voxels, image.spacing_ijk, "K")))
    if count == image.voxels.size:
        raise InputError(f"{image.path} has no voxel that is a finite number: export it again")
    return note


def _check_not_constant(image: Image) -> None:
    value = image.voxels[0, 0, 0]
    if all((voxel_slice == value).all() for voxel_slice in image.voxels):
        raise InputError(
            f"{image.path} is constant (every voxel is {value}): there is nothing to segment, give another image"
        )
