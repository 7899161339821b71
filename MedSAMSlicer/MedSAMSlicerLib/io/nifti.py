"""Reads NIfTI files: voxels with nibabel, geometry as ITK, and so Slicer, takes it."""

from __future__ import annotations

import gzip
import itertools
import zlib
from pathlib import Path
from typing import cast

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from .image import LPS_TO_RAS, Image, is_nearly_perpendicular, itk_matrix, placed_image
from .native_messages import native_messages_logged

# Two forms of a header count as equal if no corner voxel is further from its counterpart than this share of a voxel.
_SAME_FORM = 0.1
_MM_PER_UNIT = {"meter": 1000.0, "micron": 1e-3}
_log = get_logger(__name__)


class NiftiSource:
    """A `.nii` or `.nii.gz` file; its time points are read one at a time.

    Raises:
        InputError: the file is no volume, is damaged or incomplete, or has no usable geometry.
    """

    frames_are = "time point"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            _check_whole(path)
            loaded = cast(nibabel.Nifti1Image, nibabel.load(path))
            header = loaded.header
            if not isinstance(header, nibabel.Nifti1Header) or not isinstance(loaded.dataobj, ArrayProxy):
                raise nibabel.filebasedimages.ImageFileError("not NIfTI")
        except (OSError, EOFError, zlib.error, nibabel.filebasedimages.ImageFileError, HeaderDataError) as error:
            _log.debug("a NIfTI file cannot be read: %s", type(error).__name__)
            raise InputError(
                f"{path} cannot be read as NIfTI: damaged, incomplete or of another kind; copy or export it again"
            ) from error
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        # A structure of R, G, B, or a uint8 vector in the fifth dimension, as ITK writes it.
        self._vector = dtype == np.uint8 and shape[3:] in ((1, 3), (1, 4))
        self._colour = dtype.names is not None or self._vector
        if not self._vector:
            _check_kind(path, shape, dtype)
        self._shape = (*shape, *(1,) * (4 - len(shape)))[:4]
        self._rescale = (float(loaded.dataobj.slope), float(loaded.dataobj.inter))
        # Stored values: nibabel's own scaling would make float64 of all of them.
        self._stored = ArrayProxy(str(path), (shape, dtype, loaded.dataobj.offset, 1.0, 0.0), mmap=False)
        self._ijk_to_lps, self._notes = _geometry(path, header, self._shape[:3])

    @property
    def frames(self) -> int:
        """Number of time points."""
        return self._shape[3]

    def read(self, frame: int) -> Image:
        """Read a time point; voxels are not checked.

        Raises:
            InputError: the file cannot be read any more.
        """
        index = (slice(None),) * 3 + ((frame,) if self.frames > 1 else ())
        try:
            stored = np.asarray(self._stored[index])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise InputError(f"{self.path} cannot be read as NIfTI: incomplete; copy or export it again") from error
        if self._vector:
            voxels = np.ascontiguousarray(np.moveaxis(stored[:, :, :, 0, :3].T, 0, -1))
        elif self._colour:
            voxels = np.stack([stored.reshape(self._shape[:3]).T[name] for name in ("R", "G", "B")], axis=-1)
        else:
            voxels = stored.reshape(self._shape[:3]).T
            voxels = _rescaled(voxels.astype(voxels.dtype.newbyteorder("="), copy=False), *self._rescale)
        voxels.flags.writeable = False
        return placed_image(voxels, self._ijk_to_lps, None, self.path, self._notes)


def _check_kind(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    shown = " x ".join(map(str, shape))
    if len(shape) < 3:
        raise InputError(f"{path} is a {len(shape)}D image ({shown}): give a 3D image")
    if any(n != 1 for n in shape[4:]) or dtype.kind == "c":
        raise InputError(
            f"{path} has several values per voxel (a vector or complex image, {shown}): "
            "save one component as a scalar image"
        )


def _rescaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Scanner values: whole numbers if slope and intercept are, otherwise float32."""
    if (slope, intercept) == (1.0, 0.0):
        return stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = np.array([stored.min(), stored.max()], float) * slope + intercept
        dtype = np.int16 if np.iinfo(np.int16).min <= ends.min() and ends.max() <= np.iinfo(np.int16).max else np.int32
        # Stored values that do not fit wrap around, and back again with the intercept.
        return np.multiply(stored, int(slope), dtype=dtype, casting="unsafe") + dtype(intercept)
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _check_whole(path: Path) -> None:
    """Read a compressed file to its end, where its checksum is.

    Raises:
        OSError, EOFError, zlib.error: the file is damaged or incomplete.
    """
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass


def _geometry(path: Path, header: nibabel.Nifti1Header, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(4, 4) matrix from voxel indices to LPS mm, and notes.

    ITK decides between sform and qform, so that the image lies where Slicer shows it. Where it refuses the axes because they
    are sheared, the sform is taken.
    """
    forms = {name: _form(header, name) for name in ("sform", "qform")}
    known = {name: form for name, form in forms.items() if form is not None}
    chosen = _itk_geometry(path)
    if chosen is None or not is_nearly_perpendicular(chosen, shape):
        upright = [form for form in known.values() if is_nearly_perpendicular(form, shape)]
        chosen = upright[0] if upright else known.get("sform", chosen)
    if chosen is None:
        raise InputError(f"{path} has no usable geometry: export it again")
    apart = {name: _apart(form, chosen, shape) for name, form in known.items()}
    smallest = float(np.linalg.norm(chosen[:3, :3], axis=0).min())
    if not known or max(apart.values()) <= _SAME_FORM * smallest:
        return chosen, ()
    name = min(apart, key=lambda form: apart[form])
    if len(known) == 2 and apart[name] <= _SAME_FORM * smallest:
        distance = _apart(known["sform"], known["qform"], shape)
        return chosen, (
            f"sform and qform of the file differ (corners lie up to {distance:.3g} mm apart): the {name} was taken, "
            "as in Slicer.",
        )
    return chosen, (
        f"The {name} of the file does not fit its voxel size (corners lie up to {max(apart.values()):.3g} mm apart): "
        "the voxel size was taken, as in Slicer.",
    )


def _form(header: nibabel.Nifti1Header, name: str) -> np.ndarray | None:
    """The sform or qform in LPS mm; None if the file states none, or one that cannot be used."""
    try:
        matrix, code = header.get_sform(coded=True) if name == "sform" else header.get_qform(coded=True)
    except (HeaderDataError, np.linalg.LinAlgError):
        return None
    if not code or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        return None
    scale = _MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
    return LPS_TO_RAS @ np.diag([scale, scale, scale, 1.0]) @ matrix


def _itk_geometry(path: Path) -> np.ndarray | None:
    """The matrix that ITK takes; None if it refuses the file."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NiftiImageIO")
    reader.SetFileName(str(path))
    try:
        with native_messages_logged():
            reader.ReadImageInformation()
    except RuntimeError as error:  # SimpleITK raises nothing else
        _log.debug("ITK refuses the geometry of a NIfTI file: %s", error)
        return None
    return itk_matrix(reader)


def _apart(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance in mm between the corner voxels of two grids."""
    corners = np.array([(*corner, 1.0) for corner in itertools.product(*((0, n - 1) for n in shape))])
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())
