"""Reads segments of any kind of file onto one grid: Slicer segmentations, labelmaps, RTSTRUCT, DICOM SEG."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from ..engine.provenance import PROVENANCE_TAG
from ..engine.review import REVIEWED_BY_TAG, REVIEWED_ON_TAG, is_reviewed
from ..io.image import Image
from ..io.image_files import read_image
from ..io.segment_files import read_segment_file
from .dicom_seg import read_seg
from .grid import Grid, move_mask
from .rtstruct_reader import read_rtstruct
from .segments import COLOURS, Review, Segment, kind_of
from .source_series import SourceSeries
from .suv import suv_factor
from .terminology import TERMINOLOGY_TAG, anatomy_of_terminology, side_of_terminology

_DICOM_ENDINGS = (".dcm", ".ima")


@dataclass(frozen=True, eq=False)
class SegmentSet:
    """Segments on one grid.

    Attributes:
        segments: in the order of the files; none is empty.
        grid: their grid.
        notes: what a user should read, one line each.
        empty: names of segments of the files that are empty and were left out.
        left_out: names of segments that are not empty, but of which nothing could be read; a note says why.
        axis: index axis across the slices of the series; None without one.
    """

    segments: tuple[Segment, ...]
    grid: Grid
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    axis: str | None = None

    def named(self, name: str) -> Segment:
        """The segment of that name. Raises InputError if there is none."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        if not self.segments:
            raise InputError(f"there is no segment {name}: the segmentation is empty")
        names = ", ".join(segment.name for segment in self.segments)
        raise InputError(f"there is no segment {name}: choose one of {names}")


def read_segments(
    paths: Path | str | Sequence[Path | str],
    series: SourceSeries | None = None,
    grid: Grid | None = None,
    *,
    may_be_empty: bool = False,
) -> SegmentSet:
    """Read the segments of one or several files.

    Args:
        paths: ``.seg.nrrd``, labelmap (NRRD, NIfTI, MetaImage), or ``.dcm`` (RTSTRUCT, DICOM SEG).
        series: series that the segments belong to. DICOM files need it.
        grid: grid to bring them to; by default that of the series, or without one that of the first file.
        may_be_empty: whether files may have no segment that is not empty.

    Raises:
        InputError: a file cannot be read, has no segment that is not empty, belongs to another series, or lies outside of
            the grid.
    """
    grid = grid if grid is not None else None if series is None else series.grid
    segments: list[Segment] = []
    empty: list[str] = []
    left_out: list[str] = []
    notes = [] if series is None else list(series.notes)
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        found, own_grid = _read_dicom(path, series) if _is_dicom(path) else _read_file(path)
        for segment in found:
            notes += segment.notes
            if not segment.mask.any():
                (left_out if segment.notes else empty).append(segment.name)
        if not may_be_empty and not any(segment.mask.any() for segment in found):
            why = "; ".join(note for segment in found for note in segment.notes)
            raise InputError(f"{path} is empty{f' ({why})' if why else ''}: give a file with a contoured segment")
        grid = own_grid if grid is None else grid
        for segment in found:
            if not segment.mask.any():
                continue
            if own_grid is not grid:
                mask, resampled = move_mask(segment.mask, own_grid, grid, segment.name)
                segment = replace(
                    segment, mask=mask, resampled=resampled, contours={} if resampled else segment.contours
                )
                notes += resampling_notes([segment])
            # Several of our own files, which all have the first colour, can be told apart.
            colour = segment.colour if segment.colour != COLOURS[0] else COLOURS[len(segments) % len(COLOURS)]
            segments.append(replace(segment, colour=colour))
    if grid is None:
        raise InputError("no segmentation was given: give a file")
    if empty:
        notes.append(f"empty and left out: {', '.join(empty)}")
    axis = None if series is None else "K"
    return SegmentSet(tuple(segments), grid, tuple(notes), tuple(empty), tuple(left_out), axis)


def resampling_notes(segments: Iterable[Segment]) -> list[str]:
    """What a user should read of segments that were resampled."""
    return [
        f"{one.name} was resampled to the voxels of the series: check its contours" for one in segments if one.resampled
    ]


def origin_notes(segments: Iterable[Segment]) -> list[str]:
    """What a user should read of segments that nothing is known of: labelmaps, and what other programs have written."""
    return [
        f"{one.name} has no record of model and prompts: the files say 'origin not recorded'"
        for one in segments
        if not one.recorded
    ]


