"""The DICOM series that segments were drawn on: its slices, its grid, and what files that refer to it need."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from ..engine.errors import InputError
from ..engine.i18n import tr as _
from ..io.dicom_headers import FrameHeader
from ..io.dicom_series import slices_grid
from ..io.dicom_volumes import DicomVolume, find_volume
from .grid import Grid

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """An evenly spaced DICOM series, one file for each slice.

    Attributes:
        folder: folder of the files, for messages.
        headers: what was read of each slice, in the order of the grid's k.
        slices: whole headers without pixels, in that order.
        planes: (K, 4, 4) matrices from (column, row, 0) on each slice to LPS mm, as that slice's own header states.
        grid: the voxel grid.
        notes: what a user should know about how the series was read, one line each.
    """

    folder: Path
    headers: tuple[FrameHeader, ...]
    slices: tuple[pydicom.Dataset, ...]
    planes: np.ndarray
    grid: Grid
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> pydicom.Dataset:
        """Header of the first slice."""
        return self.slices[0]

    @property
    def modality(self) -> str:
        """DICOM modality, such as "CT"."""
        return str(self.first.get("Modality", ""))

    def instance_number(self, index: int) -> int | None:
        """Instance number of a slice, given its index from 0; None if it has none."""
        number = self.slices[index].get("InstanceNumber")
        return None if number is None else int(number)


def read_source_series(
    folder: Path | str,
    series: str | None = None,
    frame: int | None = None,
    *,
    files: Sequence[Path] | None = None,
) -> SourceSeries:
    """Read the headers of a series.

    Args:
        folder: folder, searched with all folders in it.
        series: number or UID of the series, or part of its description, if there are several.
        frame: time point or repetition, from 0, if the series has several.
        files: files to read in place of all in the folder.

    Raises:
        InputError: the series is missing, not alone, incomplete, without geometry, unevenly spaced or in multi-frame files;
            it has several frames and none was chosen; a slice has no UID that files could refer to; an MR series has no
            acquisition type.
    """
    folder, notes = Path(folder), list[str]()
    if files is None and not folder.is_dir():
        raise InputError(_("{folder} is not a folder: give the folder of the DICOM series").format(folder=folder))
    volume, left_out = find_volume(folder, series, files)
    headers = _chosen_frame(folder, volume, frame)
    direction, spacing, origin = slices_grid(folder, headers, notes)
    slices = tuple(_header(header.file) for header in headers)
    _check_references(folder, slices)
    rows, columns = headers[0].size
    grid = Grid.of((len(slices), rows, columns), spacing, origin, direction)
    return SourceSeries(folder, tuple(headers), slices, _planes(headers), grid, (*left_out, *notes))


def _chosen_frame(folder: Path, volume: DicomVolume, frame: int | None) -> list[FrameHeader]:
    if not volume.has_place or volume.first.position is None:
        raise InputError(
            _(
                "{folder} has no position in the patient (pixel spacing, orientation or position is missing): "
                "give a series of CT, MR or PET slices"
            ).format(folder=folder)
        )
    if volume.first.frame is not None:
        raise InputError(
            _("{folder} is in multi-frame files, which contours cannot refer to: give one file for each slice").format(
                folder=folder
            )
        )
    if frame is None and len(volume.phases) > 1:
        raise InputError(_("{folder} has {count} frames: choose one").format(folder=folder, count=len(volume.phases)))
    if not 0 <= (frame or 0) < len(volume.phases):
        raise InputError(
            _("{folder} has no frame {frame}: frames run from 0 to {last}").format(
                folder=folder, frame=frame, last=len(volume.phases) - 1
            )
        )
    return volume.phases[frame or 0]


def _check_references(folder: Path, slices: tuple[pydicom.Dataset, ...]) -> None:
    first = slices[0]
    for keyword in _NEEDED:
        if any(not one.get(keyword) for one in slices):
            raise InputError(
                _(
                    "{folder} has slices without {attribute}, so no file can refer to them: "
                    "export the series again from the archive"
                ).format(folder=folder, attribute=keyword)
            )
    if len({str(one.SOPInstanceUID) for one in slices}) < len(slices):
        raise InputError(
            _(
                "{folder} has slices with the same SOPInstanceUID, so no file can refer to one of them: "
                "export the series again from the archive"
            ).format(folder=folder)
        )
    if len({str(one.FrameOfReferenceUID) for one in slices}) > 1:
        raise InputError(
            _("{folder} has slices of several frames of reference: give slices of one acquisition").format(
                folder=folder
            )
        )
    if first.get("Modality") == "MR" and "MRAcquisitionType" not in first:
        raise InputError(
            _(
                "{folder} is an MR series without acquisition type (0018,0023), which other programs refuse: "
                "export the series again from the archive"
            ).format(folder=folder)
        )


def _planes(headers: Sequence[FrameHeader]) -> np.ndarray:
    planes = np.tile(np.eye(4), (len(headers), 1, 1))
    for plane, header in zip(planes, headers, strict=True):
        assert header.pixel_spacing is not None and header.orientation is not None and header.position is not None
        between_rows, between_columns = header.pixel_spacing
        plane[:3, 0] = header.orientation[0] * between_columns
        plane[:3, 1] = header.orientation[1] * between_rows
        plane[:3, 2] = np.cross(*header.orientation)
        plane[:3, 3] = header.position
    return planes


def _header(file: Path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same headers were read and checked before
        return pydicom.dcmread(file, stop_before_pixels=True, force=True)
