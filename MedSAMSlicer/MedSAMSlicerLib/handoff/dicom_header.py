"""The part of a DICOM file that says whose it is and who wrote it: taken from the series, without anything else."""

from __future__ import annotations

import copy
import warnings
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import validate_value

from .. import __version__
from .source_series import SourceSeries

_REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2: present in every file, empty if the series does not state it."""
_TAKEN = (
    "IssuerOfPatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyDescription",
)
"""Present if the series has them."""
_OF_IMAGES = (0x0018, 0x0020, 0x0028)
"""Groups of acquisition, geometry and pixels."""
_IDENTITY = [Tag(keyword) for keyword in ("ImageType", "SOPClassUID", "SOPInstanceUID", "Modality")]
_UNICODE = "ISO_IR 192"

ENCODING = {"is_implicit_VR": False, "is_little_endian": True}
"""Arguments of a new `FileDataset`: pydicom 2.4, which Slicer 5.10 has, does not take them from the meta information."""


def new_file(series: SourceSeries, sop_class: str, modality: str, description: str) -> FileDataset:
    """A file of a new series in the study of `series`: patient, study and equipment are filled in."""
    now = datetime.now()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128), **ENCODING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what violates the rules is left out, or is the patient's and stays as it is
        _take_patient_and_study(ds, series.first)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = series.first.StudyInstanceUID
    ds.SeriesInstanceUID = generate_uid()
    ds.SeriesNumber = None
    ds.InstanceNumber = 1
    ds.Modality = modality
    ds.SeriesDescription = description
    ds.InstanceCreationDate, ds.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ds.SeriesDate, ds.SeriesTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    ds.Manufacturer = ds.ManufacturerModelName = "MedSAMSlicer"
    ds.SoftwareVersions = __version__
    return ds


def complete_headers(series: SourceSeries) -> list[pydicom.Dataset]:
    """Headers of the slices as highdicom wants them: required values are there, empty if they are missing or wrong.

    highdicom copies all that it finds of the patient and the study, so only what a file is to say is left.
    """
    headers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for header in series.slices:
            complete = pydicom.Dataset()
            complete.file_meta = header.file_meta
            for tag, element in header.items():
                if tag.group in _OF_IMAGES or tag in _IDENTITY:
                    complete[tag] = element
            _take_patient_and_study(complete, header)
            headers.append(complete)
    return headers


def _take_patient_and_study(ds: pydicom.Dataset, header: pydicom.Dataset) -> None:
    """Copy patient and study of a header, in Unicode, as names of segments may be in any language."""
    ds.SpecificCharacterSet = _UNICODE
    for keyword in _TAKEN:
        if keyword in header:
            element = copy.deepcopy(header[keyword])
            for item in element.value if element.VR == "SQ" else ():
                item.decode()  # by the character set of the series, which the bytes are in
            ds[keyword] = element
    for keyword in _REQUIRED:
        setattr(ds, keyword, _required(header, keyword))


def save(ds: pydicom.Dataset, path: Path) -> None:
    """Write a DICOM file with its header, with pydicom 2 and 3."""
    if int(pydicom.__version__.partition(".")[0]) < 3:
        pydicom.dcmwrite(path, ds, write_like_original=False)
    else:
        pydicom.dcmwrite(path, ds, enforce_file_format=True)


def _required(header: pydicom.Dataset, keyword: str) -> str | None:
    """A value as text; None if it is missing or violates the rules of its type, as study IDs from anonymisers do.

    What identifies the patient is kept however it is written.
    """
    value = header.get(keyword)
    if value is None or not str(value):
        return None
    if not keyword.startswith("Patient"):
        try:
            validate_value(header[keyword].VR, str(value), pydicom.config.RAISE)
        except ValueError:
            return None
    return str(value)