def _is_dicom(path: Path) -> bool:
    return path.name.lower().endswith(_DICOM_ENDINGS)


def _read_dicom(path: Path, series: SourceSeries | None) -> tuple[list[Segment], Grid]:
    if series is None:
        raise InputError(f"{path} refers to a DICOM series: give its folder, too")
    from pydicom.uid import SegmentationStorage

    from .rtstruct_reader import read_dicom_file

    if read_dicom_file(path).get("SOPClassUID") == SegmentationStorage:
        return read_seg(path, series), series.grid
    return read_rtstruct(path, series), series.grid


def _read_file(path: Path) -> tuple[list[Segment], Grid]:
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder: give the file of a segmentation")
    image, stored = read_segment_file(path)
    segments = [
        Segment(
            one.name,
            one.mask,
            kind_of(one.name),
            one.colour or COLOURS[0],
            one.tags.get(PROVENANCE_TAG, ""),
            _review(one.tags),
            anatomy=anatomy_of_terminology(one.tags.get(TERMINOLOGY_TAG, "")),
            side=side_of_terminology(one.tags.get(TERMINOLOGY_TAG, "")),
        )
        for one in stored
    ]
    return segments, grid_of(image)


def _review(tags: Mapping[str, str]) -> Review:
    def tag_of(key: str) -> str:
        return tags.get(key, "")

    return Review.stored(is_reviewed(tag_of), tag_of(REVIEWED_BY_TAG), tag_of(REVIEWED_ON_TAG))


def grid_of(image: Image) -> Grid:
    """The voxel grid of an image."""
    return Grid.of(image.voxels.shape[:3], image.spacing_ijk, image.origin_lps, image.direction)


def renamed(
    segments: Iterable[Segment],
    names: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    anatomy: Mapping[str, str] | None = None,
) -> list[Segment]:
    """Segments with other names, kinds and anatomy, each given by the present name.

    A segment that is given another name but no kind gets the kind that the new name suggests.

    Raises:
        InputError: there is no segment of a name.
    """
    segments = list(segments)
    names, kinds, anatomy = names or {}, kinds or {}, anatomy or {}
    known = {segment.name for segment in segments}
    for name in [*names, *kinds, *anatomy]:
        if name not in known:
            raise InputError(f"there is no segment {name}: choose one of {', '.join(sorted(known))}")
    return [
        replace(
            segment,
            name=names.get(segment.name, segment.name),
            kind=kinds.get(segment.name) or (kind_of(names[segment.name]) if segment.name in names else segment.kind),
            anatomy=anatomy.get(segment.name, segment.anatomy),
            side="" if segment.name in anatomy else segment.side,
        )
        for segment in segments
    ]


@dataclass(frozen=True, eq=False)
class ImageValues:
    """Values of an image, to be measured.

    Attributes:
        voxels: (k, j, i).
        grid: its grid.
        unit: unit of the voxels times `factor`: "HU", "SUV (g/ml)", or "" for arbitrary units.
        factor: what the voxels are multiplied by.
        notes: what a user should read.
    """

    voxels: np.ndarray
    grid: Grid
    unit: str = ""
    factor: float = 1.0
    notes: tuple[str, ...] = ()


def values_of_series(series: SourceSeries) -> ImageValues:
    """Voxels of a series, in HU or, of PET, in SUV where the headers tell how.

    Raises:
        InputError: a slice cannot be decoded.
    """
    from ..io.dicom_pixels import read_voxels  # needs pydicom 3, and the rest of this file does not

    voxels = read_voxels(series.headers)
    if series.modality == "CT":
        return ImageValues(voxels, series.grid, "HU")
    if series.modality == "PT":
        factor = suv_factor(series.first)
        if factor is not None:
            return ImageValues(voxels, series.grid, "SUV (g/ml)", factor)
        units = str(series.first.get("Units") or "unknown")
        note = f"no SUV: the headers do not tell how; values are in {units}"
        return ImageValues(voxels, series.grid, units, 1.0, (note,))
    return ImageValues(voxels, series.grid)


def values_of_image(path: Path | str) -> ImageValues:
    """Voxels of an image file, in HU if it is a CT.

    Raises:
        InputError: the file cannot be read.
    """
    image = read_image(path)
    if image.voxels.ndim > 3:
        raise InputError(f"{path} is in colour: give an image with one value per voxel")
    return ImageValues(image.voxels, grid_of(image), "HU" if image.modality == "CT" else "", notes=image.notes)
