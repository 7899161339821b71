"""Reads the headers of DICOM images: one `FrameHeader` for each 2D image, whether it has a file of its own or not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from ..engine.errors import InputError

_TAGS = [
    *(
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "SeriesNumber",
        "SeriesDescription",
        "Modality",
        "ImageType",
    ),
    *("NumberOfFrames", "PhotometricInterpretation", "BitsStored", "PixelRepresentation", "Rows", "Columns"),
    *("PixelSpacing", "ImagerPixelSpacing", "SequenceOfUltrasoundRegions"),
    *("ImageOrientationPatient", "ImagePositionPatient", "SpacingBetweenSlices", "SliceThickness"),
    *("RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("TemporalPositionIdentifier", "TriggerTime", "EchoTime", "DiffusionBValue"),
    *("AcquisitionNumber", "AcquisitionTime", "ContentTime", "InstanceNumber"),
]
# What may tell frames at one position apart, in the order in which it is tried: attribute -> path in a functional group.
PHASE_TAGS = {
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "AcquisitionTime": ("FrameContentSequence", "FrameAcquisitionDateTime"),
    "ContentTime": ("FrameContentSequence", "FrameReferenceDateTime"),
    "InstanceNumber": ("", ""),
}
# DICOM files without preamble begin with group 0002 or 0008, little endian.
_BARE_STARTS = (b"\x02\x00", b"\x08\x00")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66"
_FRAMES_PER_FILE = 1e6


@dataclass(frozen=True)
class Series:
    """What tells one series from another: number, description and modality are as in the file, "" where it has none."""

    uid: str
    number: str
    description: str
    modality: str


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """One 2D image of a series.

    Attributes:
        file: file that holds the image.
        frame: its number in a multi-frame file, counted from 0; None for a file with one image.
        size: rows, columns.
        pixel_spacing: mm between rows, between columns; None if the file does not state it.
        orientation: (2, 3) unit vectors in LPS, in the directions of increasing column and row index; None without place.
        position: (3,) centre of the first pixel in LPS mm; None without place.
        thickness: distance between slices or slice thickness in mm; None if the file does not state it.
        rescale: slope and intercept from stored to scanner values; None for stored values.
        photometric: photometric interpretation, such as "MONOCHROME2".
        lowest_and_highest: limits of the stored values.
        uid: SOP instance UID of the file.
        secondary: whether this is a secondary capture, such as a screenshot or a scanned document, or a segmentation.
        localizer: whether the file says that this is a localizer.
        stack: stack of a multi-frame file that the image belongs to; "" otherwise.
        phase: values of `PHASE_TAGS` that the file states.
    """

    series: Series
    file: Path
    frame: int | None
    size: tuple[int, int]
    pixel_spacing: tuple[float, float] | None
    orientation: np.ndarray | None
    position: np.ndarray | None
    thickness: float | None
    rescale: tuple[float, float] | None
    photometric: str
    lowest_and_highest: tuple[int, int]
    uid: str
    secondary: bool
    localizer: bool
    stack: str
    phase: dict[str, Any]

    @property
    def colour(self) -> bool:
        """Whether the image is in colour."""
        return not self.photometric.startswith("MONOCHROME")


def read_headers(file: Path) -> list[FrameHeader] | None:
    """Headers of all images in a file; an empty list for DICOM files without an image, None for files of other kinds.

    Raises:
        InputError: the file cannot be opened, or is a damaged DICOM file.
    """
    with warnings.catch_warnings():
        # Scanners violate many rules on value representation that do not matter here.
        warnings.simplefilter("ignore")
        dataset = _read(file)
        if dataset is None:
            return None
        if "SOPClassUID" not in dataset and not _is_directory(dataset):
            raise InputError(f"{file} is a damaged DICOM file: copy or export the series again")
        if "Rows" not in dataset:
            return []
        frames = int(dataset.get("NumberOfFrames") or 1)
        groups = dataset.get("PerFrameFunctionalGroupsSequence")
        if groups:
            return [_header(file, dataset, n, group) for n, group in enumerate(groups)]
        return [_header(file, dataset, n if frames > 1 else None, None) for n in range(frames)]


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


def _header(file: Path, dataset: pydicom.Dataset, frame: int | None, group: pydicom.Dataset | None) -> FrameHeader:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]

    def value(macro: str, keyword: str) -> Any:
        """An attribute from the frame's functional group, else from the shared one, else from the file itself."""
        for functional_group in (group, shared):
            items = functional_group.get(macro) if functional_group is not None and macro else None
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return dataset.get(keyword)

    spacing = value("PixelMeasuresSequence", "PixelSpacing") or dataset.get("ImagerPixelSpacing")
    try:
        pixel_spacing = _pixel_spacing(spacing, dataset)
        orientation, position = _place(
            value("PlaneOrientationSequence", "ImageOrientationPatient"),
            value("PlanePositionSequence", "ImagePositionPatient"),
        )
        thickness = value("PixelMeasuresSequence", "SpacingBetweenSlices") or value(
            "PixelMeasuresSequence", "SliceThickness"
        )
        slope = value("PixelValueTransformationSequence", "RescaleSlope")
        intercept = value("PixelValueTransformationSequence", "RescaleIntercept")
        rescale = None if slope is None and intercept is None else (float(slope or 1), float(intercept or 0))
        size = (int(dataset.Rows), int(dataset.Columns))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{file} has a DICOM header that cannot be read ({type(error).__name__}): export the series again"
        ) from error
    frame_type = value("CTImageFrameTypeSequence", "FrameType") or value("MRImageFrameTypeSequence", "FrameType")
    kind = [str(part).upper() for part in frame_type or dataset.get("ImageType") or []]
    description = " ".join(str(dataset.get("SeriesDescription") or "").split())
    phase = {name: value(*path) if path[0] else None for name, path in PHASE_TAGS.items()}
    phase = {name: dataset.get(name) if found is None else found for name, found in phase.items()}
    if frame is not None:
        phase["InstanceNumber"] = float(phase["InstanceNumber"] or 0) * _FRAMES_PER_FILE + frame
    series = Series(
        str(dataset.get("SeriesInstanceUID", "")),
        str(dataset.get("SeriesNumber") or ""),
        description,
        str(dataset.get("Modality") or "").strip().upper(),
    )
    return FrameHeader(
        series=series,
        file=file,
        frame=frame,
        size=size,
        pixel_spacing=pixel_spacing,
        orientation=orientation,
        position=position,
        thickness=abs(float(thickness)) if thickness else None,
        rescale=rescale,
        photometric=str(dataset.get("PhotometricInterpretation") or "MONOCHROME2"),
        secondary=_is_secondary(str(dataset.get("SOPClassUID", ""))),
        uid=str(dataset.get("SOPInstanceUID", "")),
        lowest_and_highest=_stored_range(dataset),
        localizer="LOCALIZER" in kind,
        stack=str(value("FrameContentSequence", "StackID") or ""),
        phase={name: _plain(found) for name, found in phase.items() if found not in (None, "")},
    )


