"""Reads images: NRRD, NIfTI and MetaImage files, DICOM folders and files, and pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np
import SimpleITK as sitk

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from .image import Image, checked_image, itk_matrix, placed_image
from .native_messages import native_messages_logged
from .pictures import PICTURE_ENDINGS, read_picture

# The ending chooses the reader, so that a file of another kind with this ending is refused.
_ITK_READERS = {
    ".nrrd": ("NRRD", "NrrdImageIO"),
    ".nhdr": ("NRRD", "NrrdImageIO"),
    ".mha": ("MetaImage", "MetaImageIO"),
    ".mhd": ("MetaImage", "MetaImageIO"),
}
_NIFTI = (".nii", ".nii.gz")
SUPPORTED = (
    "NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz), MetaImage (.mha, .mhd), a picture (.png, .jpg, .tif, .bmp), "
    "a DICOM file (.dcm) or a folder with DICOM files"
)
_MODALITY_KEYS = ("0008|0060", "modality", "Modality")
_OTHER_NAMES = {"DWMRI": "MR", "PET": "PT"}
# Kind of the axis of a NRRD file that counts time points, as in Slicer's sequences, and not the parts of a value.
_FRAMES = "list"
_log = get_logger(__name__)


class ImageSource(Protocol):
    """An image file or DICOM series whose frames (time points, phases, repetitions) are read one at a time."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        ...

    @property
    def frames_are(self) -> str:
        """What tells frames apart, for messages."""
        ...

    def read(self, frame: int) -> Image:
        """Read a frame; voxels are not checked."""
        ...


def read_image(path: Path | str, *, series: str | None = None, frame: int | None = None) -> Image:
    """Read an image and check that it can be segmented.

    Args:
        path: NRRD, NIfTI or MetaImage file, picture, DICOM file, or folder with DICOM files, searched with all folders in
            it.
        series: number or UID of a DICOM series, or part of its description; None: the only one that is no localizer,
            screenshot or document.
        frame: number of a time point, phase or repetition, counted from 0; None: the only one.

    Returns:
        The image in the data type of the file; voxels are not converted. `Image.notes` says what was left out or mended.

    Raises:
        InputError: the file cannot be read, holds several series or frames and none is chosen, is no voxel grid, or all
            voxels have the same value.
    """
    return read_frame(open_image(path, series=series), frame, path)


def read_frame(source: ImageSource, frame: int | None, path: Path | str) -> Image:
    """Read and check a frame of `source`, opened from `path`; see `read_image`."""
    last = source.frames - 1
    if frame is None and last > 0:
        named = f" ({source.frames_are})" if source.frames_are else ""
        raise InputError(
            f"{path} holds {source.frames} frames{named}: choose one from 0 to {last} "
            "(--frame, in Python frame=), or all of them with --frame all"
        )
    if frame is not None and not 0 <= frame <= last:
        raise InputError(f"{path} has no frame {frame}: give 0" + (f" to {last}" if last else ""))
    return checked_image(source.read(frame or 0))


def open_image(path: Path | str, *, series: str | None = None) -> ImageSource:
    """Open an image to read its frames; see `read_image`.

    Raises:
        InputError: the file is missing, damaged or of a kind that cannot be read.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"the path of an image is a {type(path).__name__}: give text or a Path")
    path = Path(path)
    # os.path.isdir returns False where Path.is_dir raises; opening the file then tells why.
    folder = os.path.isdir(path)
    if not folder:
        _check_openable(path)
    if folder or _is_dicom(path):
        # Imports pydicom, which the other kinds do not need.
        from .dicom_series import DicomSource

        return DicomSource(path, series)
    if series is not None:
        raise InputError(f"{path} is no DICOM folder: leave out the series")
    name = path.name.lower()
    if name.endswith(_NIFTI):
        # Imports nibabel, which the other kinds do not need.
        from .nifti import NiftiSource

        return NiftiSource(path)
    if name.endswith(PICTURE_ENDINGS):
        return _Picture(path)
    for ending, (kind, image_io) in _ITK_READERS.items():
        if name.endswith(ending):
            return _ItkSource(path, kind, image_io)
    raise InputError(f"{path} is of a kind that cannot be read: give {SUPPORTED}")


def load_file(path: Path) -> Image:
    """Read a file of one frame without checking its voxel values.

    Raises:
        InputError: unknown ending; missing, damaged or truncated file; several frames; sheared axes.
    """
    _check_openable(path)
    source = open_image(path)
    if source.frames > 1:
        raise InputError(f"{path} holds {source.frames} frames: save one of them as a 3D image")
    return source.read(0)


def _is_dicom(path: Path) -> bool:
    if path.name.lower().endswith((".dcm", ".ima", ".dicom")) or path.name.upper() == "DICOMDIR":
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _check_openable(path: Path) -> None:
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fspath(path).encode("utf-8", "replace").decode()
        raise InputError(f"{shown} has a name that is no valid text: rename the file or its folder") from None
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path} is empty: copy or export it again")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check the path and its permissions") from error


class _Picture:
    """A picture, which has one frame."""

    frames = 1
    frames_are = ""

    def __init__(self, path: Path) -> None:
        self._image = read_picture(path)

    def read(self, frame: int) -> Image:
        return self._image


class _Pinned:
    """Gives numpy a view of an image's buffer and keeps the image alive as long as a view exists."""

    def __init__(self, image: sitk.Image) -> None:
        self._image = image
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__


