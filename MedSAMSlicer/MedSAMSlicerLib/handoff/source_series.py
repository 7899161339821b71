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
from ..io.dicom_series import SeriesGrid, series_grid
from .grid import Grid

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """An evenly spaced DICOM series.

    Attributes:
        folder: folder of the files, for messages.
        slices: headers without pixels, in the order of the grid's k.
        planes: (K, 4, 4) matrices from (column, row, 0) on each slice to LPS mm, as that slice's own header states.
        series_grid: geometry, and the files in order.
        grid: the voxel grid.
    """

    folder: Path
    slices: tuple[pydicom.Dataset, ...]
    planes: np.ndarray
    series_grid: SeriesGrid
    grid: Grid

    @property
    def first(self) -> pydicom.Dataset:
        """Header of the first slice."""
        return self.slices[0]

    @property
    def modality(self) -> str:
        """DICOM modality, such as "CT"."""
        return str(self.first.get("Modality", ""))


def read_source_series(folder: Path | str, files: Sequence[Path] | None = None) -> SourceSeries:
    """Read the headers of the only series in a folder.

    Args:
        folder: folder, which messages name; subfolders are not searched.
        files: files to read in place of all in the folder.

    Raises:
        InputError: the series is missing, not alone, incomplete, without geometry or unevenly spaced, see `series_grid`;
            a slice has no UID that files could refer to; an MR series has no acquisition type.
    """
    folder = Path(folder)
    if files is None and not folder.is_dir():
        raise InputError(_("{folder} is not a folder: give the folder of the DICOM series").format(folder=folder))
    found = series_grid(folder, files)
    slices = tuple(_header(header.file) for header in found.headers)
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
            _("{folder} has slices with the same SOP instance UID: export the series again from the archive").format(
                folder=folder
            )
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
    planes = np.tile(np.eye(4), (len(slices), 1, 1))
    for plane, header in zip(planes, found.headers, strict=True):
        between_rows, between_columns = header.pixel_spacing
        plane[:3, 0] = header.orientation[0] * between_columns
        plane[:3, 1] = header.orientation[1] * between_rows
        plane[:3, 2] = np.cross(*header.orientation)
        plane[:3, 3] = header.position
    rows, columns = found.headers[0].size
    grid = Grid.of((len(slices), rows, columns), found.spacing_ijk, found.origin_lps, found.direction)
    return SourceSeries(folder, slices, planes, found, grid)


def _header(file: Path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same headers were read and checked before
        return pydicom.dcmread(file, stop_before_pixels=True, force=True)
