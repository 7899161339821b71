"""Writers of all DICOM files of a set of segments, to be written together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..engine.errors import InputError
from ..engine.i18n import tr as _
from ..io.output_files import Writer, write_together
from .dicom_header import save
from .dicom_seg import build_seg, require_highdicom
from .measure import Measurements, measure
from .read_segments import ImageValues, values_of_series
from .rtstruct import build_rtstruct
from .segments import Segment, check_segments
from .source_series import SourceSeries
from .structured_report import build_report


def check_dicom_outputs(seg: str | Path | None, report: str | Path | None) -> None:
    """Check what can be checked before anything is read.

    Raises:
        InputError: a report is wanted without the segmentation that it refers to; highdicom is missing.
    """
    if report and not seg:
        raise InputError(_("a report (--sr) refers to a DICOM segmentation: add --seg, which writes it"))
    if seg:
        require_highdicom()


def dicom_writers(
    series: SourceSeries,
    segments: Sequence[Segment],
    *,
    rtstruct: str | Path | None = None,
    seg: str | Path | None = None,
    report: str | Path | None = None,
    values: ImageValues | None = None,
) -> dict[str, Writer]:
    """Build the files and return their writers, for `write_together`.

    Args:
        series: series that the segments were drawn on.
        segments: on its grid.
        rtstruct, seg, report: paths of the files to write; None: not that file.
        values: values of the series, for the report.

    Raises:
        InputError: a segment cannot be written, see `check_segments`; see `check_dicom_outputs`; highdicom refuses the
            series.
    """
    check_dicom_outputs(seg, report)
    check_segments(segments, series.grid.shape)
    writers: dict[str, Writer] = {}
    if rtstruct:
        structure_set = build_rtstruct(series, segments)
        writers[str(rtstruct)] = lambda path: save(structure_set, path)
    if seg:
        segmentation = build_seg(series, segments)
        writers[str(seg)] = lambda path: save(segmentation, path)
        if report:
            measured = [measure_segment(segment, series, values) for segment in segments]
            document = build_report(series, segments, measured, segmentation)
            writers[str(report)] = lambda path: save(document, path)
    return writers


def write_dicom(
    series: SourceSeries,
    segments: Sequence[Segment],
    *,
    rtstruct: str | Path | None = None,
    seg: str | Path | None = None,
    report: str | Path | None = None,
) -> None:
    """Write segments as DICOM files that refer to their series, all or none.

    Args:
        series: from `read_source_series`: series that the segments were drawn on.
        segments: on its grid.
        rtstruct: RT structure set, unapproved.
        seg: DICOM segmentation; needs highdicom.
        report: structured report of volume, diameters and the values of the series; needs `seg`.

    Raises:
        InputError: a segment cannot be written (empty, without a name, of an unknown kind, of a name that is taken), a file
            cannot be written, or highdicom is missing or refuses the series.
    """
    values = values_of_series(series) if report else None
    write_together(dicom_writers(series, segments, rtstruct=rtstruct, seg=seg, report=report, values=values))


def measure_segment(segment: Segment, series: SourceSeries, values: ImageValues | None = None) -> Measurements:
    """Measure a segment on the slices of its series, see `measure`."""
    if values is None:
        return measure(segment.name, segment.mask, series.grid, axis="K")
    return measure(segment.name, segment.mask, series.grid, values.voxels, values.unit, values.factor, axis="K")