class _ItkSource:
    """A NRRD or MetaImage file, read by SimpleITK. A further dimension, or a NRRD axis of kind list, holds frames."""

    frames_are = "time point"

    def __init__(self, path: Path, kind: str, image_io: str) -> None:
        self.path, self._kind = path, kind
        self._reader = sitk.ImageFileReader()
        self._reader.SetImageIO(image_io)
        self._reader.SetFileName(str(path))
        try:
            with native_messages_logged():
                self._reader.ReadImageInformation()
        except RuntimeError as error:  # SimpleITK raises nothing else
            raise self._unreadable(error) from error
        self._size = self._reader.GetSize()
        self._components = self._reader.GetNumberOfComponents()
        axis_kind = self._metadata("NRRD_kinds[pixel]")
        self._in_components = self._components > 1 and axis_kind == _FRAMES
        self._is_colour = (
            not self._in_components and self._components in (3, 4) and self._reader.GetPixelID() == sitk.sitkVectorUInt8
        )
        self._check_header()

    @property
    def frames(self) -> int:
        if self._in_components:
            return self._components
        return self._size[3] if len(self._size) > 3 else 1

    def read(self, frame: int) -> Image:
        if len(self._size) > 3:
            # One of several frames; SimpleITK still reads the others if the file is compressed.
            self._reader.SetExtractSize([*self._size[:3], *(0 for _ in self._size[3:])])
            self._reader.SetExtractIndex([0, 0, 0, frame, *(0 for _ in self._size[4:])])
        try:
            with native_messages_logged():
                image = self._reader.Execute()
        except RuntimeError as error:
            raise self._unreadable(error) from error
        if self._in_components:
            image = sitk.VectorIndexSelectionCast(image, frame)
        voxels = np.asarray(_Pinned(image))
        if self._is_colour:
            voxels = voxels[..., :3]
        shape = (*self._size[:3], 1)[:3] if len(self._size) < 3 else self._size[:3]
        voxels = voxels.reshape(*shape[::-1], *((3,) if self._is_colour else ()))
        return placed_image(voxels, itk_matrix(self._reader), self._modality(), self.path)

    def _check_header(self) -> None:
        shown = " x ".join(str(n) for n in self._size)
        if len(self._size) < 3 and not self._is_colour:
            raise InputError(f"{self.path} is a {len(self._size)}D image ({shown}): give a 3D image")
        if any(n != 1 for n in self._size[4:]) or (self.frames > 1 and self._is_colour):
            raise InputError(f"{self.path} is a {len(self._size)}D image ({shown}): save one part of it as a 3D image")
        if self._components != 1 and not (self._in_components or self._is_colour):
            raise InputError(
                f"{self.path} has {self._components} values per voxel (a vector or complex image): "
                "save one component as a scalar image"
            )

    def _unreadable(self, error: RuntimeError) -> InputError:
        _log.debug("an image file cannot be read: %s", error)
        detached = ", or its data file is not beside it" if self.path.suffix.lower() in (".nhdr", ".mhd") else ""
        return InputError(
            f"{self.path} cannot be read as {self._kind}: damaged, incomplete or of another kind{detached}; "
            "copy or export it again"
        )

    def _metadata(self, key: str) -> str:
        return self._reader.GetMetaData(key) if self._reader.HasMetaDataKey(key) else ""

    def _modality(self) -> str | None:
        for key in _MODALITY_KEYS:
            text = self._metadata(key).strip().upper().removeprefix("MET_MOD_")
            text = _OTHER_NAMES.get(text, text)
            if len(text) == 2 and text.isalpha():
                return text
        return None
