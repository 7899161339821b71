"""DICOM series made on the spot, complete enough for dciodvfy, and objects to contour in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)
from scipy.spatial.transform import Rotation

from MedSAMSlicerLib.handoff.dicom_header import ENCODING, save

_TILT = Rotation.from_euler("xyz", (15, -25, 40), degrees=True).as_matrix()
ORIENTATIONS: dict[str, np.ndarray] = {
    "axial": np.array([[1.0, 0, 0], [0, 1, 0]]),
    "sagittal": np.array([[0.0, 1, 0], [0, 0, -1]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, -1]]),
    "oblique": _TILT.T[:2].copy(),
    "negated columns": np.array([[1.0, 0, 0], [0, -1, 0]]),
    "negated rows and columns": np.array([[-1.0, 0, 0], [0, -1, 0]]),
}
"""Directions in LPS in which the column index and the row index increase."""
_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}


@dataclass(frozen=True)
class PatientSeries:
    """Folder with a written series."""

    folder: Path
    headers: list[pydicom.Dataset]

    def change(self, index: int, **values: object) -> None:
        """Write a slice again with other values; None removes the element."""
        ds = self.headers[index]
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        save(ds, self.folder / f"{index:03d}.dcm")


def write_patient_series(
    folder: Path,
    voxels: np.ndarray,
    *,
    orientation: str = "axial",
    spacing: Sequence[float] = (0.9, 0.9, 3.0),
    origin: Sequence[float] = (-31.5, 12.25, -140.125),
    modality: str = "CT",
    shift_mm: float = 0.0,
    **values: object,
) -> PatientSeries:
    """Write whole-numbered (k, j, i) voxels, one file for each slice, in an order that is not that of their positions.

    Args:
        orientation: key of `ORIENTATIONS`. Slices follow each other along the normal.
        spacing: mm along i, j, k.
        origin: LPS mm of voxel (0, 0, 0).
        shift_mm: how far each slice lies beside the one before it, along its columns, as with a tilted gantry.
        values: DICOM keywords with other values; None leaves them out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    row, column = ORIENTATIONS[orientation]
    normal = np.cross(row, column)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    headers = []
    for k, pixels in enumerate(voxels):
        ds = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=bytes(128), **ENCODING)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = _CLASSES[modality]
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Phantom^Anna", "P-17", "19600102", "F"
        ds.StudyDate, ds.StudyTime, ds.StudyID = "20260102", "101112", "S1"
        ds.SeriesDate, ds.SeriesTime = "20260102", "101500"
        ds.AcquisitionDate, ds.AcquisitionTime = "20260102", "101500"
        ds.ContentDate, ds.ContentTime = "20260102", "101500"
        ds.AccessionNumber, ds.ReferringPhysicianName = "A2", "Doe^Jane"
        ds.Modality, ds.Manufacturer = modality, "Phantoms"
        ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 3, 1, (7 * k) % len(voxels) + 1
        ds.PatientPosition, ds.PositionReferenceIndicator = "HFS", ""
        ds.ImageOrientationPatient = [f"{x:.10g}" for x in np.concatenate([row, column])]
        ds.ImagePositionPatient = [
            f"{x:.10g}" for x in np.asarray(origin) + k * (spacing[2] * normal + shift_mm * column)
        ]
        ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        if modality == "MR":
            ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "NONE", "", "2D"
            ds.EchoTime, ds.EchoTrainLength, ds.RepetitionTime = 80, 1, 3000
        ds.Rows, ds.Columns = pixels.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = (pixels.astype(np.int32) + 1024).astype(np.uint16).tobytes()
        for keyword, value in values.items():
            if value is None:
                if keyword in ds:
                    delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        save(ds, folder / f"{k:03d}.dcm")
        headers.append(ds)
    return PatientSeries(folder, headers)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    """Pixels whose centre is at most `radius` pixels from (row, column) `centre`."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def ball(shape: tuple[int, int, int], centre: Sequence[float], radius: float, step: float = 3.0) -> np.ndarray:
    """Voxels in a ball of `radius` pixels around (k, j, i) `centre`; slices are `step` pixels apart."""
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return (step * (k - centre[0])) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2 <= radius**2


def objects(shape: tuple[int, int, int] = (11, 40, 44)) -> dict[str, np.ndarray]:
    """Masks that files of contours have to carry, by name."""
    centre = (5, 19, 21)
    one_slice, ends = np.zeros(shape, bool), np.zeros(shape, bool)
    one_slice[4] = disc(shape[1:], (20, 22), 8)
    ends[0] = ends[-1] = disc(shape[1:], (20, 0), 9)
    ring = ball(shape, centre, 15) & ~ball(shape, centre, 7) & ~ball(shape, (5, 19, 32), 2)
    ring |= ball(shape, centre, 3)
    return {
        "ball of 3 px": ball(shape, centre, 3),
        "ball of 5 px": ball(shape, centre, 5),
        "ball of 15 px": ball(shape, centre, 15),
        "ring with an island": ring,
        "two islands": ball(shape, (5, 10, 9), 7) | ball(shape, (4, 28, 33), 8),
        "one slice": one_slice,
        "first and last slice": ends,
    }
