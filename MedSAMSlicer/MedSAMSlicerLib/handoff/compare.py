"""Comparison of two segmentations of the same patient: agreement on one grid, change, and response."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine.errors import InputError
from ..engine.stack import array_axis
from .grid import Grid, move_mask
from .measure import AXIS_NOTE, Measurements, measure
from .read_segments import SegmentSet
from .recist import Response, response
from .segments import Segment

_SAME_DIRECTION = np.cos(np.radians(20))


@dataclass(frozen=True)
class Comparison:
    """One segment at two times, or of two observers.

    Attributes:
        name: name of the segment.
        first, second: measurements; None where it is missing.
        dsc, nsd, hd95_mm: agreement of the second with the first, see `evaluation.metrics.Agreement`; None if it was not
            computed.
        gone: whether it counts as gone at the second time, with no volume and no diameter.
        notes: what a reader has to know.
    """

    name: str
    first: Measurements | None
    second: Measurements | None
    dsc: float | None = None
    nsd: float | None = None
    hd95_mm: float | None = None
    gone: bool = False
    notes: tuple[str, ...] = ()

    @property
    def volume_change_pct(self) -> float:
        """Change of the volume in percent of the first; NaN if it is missing in the first."""
        return _change(_value(self.first, "volume_ml"), _value(self.second, "volume_ml"))

    @property
    def diameter_change_pct(self) -> float:
        """Change of the diameter that RECIST takes, in percent of the first; NaN if it is missing in the first."""
        return _change(_value(self.first, "recist_mm"), _value(self.second, "recist_mm"))


@dataclass(frozen=True)
class SetComparison:
    """Two segmentations compared.

    Attributes:
        segments: one for each name, those of the first segmentation first.
        response: response of all segments as target lesions; None if it was not asked for.
        notes: what a reader has to know of both together.
    """

    segments: tuple[Comparison, ...]
    response: Response | None
    notes: tuple[str, ...] = ()


def _value(measurements: Measurements | None, attribute: str) -> float:
    """0 for a segment that is missing."""
    return 0.0 if measurements is None else float(getattr(measurements, attribute))


def _change(before: float, after: float) -> float:
    return 100 * (after - before) / before if before else math.nan


def compare(
    first: SegmentSet,
    second: SegmentSet,
    *,
    recist: bool = False,
    nadir_mm: float | None = None,
    names: Sequence[str] = (),
    axis: str | None = None,
) -> SetComparison:
    """Compare the segments of the same name of two segmentations, from `read_segments`.

    If each has one segment only, these two are compared whatever they are called: labelmaps are called like their files.

    Args:
        first: segments of the earlier time, or the reference.
        second: segments of the same image, or of a later time; see `recist`.
        recist: False: of the same image. The agreement is computed on the grid of the first, to which the second is
            resampled if need be. True: of two times. The response by RECIST 1.1 is that of all segments as target lesions, of
            which the second may be empty: a target without contours is gone.
        nadir_mm: smallest sum of diameters since the first time, for `recist`; by default that of the first time.
        names: segments to compare, by name; by default all.
        axis: index axis across the original slices; by default that of the series, or K.

    Raises:
        InputError: the first has no segment, or there is none of a name; a name is there twice; without `recist`, no name is
            there on both sides, or a segment of the second lies outside of the first; a target of the first could not be
            read in the second, see `SegmentSet.left_out`; or `nadir_mm` is not valid.
    """
    if nadir_mm is not None and (not recist or not (math.isfinite(nadir_mm) and nadir_mm >= 0)):
        raise InputError("the smallest sum of diameters (--nadir) is in mm and belongs to --recist: give both")
    before, after, pairing = _chosen(first, second, names)
    grids, axes, notes = [first.grid, second.grid], [axis or first.axis, axis or second.axis], list[str]()
    if not recist:
        if not before.keys() & after.keys():
            raise InputError(
                "the segmentations have no segment of the same name: rename one, or compare times with --recist"
            )
        if second.grid is not first.grid:
            after = {name: _moved(segment, second.grid, first.grid, notes) for name, segment in after.items()}
        grids, axes = [first.grid] * 2, axes[:1] * 2
    measured = [
        {name: measure(name, one.mask, grid, axis=along) for name, one in segments.items()}
        for segments, grid, along in zip((before, after), grids, axes, strict=True)
    ]
    found = []
    for name in [*before, *(name for name in after if name not in before)]:
        compared = Comparison(name, measured[0].get(name), measured[1].get(name), notes=pairing)
        if name not in before:
            compared = replace(compared, notes=("only in the second",))
        elif name not in after:
            compared = replace(compared, gone=recist, notes=(_why_missing(name, second, recist),))
        elif not recist:
            compared = _with_agreement(compared, before[name], after[name], first.grid)
        found.append(compared)
    if not recist:
        return SetComparison(tuple(found), None, tuple(notes))
    sums = [{name: one.recist_mm for name, one in of_time.items()} for of_time in measured]
    return SetComparison(tuple(found), response(sums[0], sums[1], nadir_mm), tuple(_doubts(measured, grids)))


def _chosen(
    first: SegmentSet, second: SegmentSet, names: Sequence[str]
) -> tuple[dict[str, Segment], dict[str, Segment], tuple[str, ...]]:
    """Segments of both by name, and a note if two of different names are paired."""
    if names:
        before = [first.named(name) for name in names]
        # A target that has disappeared is missing at the later time.
        return _by_name(before), _by_name([one for one in second.segments if one.name in names]), ()
    if not first.segments:
        raise InputError("the first segmentation has no segment: give one with a contoured segment")
    alone = all(len(one.segments) == 1 and not (one.empty or one.left_out) for one in (first, second))
    if not alone or first.segments[0].name == second.segments[0].name:
        return _by_name(first.segments), _by_name(second.segments), ()
    [one], [other] = first.segments, second.segments
    note = f"{one.name} of the first is compared with {other.name} of the second: neither has another segment"
    return {one.name: one}, {one.name: replace(other, name=one.name)}, (note,)


def _by_name(segments: Sequence[Segment]) -> dict[str, Segment]:
    found = {segment.name: segment for segment in segments}
    if len(found) < len(segments):
        [(name, _count)] = Counter(segment.name for segment in segments).most_common(1)
        raise InputError(f"there are several segments {name}: rename one")
    return found


def _moved(segment: Segment, grid: Grid, target: Grid, notes: list[str]) -> Segment:
    mask, resampled = move_mask(segment.mask, grid, target, segment.name)
    if resampled:
        notes.append(f"{segment.name} was resampled to the voxels of the first segmentation")
    return replace(segment, mask=mask)


def _why_missing(name: str, second: SegmentSet, recist: bool) -> str:
    """What a reader has to know of a segment that the second does not have."""
    if not recist:
        return "only in the first"
    if name in second.left_out:
        raise InputError(
            f"{name} of the second segmentation could not be read, so nobody knows whether it is gone: contour it with "
            "closed contours inside of the image, or choose other segments with --segment"
        )
    return "gone: it has no contours in the second" if name in second.empty else "taken as gone: only in the first"


def _with_agreement(compared: Comparison, first: Segment, second: Segment, grid: Grid) -> Comparison:
    from ..evaluation.metrics import agreement  # needs surface-distance, which Slicer lacks

    scores = agreement(second.mask, first.mask, grid.spacing_kji)
    return replace(compared, dsc=scores.dsc, nsd=scores.nsd_2mm, hd95_mm=scores.hd95_mm)


def _doubts(measured: Sequence[Mapping[str, Measurements]], grids: Sequence[Grid]) -> list[str]:
    """Why diameters at two times may not compare."""
    found = [one for of_time in measured for one in of_time.values()]
    doubts = [AXIS_NOTE + ", --axis states others"] if any(AXIS_NOTE in one.notes for one in found) else []
    normals = []
    for of_time, grid in zip(measured, grids, strict=True):
        for one in list(of_time.values())[:1]:
            across = grid.ijk_to_lps[:3, 2 - array_axis(one.axis)]
            normals.append(across / np.linalg.norm(across))
    if len(normals) == 2 and abs(normals[0] @ normals[1]) < _SAME_DIRECTION:
        doubts.append("the slices of the two times lie at an angle, so their diameters do not compare")
    return doubts
