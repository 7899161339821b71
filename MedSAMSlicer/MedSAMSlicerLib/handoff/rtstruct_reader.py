"""Reads DICOM RT structure sets that refer to a series."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.uid import RTStructureSetStorage

from ..engine.errors import InputError
from ..engine.volume.affine import transform_points
from .contours import fill_contours
from .segments import COLOURS, KEPT_KINDS, KINDS, Segment, provenance_of
from .source_series import SourceSeries

# A contour lies in a slice if it is nearer to its plane than this share of the distance between slices: programs round.
_IN_PLANE = 0.1


def read_rtstruct(path: Path | str, series: SourceSeries) -> list[Segment]:
    """Read the structures of a structure set, with their contours as they are.

    Args:
        path: RTSTRUCT file.
        series: series that it was drawn on.

    Returns:
        Segments, empty ones of structures without closed contours. A pixel belongs to the mask if its centre lies in an odd
        number of contours. `Segment.notes` say what lies outside of the image and is in no mask.

    Raises:
        InputError: the file cannot be read, is no structure set, belongs to another series, has contours between the slices
            or across them, or all of its contours lie outside of the image.
    """
    path = Path(path)
    ds = read_dicom_file(path)
    if ds.get("SOPClassUID") != RTStructureSetStorage:
        raise InputError(f"{path} is no RT structure set: give an RTSTRUCT file")
    uids = {str(header.SOPInstanceUID): index for index, header in enumerate(series.slices)}
    names_series = _check_reference(path, ds, series)
    rois = {int(roi.ROINumber): roi for roi in ds.get("StructureSetROISequence", ())}
    kinds = {
        int(one.ReferencedROINumber): str(one.get("RTROIInterpretedType") or "")
        for one in ds.get("RTROIObservationsSequence", ())
    }
    segments = []
    of_rois = {int(roi.ReferencedROINumber): roi for roi in ds.get("ROIContourSequence", ())}
    for position, number in enumerate(dict.fromkeys((*of_rois, *rois))):
        roi = of_rois.get(number, pydicom.Dataset())
        stated = rois.get(number, pydicom.Dataset())
        name = str(stated.get("ROIName") or f"ROI {number}")
        contours, notes = _contours(path, name, roi, series, uids, names_series)
        mask = np.zeros(series.grid.shape, bool)
        beyond = 0
        for index, rings in contours.items():
            to_pixels = np.linalg.inv(series.planes[index])
            pixels = [transform_points(to_pixels, points)[:, :2] for points in rings]
            # Up to the centres of the pixels that would come next, nothing is lost.
            beyond += any((ring <= -1).any() or (ring >= mask.shape[:0:-1]).any() for ring in pixels)
            mask[index] = fill_contours(pixels, mask.shape[1:])
        if contours and not mask.any():
            notes = [f"{name} lies outside of the image or between its pixels, and is left out"]
        elif beyond:
            notes.append(f"{name} reaches beyond the image on {_count(beyond, 'slice')}: its voxels end at the edge")
        red, green, blue = (
            float(part) / 255 for part in roi.get("ROIDisplayColor") or (255 * c for c in _colour(position))
        )
        kind = kinds.get(number, "")
        provenance, review = provenance_of(str(stated.get("ROIDescription") or ""))
        segments.append(
            Segment(
                name,
                mask,
                kind if kind in (*KINDS, *KEPT_KINDS) else "ORGAN",
                (red, green, blue),
                provenance,
                review,
                contours=contours,
                notes=tuple(notes),
            )
        )
    if any(segment.contours for segment in segments) and not any(segment.mask.any() for segment in segments):
        raise InputError(f"no contour of {path} holds a pixel of {series.folder}: give the series that it was drawn on")
    return segments


def read_dicom_file(path: Path) -> pydicom.Dataset:
    """Read a file of another program. Raises InputError if that is not possible."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other programs' files violate many rules that do not matter here
            return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise InputError(f"{path} is no DICOM file: give an RTSTRUCT or SEG file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check the path and its permissions") from error
    except Exception as error:  # pydicom raises various exceptions on broken files
        raise InputError(f"{path} is a damaged DICOM file: export it again") from error