def _is_secondary(sop_class: str) -> bool:
    return any(sop_class == uid or sop_class.startswith(f"{uid}.") for uid in (_SECONDARY_CAPTURE, _SEGMENTATION))


def _stored_range(dataset: pydicom.Dataset) -> tuple[int, int]:
    values = 1 << int(dataset.get("BitsStored") or 16)
    return (-values // 2, values // 2 - 1) if dataset.get("PixelRepresentation") == 1 else (0, values - 1)


def _pixel_spacing(stated: Any, dataset: pydicom.Dataset) -> tuple[float, float] | None:
    if stated:
        between_rows, between_columns = (float(mm) for mm in stated)
        return (between_rows, between_columns) if between_rows > 0 and between_columns > 0 else None
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        # 3: centimetres along both axes, as in an image of tissue.
        if region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == 3:
            rows, columns = (10 * abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "YX")
            if rows > 0 and columns > 0:
                return rows, columns
    return None


def _place(orientation: Any, position: Any) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Orientation and position, or None twice if one of them is missing or unusable."""
    if not orientation or not position:
        return None, None
    directions = np.array(orientation, float).reshape(2, 3)
    place = np.array(position, float).reshape(3)
    lengths = np.linalg.norm(directions, axis=1)
    upright = abs(directions[0] @ directions[1]) < 1e-3 and np.allclose(lengths, 1, atol=1e-2)
    if not upright or not np.isfinite(place).all():
        return None, None
    return directions / lengths[:, None], place


def _plain(value: Any) -> Any:
    """A number or a text that can be compared and printed."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return "\\".join(str(part) for part in value) if hasattr(value, "__iter__") else str(value)
