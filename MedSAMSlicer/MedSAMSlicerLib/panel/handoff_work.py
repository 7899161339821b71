"""Hand-off of the scene's segments: brought to their DICOM series and written, grown by margins, measured.

Imports what takes seconds to import, so it is imported when the user asks for one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from ..engine.errors import InputError
from ..engine.provenance import PROVENANCE_TAG
from ..handoff.grid import Grid, move_mask
from ..handoff.margins import at_edge, grow, margin_provenance
from ..handoff.measure import Measurements, measure
from ..handoff.roi_names import warning
from ..handoff.segments import Segment
from ..handoff.source_series import SourceSeries, read_source_series
from ..handoff.suv import suv_factor
from ..handoff.tables import MEASURE_COLUMNS, measurement_row
from ..handoff.terminology import TERMINOLOGY_TAG, anatomy_of_terminology, side_of_terminology
from ..handoff.write_dicom import write_dicom
from ..io.dicom_headers import read_headers
from ..io.tables import csv_text
from ..scene.volume.geometry import ijk_to_node, ijk_to_other, image_to_node, label, voxels_of
from ..scene.writing.segment_tags import tag_of
from ..scene.writing.segmentation_grid import make_labelmap, place_mask, reference_geometry
from .handoff_nodes import MARGIN_TAG, SegmentEntry, instance_uids, open_database, series_files

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_files(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    chosen: Sequence[SegmentEntry],
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    folder: str,
    paths: Mapping[str, Path],
) -> list[str]:
    """Write segments as DICOM files that refer to the volume's series, all or none, and tell Slicer's DICOM database.

    Args:
        folder: as for `series_of`.
        paths: "rtstruct", "seg" and "report" -> file to write.

    Returns:
        What the user should read: names of the segments that are empty and were left out, of those that were resampled to
        the voxels of the series, of those without a record of how they were made, and names that break TG-263.

    Raises:
        InputError: all segments are empty, or as `series_of`, `segments_on_grid` and `write_dicom` do.
    """
    series = series_of(volume_node, folder)
    filled, notes = _without_empty(segmentation_node, chosen)
    segments = segments_on_series(segmentation_node, filled, volume_node, series)
    write_dicom(series, segments, **paths)
    database = open_database()
    for path in paths.values() if database is not None else ():
        database.insert(str(path))
    if resampled := [segment.name for segment in segments if segment.resampled]:
        notes.append(
            _("Resampled to the voxels of the series, check their contours: {names}.").format(
                names=", ".join(resampled)
            )
        )
    if unknown := [segment.name for segment in segments if not segment.recorded]:
        notes.append(
            _("No record of model and prompts, the files say 'origin not recorded': {names}.").format(
                names=", ".join(unknown)
            )
        )
    return notes + [f"{text}." for segment in segments if (text := warning(segment.name))]


def series_of(volume_node: slicer.vtkMRMLScalarVolumeNode | None, folder: str) -> SourceSeries:
    """The DICOM series of a volume.

    Args:
        folder: folder with its files, in case Slicer's DICOM database does not have them; empty: none was chosen.

    Raises:
        InputError: there is no volume, its files are not known, they are those of another series, or no file can refer to
            them, see `read_source_series`.
    """
    if volume_node is None:
        raise InputError(_("no volume is selected: choose the volume that the segments were drawn on"))
    files = series_files(volume_node)
    if files:
        return read_source_series(files[0].parent, files=files)
    if not folder:
        raise InputError(
            _(
                "the DICOM files of {volume_node} are not known: load it with the DICOM module, or choose the folder of its"
                " series"
            ).format(volume_node=label(volume_node))
        )
    uids = set(instance_uids(volume_node))
    inside = sorted(file for file in Path(folder).rglob("*") if file.is_file() and file.stat().st_size) if uids else []
    headers = [header for file in inside for header in read_headers(file) or ()]
    own = [header.file for header in headers if header.uid in uids]
    if headers and not own:
        raise InputError(
            _("{folder} holds another series than that of {volume_node}: choose its folder").format(
                folder=folder, volume_node=label(volume_node)
            )
        )
    return read_source_series(folder, files=own or None)


def segments_on_series(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    chosen: Iterable[SegmentEntry],
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    series: SourceSeries,
) -> list[Segment]:
    """Segments on the grid of the volume's series; see `segments_on_grid`.

    Slicer loads a series from a tilted gantry with right angles, so its voxels lie elsewhere than those of the series. Slices
    are matched by their UIDs then.
    """
    if not series.grid.is_tilted:
        return segments_on_grid(segmentation_node, chosen, volume_node, series.grid)
    grid = grid_of_volume(volume_node)
    index = {str(header.SOPInstanceUID): k for k, header in enumerate(series.slices)}
    order = [index.get(uid, -1) for uid in instance_uids(volume_node)]
    if grid.shape != series.grid.shape or sorted(order) != list(range(len(series.slices))):
        raise InputError(
            _(
                "the slices of {volume_node}, which a tilted gantry took, cannot be matched with those of the series: load the"
                " series again with the DICOM module"
            ).format(volume_node=label(volume_node))
        )
    in_order = np.argsort(order)
    segments = segments_on_grid(segmentation_node, chosen, volume_node, grid)
    return [replace(segment, mask=segment.mask[in_order]) for segment in segments]


def segments_on_grid(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    chosen: Iterable[SegmentEntry],
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    grid: Grid,
) -> list[Segment]:
    """Segments on a grid in the patient's coordinates of a volume.

    Parent transforms of the volume are taken back: DICOM coordinates are those that the volume was loaded with.

    Raises:
        InputError: a segment is empty, has no binary labelmap or lies outside of the grid, or volume and segmentation are
            under different transforms, of which one is not linear.
    """
    to_volume = ijk_to_node(volume_node) @ np.linalg.inv(ijk_to_other(volume_node, segmentation_node))
    found = []
    for entry in chosen:
        segment = segmentation_node.GetSegmentation().GetSegment(entry.segment_id)
        image, voxels = _labelmap(segment, entry)
        if not voxels.any():
            raise InputError(_("{segment} is empty: contour it first").format(segment=entry.segment_name))
        first_voxel = np.eye(4)
        first_voxel[:3, 3] = image.GetExtent()[::2]
        own_grid = Grid(voxels.shape, _RAS_TO_LPS @ to_volume @ image_to_node(image) @ first_voxel)
        mask, resampled = move_mask(voxels, own_grid, grid, entry.name)
        red, green, blue = segment.GetColor()
        found.append(
            Segment(
                entry.name,
                mask,
                entry.kind,
                (float(red), float(green), float(blue)),
                tag_of(segment, PROVENANCE_TAG),
                entry.review,
                resampled,
                anatomy_of_terminology(tag_of(segment, TERMINOLOGY_TAG)),
                side_of_terminology(tag_of(segment, TERMINOLOGY_TAG)),
            )
        )
    return found


def _without_empty(
    segmentation_node: slicer.vtkMRMLSegmentationNode, chosen: Iterable[SegmentEntry]
) -> tuple[list[SegmentEntry], list[str]]:
    """Entries of the segments that are not empty, and a note on the others. Raises InputError if all are empty."""
    segmentation, filled, empty = segmentation_node.GetSegmentation(), list[SegmentEntry](), list[str]()
    for entry in chosen:
        if _labelmap(segmentation.GetSegment(entry.segment_id), entry)[1].any():
            filled.append(entry)
        else:
            empty.append(entry.name)
    if not filled:
        raise InputError(_("all segments are empty: contour one first"))
    return filled, [_("Empty and left out: {names}.").format(names=", ".join(empty))] if empty else []


def _labelmap(segment: slicer.vtkSegment, entry: SegmentEntry) -> tuple[slicer.vtkOrientedImageData, np.ndarray]:
    """Binary labelmap of a segment, and its voxels as bool (k, j, i). Raises InputError if it has none."""
    image = segment.GetRepresentation("Binary labelmap")
    if image is None:
        raise InputError(
            _("{segment} has no binary labelmap: create it in the module Segmentations").format(
                segment=entry.segment_name
            )
        )
    scalars = image.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples():
        return image, np.zeros((0, 0, 0), bool)
    return image, vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]) == segment.GetLabelValue()


def grid_of_volume(volume_node: slicer.vtkMRMLScalarVolumeNode) -> Grid:
    """Grid of a volume in LPS, without parent transforms. Raises InputError if it has no voxels."""
    voxels = voxels_of(volume_node)
    k, j, i = voxels.shape[:3]
    return Grid((k, j, i), _RAS_TO_LPS @ ijk_to_node(volume_node))


def add_margin(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    entry: SegmentEntry,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    margin_mm: Sequence[float],
    name: str,
    avoid: SegmentEntry | None = None,
    inside: SegmentEntry | None = None,
) -> bool:
    """Add a segment that is another one grown by a margin, on the voxels of the volume. It may overlap others.

    Args:
        margin_mm: one margin, or six: left, right, anterior, posterior, superior, inferior.
        name: name of the new segment.
        avoid, inside: segments that the margin does not enter, or does not leave; None: none.

    Returns:
        Whether it reaches the edge of the volume, so that its margin may be cut off there.

    Raises:
        InputError: the margin is not valid, or a segment is empty or lies outside of the volume.
    """
    grid = grid_of_volume(volume_node)
    segment, *others = segments_on_grid(
        segmentation_node, [one for one in (entry, avoid, inside) if one is not None], volume_node, grid
    )
    avoided = [others.pop(0).mask] if avoid is not None else []
    grown = grow(segment.mask, grid, margin_mm, avoided, [one.mask for one in others])
    reference = reference_geometry(segmentation_node, volume_node)
    placed, outside = place_mask(grown, volume_node, segmentation_node, reference)
    if outside:
        raise InputError(
            _("the margin leaves the geometry of the segmentation: give it that of the volume (Segment Editor)")
        )
    made = slicer.vtkSegment()
    made.SetName(name)
    made.AddRepresentation("Binary labelmap", make_labelmap(reference, placed.box, placed.voxels))
    margin = " ".join(f"{mm:g}" for mm in margin_mm)
    made.SetTag(MARGIN_TAG, _("{margin} mm").format(margin=margin))
    limits = ([one.name] if one is not None else [] for one in (avoid, inside))
    made.SetTag(PROVENANCE_TAG, margin_provenance(segment, margin_mm, *limits))
    segmentation = segmentation_node.GetSegmentation()
    segmentation.AddSegment(made, segmentation.GenerateUniqueSegmentID(name))
    return at_edge(grown)


def measure_segments(
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    chosen: Iterable[SegmentEntry],
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    folder: str = "",
) -> tuple[list[Measurements], list[str]]:
    """Measure segments, and the volume's values in them, on the slices of the volume.

    Args:
        folder: as for `series_of`; its headers tell the unit of the values.

    Returns:
        Measurements, and a note on the segments that are empty and were left out.

    Raises:
        InputError: the volume has no voxels, all segments are empty, or as `segments_on_grid` does, and with a folder
            as `series_of` does.
    """
    grid, voxels = grid_of_volume(volume_node), voxels_of(volume_node)
    if voxels.ndim > 3:
        raise InputError(
            _("{volume_node} is in colour: choose a volume with one value per voxel").format(
                volume_node=label(volume_node)
            )
        )
    unit, factor = _unit(volume_node, folder)
    filled, notes = _without_empty(segmentation_node, chosen)
    axis = "K" if instance_uids(volume_node) else None  # Slicer loads slices of DICOM along K
    segments = segments_on_grid(segmentation_node, filled, volume_node, grid)
    return [measure(one.name, one.mask, grid, voxels, unit, factor, axis) for one in segments], notes


def _unit(volume_node: slicer.vtkMRMLScalarVolumeNode, folder: str) -> tuple[str, float]:
    """Unit of the volume's values times a factor, and that factor."""
    units = volume_node.GetVoxelValueUnits()
    code = str(units.GetCodeValue() or "") if units is not None else ""
    if code == "[hnsf'U]":
        return "HU", 1.0
    if code.startswith("g/ml{SUV"):
        return "SUV (g/ml)", 1.0
    files = series_files(volume_node)
    if files or folder:
        header = pydicom.dcmread(files[0], stop_before_pixels=True) if files else series_of(volume_node, folder).first
        if header.get("Modality") == "CT":
            return "HU", 1.0
        factor = suv_factor(header) if header.get("Modality") == "PT" else None
        if factor is not None:
            return "SUV (g/ml)", factor
    return "", 1.0


def add_table(measured: Sequence[Measurements]) -> tuple[slicer.vtkMRMLTableNode, str]:
    """Add a table of measurements to the scene. Returns it, and the same table as CSV."""
    rows = [measurement_row(one) for one in measured]
    name = slicer.mrmlScene.GenerateUniqueName(_("Measurements"))
    table_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    for column in MEASURE_COLUMNS:
        values = vtk.vtkStringArray()
        values.SetName(column)
        for row in rows:
            values.InsertNextValue(row.get(column, ""))
        table_node.AddColumn(values)
    return table_node, csv_text(MEASURE_COLUMNS, rows)
