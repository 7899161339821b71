"""Writes DICOM RT structure sets: closed contours in the planes of the slices that they were drawn on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import RTStructureSetStorage
from pydicom.valuerep import format_number_as_ds

from ..engine.volume.affine import transform_points
from ..io.output_files import write_atomically
from .contours import slice_contours
from .dicom_header import new_file, save
from .segments import Segment, check_segments
from .source_series import SourceSeries

_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
_CONTOUR_DATA = Tag("ContourData")
# Of coordinates in mm: 0.1 micrometres.
_DECIMALS = 4


def write_rtstruct(path: Path | str, series: SourceSeries, segments: Sequence[Segment], label: str = "MedSAM") -> None:
    """Write segments as an RT structure set (RTSTRUCT), whole or not at all.

    Every contour lies in the plane of one slice and refers to it. The structure set is unapproved.

    Args:
        path: file to write.
        series: series that the segments were drawn on.
        segments: on the grid of the series.
        label: structure set label, at most 16 characters.

    Raises:
        InputError: a segment cannot be written, see `check_segments`, or the file cannot be written.
    """
    check_segments(segments, series.grid.shape)
    structure_set = build_rtstruct(series, segments, label)
    write_atomically(path, lambda temporary: save(structure_set, temporary))


def build_rtstruct(series: SourceSeries, segments: Sequence[Segment], label: str = "MedSAM") -> FileDataset:
    """The structure set of segments that `check_segments` has checked."""
    ds = new_file(series, RTStructureSetStorage, "RTSTRUCT", "MedSAM contours")
    ds.OperatorsName = ""
    ds.StructureSetLabel = label[:16]
    ds.StructureSetDate, ds.StructureSetTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    ds.FrameOfReferenceUID = series.first.FrameOfReferenceUID
    ds.PositionReferenceIndicator = series.first.get("PositionReferenceIndicator") or ""
    ds.ReferencedFrameOfReferenceSequence = Items([_frame_of_reference(series)])
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = Items(), Items(), Items()
    for number, segment in enumerate(segments, start=1):
        roi = pydicom.Dataset()
        roi.ROINumber = number
        roi.ReferencedFrameOfReferenceUID = series.first.FrameOfReferenceUID
        roi.ROIName = segment.name[:64]
        roi.ROIDescription = segment.description
        roi.ROIGenerationAlgorithm = "SEMIAUTOMATIC" if segment.recorded else ""
        ds.StructureSetROISequence.append(roi)
        contours = pydicom.Dataset()
        contours.ROIDisplayColor = [round(255 * part) for part in segment.colour]
        contours.ContourSequence = Items(list(_contours(series, segment)))
        contours.ReferencedROINumber = number
        ds.ROIContourSequence.append(contours)
        observation = pydicom.Dataset()
        observation.ObservationNumber = observation.ReferencedROINumber = number
        observation.RTROIInterpretedType = segment.kind
        observation.ROIInterpreter = ""
        ds.RTROIObservationsSequence.append(observation)
    ds.ApprovalStatus = "UNAPPROVED"
    return ds


def _frame_of_reference(series: SourceSeries) -> pydicom.Dataset:
    of_series = pydicom.Dataset()
    of_series.SeriesInstanceUID = series.first.SeriesInstanceUID
    of_series.ContourImageSequence = Items([_reference(header) for header in series.slices])
    of_study = pydicom.Dataset()
    of_study.ReferencedSOPClassUID = _DETACHED_STUDY
    of_study.ReferencedSOPInstanceUID = series.first.StudyInstanceUID
    of_study.RTReferencedSeriesSequence = Items([of_series])
    frame = pydicom.Dataset()
    frame.FrameOfReferenceUID = series.first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = Items([of_study])
    return frame


def _reference(header: pydicom.Dataset) -> pydicom.Dataset:
    image = pydicom.Dataset()
    image.ReferencedSOPClassUID = header.SOPClassUID
    image.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return image


def _contours(series: SourceSeries, segment: Segment) -> Iterator[pydicom.Dataset]:
    for index, points in contours_in_mm(series, segment):
        contour = pydicom.Dataset()
        contour.ContourImageSequence = Items([_reference(series.slices[index])])
        contour.ContourGeometricType = "CLOSED_PLANAR"
        contour.NumberOfContourPoints = len(points)
        contour[_CONTOUR_DATA] = _decimals(points)
        yield contour


def contours_in_mm(series: SourceSeries, segment: Segment) -> Iterator[tuple[int, np.ndarray]]:
    """Contours of a segment: index of the slice, and (N, 3) points in LPS mm."""
    for index in range(len(series.slices)):
        if segment.contours:
            yield from ((index, points) for points in segment.contours.get(index, ()))
            continue
        for pixels in slice_contours(segment.mask[index]):
            yield index, transform_points(series.planes[index], np.pad(pixels, ((0, 0), (0, 1))))


def _decimals(points: np.ndarray) -> pydicom.DataElement:
    """Points as the text that stands in the file: pydicom takes many seconds for the objects of a million numbers."""
    text = "\\".join([_decimal(value) for value in np.round(points, _DECIMALS).ravel().tolist()])
    return pydicom.DataElement(_CONTOUR_DATA, "DS", text, already_converted=True)


def _decimal(value: float) -> str:
    """A rounded number as DICOM's decimal string of at most 16 characters."""
    text = f"{value + 0.0:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return text if len(text) <= 16 else str(format_number_as_ds(value))
