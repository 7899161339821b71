"""Reads and checks the headers of the slices of a DICOM series."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from ..engine.errors import InputError

_TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "NumberOfFrames",
    "SamplesPerPixel",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SpacingBetweenSlices",
    "SliceThickness",
]
# DICOM files without preamble begin with group 0002 or 0008, little endian.
_BARE_STARTS = (b"\x02\x00", b"\x08\x00")


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """One slice of a series.

    Attributes:
        size: rows, columns.
        pixel_spacing: mm between rows, between columns.
        orientation: (2, 3) unit vectors in LPS, in the directions of increasing column and row index.
        position: (3,) centre of the first pixel in LPS mm.
        modality: "CT", "MR", ...; None if the file does not state it.
        thickness: distance between slices or slice thickness in mm; None if the file does not state it.
    """

    file: Path
    size: tuple[int, int]
    pixel_spacing: tuple[float, float]
    orientation: np.ndarray
    position: np.ndarray
    modality: str | None
    thickness: float | None


def headers_of_only_series(folder: Path) -> list[SliceHeader]:
    """Headers of the only image series in `folder`, sorted by file name. Files of other kinds are skipped.

    Raises:
        InputError: the folder cannot be read, contains no DICOM image or several series, or a slice is multi-frame, in
            colour or without a position.
    """
    series: dict[str, list[tuple[Path, pydicom.Dataset]]] = {}
    with warnings.catch_warnings():
        # Scanners violate many rules on value representation that do not matter here; what matters is checked below.
        warnings.simplefilter("ignore")
        for file in _files(folder):
            dataset = _read(file)
            if dataset is None:
                continue
            if "SOPClassUID" not in dataset and not _is_directory(dataset):
                raise InputError(f"{file} is a damaged DICOM file: copy or export the series again")
            if "Rows" in dataset:
                series.setdefault(str(dataset.get("SeriesInstanceUID", "")), []).append((file, dataset))
        if not series:
            raise InputError(
                f"{folder} holds no DICOM image (folders inside it are not searched): "
                "give the folder in which the files of the series lie"
            )
        if len(series) > 1:
            raise InputError(
                f"{folder} holds {len(series)} DICOM series ({_listed(series.values())}): "
                "give a folder that holds one series only"
            )
        (files,) = series.values()
        return [_header(file, dataset) for file, dataset in files]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}): check its permissions") from error


def _read(file: Path) -> pydicom.Dataset | None:
    """Header of a DICOM file, or None if the file is of another kind."""
    try:
        with file.open("rb") as stream:
            bare = stream.read(2) in _BARE_STARTS
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=bare)
        return dataset if not bare or "SOPClassUID" in dataset else None
    except InvalidDicomError:
        return None
    except OSError as error:
        raise InputError(f"{file} cannot be opened ({error.strerror}): check its permissions") from error
    except Exception as error:  # pydicom raises various exceptions on broken headers
        raise InputError(
            f"{file} has a DICOM header that cannot be read ({type(error).__name__}): export the series again"
        ) from error


def _is_directory(dataset: pydicom.Dataset) -> bool:
    return dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage


def _header(file: Path, dataset: pydicom.Dataset) -> SliceHeader:
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise InputError(f"{file} is a multi-frame DICOM file: convert it to NRRD or NIfTI first")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise InputError(f"{file} is a colour image: give a series of scalar images")
    try:
        size = (int(dataset.Rows), int(dataset.Columns))
        between_rows, between_columns = (float(mm) for mm in dataset.PixelSpacing)
        orientation = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        position = np.array(dataset.ImagePositionPatient, float).reshape(3)
        lengths = np.linalg.norm(orientation, axis=1)
        upright = abs(orientation[0] @ orientation[1]) < 1e-3 and np.allclose(lengths, 1, atol=1e-2)
        usable = upright and between_rows > 0 and between_columns > 0 and np.isfinite(position).all()
    except (AttributeError, TypeError, ValueError) as error:  # a tag is missing, empty or not a number
        raise _unplaced(file) from error
    if not usable:
        raise _unplaced(file)
    modality = str(dataset.get("Modality") or "").strip().upper() or None
    thickness = dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")
    return SliceHeader(
        file=file,
        size=size,
        pixel_spacing=(between_rows, between_columns),
        orientation=orientation / lengths[:, None],
        position=position,
        modality=modality,
        thickness=abs(float(thickness)) if thickness else None,
    )


def _unplaced(file: Path) -> InputError:
    return InputError(
        f"{file} has no position in the patient (pixel spacing, orientation or position is missing or wrong): "
        "give a series of CT, MR or PET slices"
    )


def _listed(series: Iterable[list[tuple[Path, pydicom.Dataset]]]) -> str:
    names = []
    for files in series:
        _, dataset = files[0]
        description = " ".join(str(dataset.get("SeriesDescription") or "without description").split())
        names.append(
            f"number {dataset.get('SeriesNumber') or '?'}: {description}, {dataset.get('Modality') or '?'}, "
            f"{len(files)} file{'s' if len(files) > 1 else ''}"
        )
    return "; ".join(names[:4]) + ("; ..." if len(names) > 4 else "")
