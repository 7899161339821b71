"""Measurements of a segment: volume, diameters, surface, parts, and the image's values in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import label

from ..engine.errors import InputError
from ..engine.i18n import tr as _
from ..engine.masks import bounding_box
from ..engine.stack import array_axis
from .diameters import largest_diameters
from .grid import Grid
from .recist import is_node, measurability_note

PERCENTILES = (5, 25, 50, 75, 95)
AXIS_NOTE = "the spacing does not tell the original slices: those along K were taken"


@dataclass(frozen=True)
class Values:
    """Values of the image in a segment.

    Attributes:
        unit: "HU", "SUV (g/ml)" or "" for arbitrary units.
        mean, sd, minimum, maximum: sd is that of the voxels, with N as divisor.
        percentiles: percentile -> value.
    """

    unit: str
    mean: float
    sd: float
    minimum: float
    maximum: float
    percentiles: dict[int, float]


@dataclass(frozen=True)
class Measurements:
    """What was measured of one segment.

    Attributes:
        name: name of the segment.
        volume_ml: number of voxels times their volume.
        surface_mm2: area of the surface, estimated from the voxels by Crofton's formula.
        parts: number of parts that touch nowhere, not even at a corner.
        longest_mm, perpendicular_mm: diameters on the slice `slice`, see `Diameters`.
        axis: index axis along which slices are counted.
        slice_mm: distance between them.
        values: values of the image; None without an image.
        notes: what a reader has to know.
    """

    name: str
    volume_ml: float
    surface_mm2: float
    parts: int
    longest_mm: float
    perpendicular_mm: float
    slice: int
    axis: str
    slice_mm: float
    values: Values | None
    notes: tuple[str, ...]

    @property
    def recist_mm(self) -> float:
        """The diameter that RECIST adds up: the longest one, of lymph nodes the perpendicular one."""
        return self.perpendicular_mm if is_node(self.name) else self.longest_mm


def measure(
    name: str,
    mask: np.ndarray,
    grid: Grid,
    voxels: np.ndarray | None = None,
    unit: str = "",
    factor: float = 1.0,
    axis: str | None = None,
) -> Measurements:
    """Measure a segment.

    Args:
        name: name of the segment.
        mask: bool (k, j, i).
        grid: its grid.
        voxels: (k, j, i) values of the image on the same grid, if they are to be measured.
        unit: unit of the values times `factor`.
        factor: for example from Bq/ml to SUV.
        axis: index axis across the original slices, as RECIST wants; by default K, which is noted where the spacing does
            not bear it out.

    Raises:
        InputError: the mask is empty.
    """
    box = bounding_box(mask)
    if box is None:
        raise InputError(_("{name} is empty: leave it out, or contour it first").format(name=name))
    cropped = np.pad(mask[box], 1)
    k_mm, j_mm, i_mm = grid.spacing_kji
    unsure = axis is None and k_mm < 1.01 * max(i_mm, j_mm)
    axis = axis or "K"
    across = array_axis(axis)
    rows, columns = (mm for n, mm in enumerate(grid.spacing_kji) if n != across)
    found = largest_diameters(np.moveaxis(mask[box], across, 0), (rows, columns))
    assert found is not None  # the mask is not empty
    image = sitk.GetImageFromArray(cropped.astype(np.uint8))
    image.SetSpacing((i_mm, j_mm, k_mm))
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(image)
    notes = [measurability_note(name, found.longest_mm, found.perpendicular_mm, grid.spacing_kji[across])]
    if unsure:
        notes.append(AXIS_NOTE)
    inside = None if voxels is None else voxels[box][mask[box]].astype(float) * factor
    if inside is not None and not np.isfinite(inside).all():
        notes.append(f"{np.count_nonzero(~np.isfinite(inside))} voxels are no numbers and were left out")
        inside = inside[np.isfinite(inside)]
    return Measurements(
        name=name,
        volume_ml=float(np.count_nonzero(cropped)) * grid.voxel_ml,
        surface_mm2=float(shape.GetPerimeter(1)),
        parts=int(label(cropped, np.ones((3, 3, 3)))[1]),
        longest_mm=found.longest_mm,
        perpendicular_mm=found.perpendicular_mm,
        slice=found.index + box[across].start,
        axis=axis,
        slice_mm=float(grid.spacing_kji[across]),
        values=None if inside is None or not inside.size else _values(inside, unit),
        notes=tuple(filter(None, notes)),
    )


def _values(inside: np.ndarray, unit: str) -> Values:
    percentiles = dict(zip(PERCENTILES, np.percentile(inside, PERCENTILES).tolist(), strict=True))
    return Values(
        unit, float(inside.mean()), float(inside.std()), float(inside.min()), float(inside.max()), percentiles
    )
