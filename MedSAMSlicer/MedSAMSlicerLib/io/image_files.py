"""Reads 3D images: NRRD, NIfTI and MetaImage files, and folders with one DICOM series."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import SimpleITK as sitk

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from .dicom_series import load_series
from .image import Image, check_finite, check_not_constant, has_perpendicular_axes
from .native_messages import native_messages_logged

# The ending chooses the reader, so that a file of another kind with this ending is refused.
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
_FLOAT_TYPES = {16: "f4", 64: "f8"}
_HEADER_SIZES = (348, 540)
_VOXELS_AT_ONCE = 1 << 20
_log = get_logger(__name__)


class _Pinned:
    """Gives numpy a view of an image's buffer and keeps the image alive as long as a view exists."""

    def __init__(self, image: sitk.Image) -> None:
        self._image = image
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__


def read_image(path: Path | str) -> Image:
    """Read a 3D scalar image and check that it can be segmented.

    Args:
        path: NRRD, NIfTI or MetaImage file, or folder with one DICOM series.

    Returns:
        The image in the data type of the file; voxels are not converted.

    Raises:
        InputError: the file cannot be read, see `load_file` and `load_series`; voxels are NaN or infinite, or all have
            the same value.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"the path of an image is a {type(path).__name__}: give text or a Path")
    path = Path(path)
    # os.path.isdir returns False where Path.is_dir raises; opening the file then tells why.
    image = load_series(path) if os.path.isdir(path) else load_file(path, finite=True)
    if image.voxels.dtype.kind == "f":
        check_finite(path, image.voxels, image.voxels.shape)
    check_not_constant(path, image.voxels)
    return image


def load_file(path: Path, *, finite: bool = False) -> Image:
    """Read a file without checking its voxel values.

    Args:
        path: file with one of the endings in `SUPPORTED`. A fourth dimension of size 1 is dropped.
        finite: refuse NIfTI voxels that are NaN or infinite. Otherwise they are read as zero: niftilib replaces them.

    Raises:
        InputError: unknown ending; missing, damaged or truncated file; not 3D; several values per voxel; sheared axes;
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
            _check_nifti(path, reader, finite=finite)
        with native_messages_logged():
            image = reader.Execute()
    except (RuntimeError, OSError, EOFError, zlib.error) as error:  # SimpleITK raises RuntimeError only
        _log.debug("an image file cannot be read: %s", error)
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
    if not has_perpendicular_axes(direction):
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


def _check_nifti(path: Path, header: sitk.ImageFileReader, *, finite: bool) -> None:
    """Read a NIfTI file to its end, block by block.

    niftilib, which SimpleITK uses, reports neither of these: it pads truncated files with zeros and replaces NaN and
    infinite voxels by zero.

    Args:
        path: `.nii` or `.nii.gz`.
        header: reader that has read the header of the file.
        finite: refuse NaN and infinite voxels.

    Raises:
        InputError: `finite`, and a voxel is NaN or infinite.
        OSError, EOFError, zlib.error: the file is truncated or damaged.
    """
    dimensions = [int(header.GetMetaData(f"dim[{n}]")) for n in range(8)]
    dimensions = dimensions[1 : dimensions[0] + 1]
    kind = _FLOAT_TYPES.get(int(header.GetMetaData("datatype")))
    item = int(header.GetMetaData("bitpix")) // 8
    with _opened(path) as file:
        start = file.read(int(float(header.GetMetaData("vox_offset"))))
        dtype = np.dtype(_byte_order(start) + kind if kind else f"V{item}")
        blocks = _blocks(file, dtype, math.prod(dimensions))
        if finite and kind:
            check_finite(path, blocks, tuple(dimensions[2::-1]))
        deque(blocks, maxlen=0)
        # The checksum at the end of a gzip file is compared when everything before it has been read.
        while file.read(1 << 16):
            pass


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _blocks(file: IO[bytes], dtype: np.dtype, count: int) -> Iterator[np.ndarray]:
    while count:
        expected = min(count, _VOXELS_AT_ONCE)
        block = file.read(expected * dtype.itemsize)
        if len(block) < expected * dtype.itemsize:
            raise EOFError(f"up to {count} voxels are missing")
        yield np.frombuffer(block, dtype)
        count -= expected


def _byte_order(header: bytes) -> str:
    return "<" if int.from_bytes(header[:4], "little") in _HEADER_SIZES else ">"
