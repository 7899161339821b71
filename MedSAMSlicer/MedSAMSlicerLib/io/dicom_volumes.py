"""Finds the volumes in a folder from a scanner or an archive, and chooses the one that is meant."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from .dicom_headers import PHASE_TAGS, FrameHeader, Series, read_headers

SAME_POSITION_MM = 0.01
_SAME_ORIENTATION = 1e-3
_LOCALIZER_WORDS = ("localizer", "localiser", "scout", "topogram", "surview", "survey")
# Localizers have few slices; a series with more is none, whatever it is called.
_MOST_LOCALIZER_SLICES = 12
_LISTED = 30


@dataclass
class DicomVolume:
    """Images of one series that have the same size, pixel spacing and orientation.

    Attributes:
        name: number of the series, with a running number where the series holds several volumes: "3", "3.1", "3.2".
        phases: time points or repetitions of the volume, each sorted along the normal of the slices.
        phase_name: DICOM attribute that tells the phases apart; "" for one phase.
    """

    series: Series
    name: str
    phases: list[list[FrameHeader]]
    phase_name: str = ""

    @property
    def first(self) -> FrameHeader:
        return self.phases[0][0]

    @property
    def has_place(self) -> bool:
        """Whether the images tell where they lie in the patient."""
        return self.first.position is not None and self.first.pixel_spacing is not None

    @property
    def is_auxiliary(self) -> bool:
        """Whether the volume is a localizer or a secondary capture, which come along with the volume that is meant."""
        description = self.series.description.lower()
        called_so = any(word in description for word in _LOCALIZER_WORDS)
        localizer = self.first.localizer or (called_so and len(self.phases[0]) <= _MOST_LOCALIZER_SLICES)
        return localizer or self.first.secondary

    @property
    def text(self) -> str:
        """Description for messages, for example "number 3: Chest 2.0, CT, 120 slices"."""
        slices = len(self.phases[0])
        parts = [
            f"number {self.name or '?'}: {self.series.description or 'without description'}",
            self.series.modality or "?",
            f"{slices} slice{'s' if slices > 1 else ''}",
        ]
        if len(self.phases) > 1:
            parts.append(f"{len(self.phases)} frames")
        return ", ".join(parts)


@dataclass
class _Found:
    headers: list[FrameHeader] = field(default_factory=list)
    without_image: int = 0
    empty_files: int = 0
    copies: int = 0


def find_volume(path: Path, wanted: str | None, files: Sequence[Path] | None = None) -> tuple[DicomVolume, list[str]]:
    """Find the volume that is meant.

    Args:
        path: folder, searched with all folders in it, or one DICOM file.
        files: files to read in place of all in the folder; the folder is named in messages only.
        wanted: number or UID of the series, or part of its description; None: the only one that is no localizer, secondary
            capture or document.

    Returns:
        The volume, and notes on what was left out.

    Raises:
        InputError: there is none, or several; the message lists them.
    """
    found = _read_all(_files(path) if files is None else files)
    volumes = _volumes(found.headers)
    if wanted is not None:
        chosen = [volume for volume in volumes if _matches(volume, wanted)]
        if not chosen:
            raise InputError(f"{path} has no series {wanted!r}: choose one of {_listed(volumes)}")
        # Part of a description may fit several series, and a series may hold a localizer.
        chosen = [one for one in chosen if one.series.description.lower() == wanted.strip().lower()] or chosen
        considered = chosen
    else:
        considered = volumes
    chosen = _meant(considered)
    left_out = [volume for volume in considered if volume not in chosen]
    if not chosen:
        raise InputError(f"{path} holds no DICOM image: give the folder in which the files of the series lie")
    if len(chosen) > 1:
        raise InputError(
            f"{path} holds {len(chosen)} volumes: {_listed(chosen)}: choose one with --series NUMBER, UID or TEXT"
        )
    return chosen[0], _notes(left_out, found if wanted is None else _Found())


def _read_all(files: Iterable[Path]) -> _Found:
    found, seen = _Found(), set[tuple[str, tuple[float, ...]]]()
    for file in files:
        if not file.is_file() or file.name.upper() == "DICOMDIR":  # a link that leads nowhere; a list of the files
            continue
        if not file.stat().st_size:
            found.empty_files += 1
            continue
        headers = read_headers(file)
        if headers is None:
            continue
        if not headers:
            found.without_image += 1
        elif headers[0].uid and _identity(headers[0]) in seen:
            found.copies += 1
        else:
            seen.add(_identity(headers[0]))
            found.headers += headers
    return found


def _identity(header: FrameHeader) -> tuple[str, tuple[float, ...]]:
    """What copies of an image share. Slices of broken exports share their UID, too, but do not lie in one place."""
    return header.uid, () if header.position is None else tuple(float(mm) for mm in header.position)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be listed ({error.strerror}): check its permissions") from error

    found = os.walk(path, onerror=refuse)
    return sorted(Path(folder, name) for folder, _folders, names in found for name in names)


def _volumes(headers: Iterable[FrameHeader]) -> list[DicomVolume]:
    by_series: dict[str, list[list[FrameHeader]]] = {}
    for header in headers:
        groups = by_series.setdefault(header.series.uid, [])
        for group in groups:
            if _alike(header, group[0]):
                group.append(header)
                break
        else:
            groups.append([header])
    volumes = []
    for groups in by_series.values():
        for n, group in enumerate(groups):
            series = group[0].series
            name = series.number if len(groups) == 1 else f"{series.number or '?'}.{n + 1}"
            volumes.append(DicomVolume(series, name, *_phases(group)))
    return volumes


def _alike(one: FrameHeader, other: FrameHeader) -> bool:
    """Whether two images may belong to one volume."""
    if (one.size, one.colour, one.stack, one.localizer) != (other.size, other.colour, other.stack, other.localizer):
        return False
    if one.position is None and (one.frame is not None or other.frame is not None) and one.file != other.file:
        return False  # each cine is a stack of its own
    if (one.position is None) != (other.position is None) or (one.pixel_spacing is None) != (
        other.pixel_spacing is None
    ):
        return False
    same_pixels = one.pixel_spacing is None or np.allclose(one.pixel_spacing, other.pixel_spacing or 0, rtol=1e-3)
    return same_pixels and (
        one.orientation is None
        or other.orientation is None
        or np.allclose(one.orientation, other.orientation, rtol=0, atol=_SAME_ORIENTATION)
    )


def _phases(headers: list[FrameHeader]) -> tuple[list[list[FrameHeader]], str]:
    """The images of a volume by phase, each sorted along the normal; and the attribute that tells phases apart.

    Where the images at one position are not the same number everywhere, all stay in one phase.
    """
    if headers[0].orientation is None:
        order = sorted(headers, key=lambda header: (str(header.file), header.frame or 0))
        by_number = all(isinstance(header.phase.get("InstanceNumber"), float) for header in headers)
        return [sorted(order, key=lambda header: header.phase["InstanceNumber"]) if by_number else order], ""
    normal = np.cross(*headers[0].orientation)
    along = {id(header): float(header.position @ normal) for header in headers if header.position is not None}
    ordered = sorted(headers, key=lambda header: along[id(header)])
    same = _same_position(np.array([along[id(header)] for header in ordered]))
    positions: list[list[FrameHeader]] = []
    for header in ordered:
        if positions and along[id(header)] - along[id(positions[-1][0])] < same:
            positions[-1].append(header)
        else:
            positions.append([header])
    ((repeats, _),) = Counter(map(len, positions)).most_common(1)
    if repeats == 1 or any(len(position) != repeats for position in positions):
        return [ordered], ""
    single = [(name,) for name in PHASE_TAGS]
    # Two times of two echoes: no attribute alone tells them apart.
    pairs = list(itertools.combinations(list(PHASE_TAGS)[:-1], 2))
    for names in [*single[:-1], *pairs, single[-1]]:
        values = [[tuple(header.phase.get(name) for name in names) for header in position] for position in positions]
        # Every phase has one value: of all positions, or, for times, one that is its own in each position.
        if all(not any(None in one for one in here) and len(set(map(str, here))) == repeats for here in values):
            for position in positions:
                position.sort(key=lambda header: [(isinstance(header.phase[n], str), header.phase[n]) for n in names])
            return [list(phase) for phase in zip(*positions, strict=True)], ", ".join(names)
    return [ordered], ""


def _same_position(places: np.ndarray) -> float:
    """Distance in mm below which two of these ascending places are one: scanners round the positions of each phase."""
    steps = np.diff(places)
    apart = steps[steps > 5 * SAME_POSITION_MM]
    return max(SAME_POSITION_MM, 0.2 * float(np.median(apart))) if apart.size else SAME_POSITION_MM


def _matches(volume: DicomVolume, wanted: str) -> bool:
    wanted = wanted.strip()
    exact = wanted in (volume.series.uid, volume.series.number, volume.name)
    return exact or (not wanted.isdigit() and wanted.lower() in volume.series.description.lower())


def _meant(volumes: list[DicomVolume]) -> list[DicomVolume]:
    """The volumes that a user who names none may mean: the best kind of which there is any."""
    placed = [volume for volume in volumes if volume.has_place]
    kinds = [
        [volume for volume in placed if not volume.is_auxiliary and len(volume.phases[0]) > 1],
        [volume for volume in placed if not volume.is_auxiliary],
        [volume for volume in volumes if not volume.is_auxiliary],
        placed,
        volumes,
    ]
    return next((kind for kind in kinds if kind), [])


def _listed(volumes: list[DicomVolume]) -> str:
    ordered = sorted(volumes, key=lambda one: [int(part) if part.isdigit() else 0 for part in one.name.split(".")])
    numbers = Counter(volume.name for volume in volumes)
    texts = [
        volume.text + (f", UID {volume.series.uid}" if numbers[volume.name] > 1 else "") for volume in ordered[:_LISTED]
    ]
    return "; ".join(texts) + ("; ..." if len(volumes) > _LISTED else "")


def _notes(left_out: list[DicomVolume], found: _Found) -> list[str]:
    parts = [volume.text for volume in left_out]
    if found.without_image:
        parts.append(f"{found.without_image} DICOM file{'s' if found.without_image > 1 else ''} without an image")
    if found.empty_files:
        parts.append(f"{found.empty_files} empty file{'s' if found.empty_files > 1 else ''}")
    if found.copies:
        parts.append(f"{found.copies} further cop{'ies' if found.copies > 1 else 'y'} of the same images")
    return [f"Left out: {'; '.join(parts)}."] if parts else []