def _check_reference(path: Path, ds: pydicom.Dataset, series: SourceSeries) -> bool:
    """Refuse a structure set of another series; whether it names this one."""
    frames = {
        str(one.FrameOfReferenceUID)
        for one in ds.get("ReferencedFrameOfReferenceSequence", ())
        if one.get("FrameOfReferenceUID")
    }
    if frames and str(series.first.FrameOfReferenceUID) not in frames:
        raise InputError(
            f"{path} belongs to another frame of reference than {series.folder}: give the series that it was drawn on"
        )
    named = {
        str(one.SeriesInstanceUID)
        for frame in ds.get("ReferencedFrameOfReferenceSequence", ())
        for study in frame.get("RTReferencedStudySequence", ())
        for one in study.get("RTReferencedSeriesSequence", ())
        if one.get("SeriesInstanceUID")
    }
    if named and str(series.first.SeriesInstanceUID) not in named:
        raise InputError(
            f"{path} belongs to another series than that in {series.folder}: give the series that it was drawn on"
        )
    return bool(named)


def _contours(
    path: Path, name: str, roi: pydicom.Dataset, series: SourceSeries, uids: dict[str, int], names_series: bool
) -> tuple[dict[int, list[np.ndarray]], list[str]]:
    """Closed contours by the index of their slice, and notes on those that are left out."""
    found: dict[int, list[np.ndarray]] = {}
    step = series.grid.spacing_kji[0]
    origins, normal = series.planes[:, :3, 3], series.planes[0, :3, 2]
    open_ones = beyond = 0
    for contour in roi.get("ContourSequence", ()):
        if contour.get("ContourGeometricType") not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
            open_ones += 1
            continue
        try:
            points = _points(contour)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{path}: {name} has a contour without points: export the file again") from error
        images = contour.get("ContourImageSequence") or ()
        index = next((uids[uid] for image in images if (uid := str(image.ReferencedSOPInstanceUID)) in uids), None)
        # Anonymisation often leaves contours with UIDs of slices that exist nowhere; the planes tell then.
        elsewhere = index is None and len(images) > 0 and not names_series
        if index is None:
            across = (points.mean(axis=0) - origins) @ normal
            index = int(np.abs(across).argmin())
            # Planning systems continue margins and couches above the first and below the last slice.
            if names_series and not len(images) and _in_one_plane(points, normal, step) and _is_beyond(across, step):
                beyond += 1
                continue
        if elsewhere or np.abs((points - origins[index]) @ normal).max() > _IN_PLANE * step:
            raise InputError(
                f"{path}: {name} has a contour that lies in none of the slices of {series.folder}: "
                "give the series that it was drawn on"
            )
        found.setdefault(index, []).append(points)
    notes = []
    if open_ones:
        notes.append(f"{name}: {_count(open_ones, 'contour')} left out, points or lines that are not closed")
    if beyond:
        notes.append(f"{name}: {_count(beyond, 'contour')} left out, beyond the first or last slice")
    return found, notes


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _in_one_plane(points: np.ndarray, normal: np.ndarray, step: float) -> bool:
    return bool(np.ptp(points @ normal) <= 2 * _IN_PLANE * step)


def _is_beyond(across: np.ndarray, step: float) -> bool:
    """Whether a contour lies above or below all slices, given its distance from each of them along their normal."""
    return bool((np.abs(across) > (1 - _IN_PLANE) * step).all() and (across > 0).all() != (across < 0).all())


def _points(contour: pydicom.Dataset) -> np.ndarray:
    """(N, 3) points in LPS mm, converted by numpy where pydicom has not done it yet."""
    element = contour.get_item("ContourData")
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        return np.array(element.value.strip(b" \0").split(b"\\"), float).reshape(-1, 3)
    return np.array(contour.ContourData, float).reshape(-1, 3)


def _colour(position: int) -> tuple[float, float, float]:
    return COLOURS[position % len(COLOURS)]
