"""3D images in single files: NRRD, NIfTI, MetaImage."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..engine.errors import InputError
from .image_types import Image
from .native_messages import native_messages_logged
from .nifti_files import check_nifti

# The reader is named by the ending, so that a file of another kind with this ending is refused, not guessed at.
_READERS = {
    ".nrrd": ("NRRD", "NrrdImageIO"),
    ".nhdr": ("NRRD", "NrrdImageIO"),
    ".nii": ("NIfTI", "NiftiImageIO"),
    ".nii.gz": ("NIfTI", "NiftiImageIO"),
    ".mha": ("MetaImage", "MetaImageIO"),
    ".mhd": ("MetaImage", "MetaImageIO"),
}
SUPPORTED = "NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz), MetaImage (.mha, .mhd) or a folder with one DICOM series"

_MODALITY_KEYS = ("0008|0060", "modality", "Modality")
_OTHER_NAMES = {"DWMRI": "MR", "PET": "PT"}
_ORTHOGONAL = 1e-3
_log = logging.getLogger(__name__)


class _Pinned:
    """Hands an image's own buffer to numpy and keeps the image alive as long as any array looks at it."""

    def __init__(self, image: sitk.Image) -> None:
        self._image = image
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__


def load_file(path: Path, *, finite: bool = False) -> Image:
    """Read one file as it is. Voxel values are not judged, but for one thing that cannot be seen any more later.

    Args:
        path: an existing file with one of the endings of `SUPPORTED`. A fourth dimension of size 1 is dropped.
        finite: refuse NIfTI voxels that are NaN or infinite; else they come as zero.

    Raises:
        InputError: unknown ending; file missing, damaged or incomplete; not 3D; several values per voxel; sheared axes;
            voxels refused by `finite`.
    """
    _check_openable(path)
    kind, image_io = _reader_of(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        with native_messages_logged():
            reader.ReadImageInformation()
        _check_header(path, reader)
        if kind == "NIfTI":
            check_nifti(path, reader, finite=finite)
        with native_messages_logged():
            image = reader.Execute()
    except (RuntimeError, OSError, EOFError, zlib.error) as error:  # SimpleITK raises RuntimeError only
        _log.debug("%s", error)
        raise _unreadable(path, kind, str(error)) from error

    size = image.GetSize()
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3] + 0.0
    spacing = _triple(image.GetSpacing())
    origin = _triple(image.GetOrigin())
    _check_geometry(path, spacing, origin, direction)
    voxels = np.asarray(_Pinned(image)).reshape(size[2], size[1], size[0])
    return Image(voxels, spacing, origin, direction, _modality(reader), path)


def _triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def _reader_of(path: Path) -> tuple[str, str]:
    name = path.name.lower()
    for ending, reader in _READERS.items():
        if name.endswith(ending):
            return reader
    if name.endswith((".dcm", ".ima")):
        raise InputError(f"{path} is a single DICOM file: give the folder that holds its series")
    raise InputError(f"{path} is of a kind that cannot be read: give {SUPPORTED}")


def _check_openable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path} is empty: copy or export it again")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check the path and its permissions") from error


def _unreadable(path: Path, kind: str, reason: str) -> InputError:
    if "orthonormal" in reason:
        return _sheared(path)
    detached = ", or its data file is not beside it" if path.suffix.lower() in (".nhdr", ".mhd") else ""
    return InputError(
        f"{path} cannot be read as {kind}: damaged, incomplete or of another kind{detached}; copy or export it again"
    )


def _check_header(path: Path, reader: sitk.ImageFileReader) -> None:
    size = reader.GetSize()
    shown = " x ".join(str(n) for n in size)
    if len(size) < 3:
        raise InputError(f"{path} is a {len(size)}D image ({shown}): give a 3D image")
    if any(n != 1 for n in size[3:]):
        raise InputError(f"{path} is a {len(size)}D image ({shown}): save one time point or channel as a 3D image")
    components = reader.GetNumberOfComponents()
    if components != 1:
        raise InputError(
            f"{path} has {components} values per voxel (a colour, vector or complex image): "
            "save one component as a scalar image"
        )


def _check_geometry(path: Path, spacing: tuple[float, ...], origin: tuple[float, ...], direction: np.ndarray) -> None:
    if not (np.isfinite(spacing).all() and min(spacing) > 0 and np.isfinite(origin).all()):
        raise InputError(f"{path} has no usable geometry (spacing {spacing}, origin {origin}): export it again")
    if not np.allclose(direction.T @ direction, np.eye(3), rtol=0, atol=_ORTHOGONAL):
        raise _sheared(path)


def _sheared(path: Path) -> InputError:
    return InputError(
        f"{path} has sheared axes (as a CT with a tilted gantry has): resample it to a grid with right angles first"
    )


def _modality(reader: sitk.ImageFileReader) -> str | None:
    for key in _MODALITY_KEYS:
        if reader.HasMetaDataKey(key):
            text = reader.GetMetaData(key).strip().upper().removeprefix("MET_MOD_")
            text = _OTHER_NAMES.get(text, text)
            if len(text) == 2 and text.isalpha():
                return text
    return None
