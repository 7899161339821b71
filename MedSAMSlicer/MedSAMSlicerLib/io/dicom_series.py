"""Reads a DICOM volume, or a stack of pictures in DICOM files, as an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..engine.errors import InputError
from .dicom_headers import FrameHeader
from .dicom_volumes import SAME_POSITION_MM, DicomVolume, find_volume
from .image import Image

# Slices count as evenly spaced if none is further from the best-fit line than this share of the step. From the second
# figure on, it is noted: scanners round positions to a few digits.
_UNEVEN, _NOTED_UNEVEN_MM = 0.1, 0.01
# Sideways drift over the whole stack, in pixels: less than this moves no contour to another pixel.
_DRIFT_PIXELS = 0.25


class DicomSource:
    """The volume in a folder that is meant; its phases are read one at a time.

    Args:
        path: folder, searched with all folders in it, or one DICOM file.
        series: number or UID of the series, or part of its description; None: the only one.

    Raises:
        InputError: no volume is found, or several.
    """

    def __init__(self, path: Path, series: str | None) -> None:
        self.path = path
        self._volume, self._notes = find_volume(path, series)

    @property
    def frames(self) -> int:
        """Number of phases."""
        return len(self._volume.phases)

    @property
    def frames_are(self) -> str:
        """What tells the phases apart, for messages."""
        return self._volume.phase_name

    def read(self, frame: int) -> Image:
        """Read a phase. Slices are sorted along their normal.

        Voxels are int16 if all rescaled values are whole numbers that fit, otherwise int32 or float32. They are not
        checked.

        Raises:
            InputError: slices lie at one position, are missing or unevenly spaced, or cannot be decoded.
        """
        from .dicom_pixels import read_voxels  # needs pydicom 3, and slices_grid is for Slicer 5.10 as well

        headers = self._volume.phases[frame]
        notes = list(self._notes)
        if self._volume.has_place:
            direction, spacing, origin = slices_grid(self.path, headers, notes)
        elif len({header.position is None for header in headers}) == 1 and _is_picture(self._volume):
            direction, spacing, origin = np.eye(3), _picture_spacing(headers, notes), (0.0, 0.0, 0.0)
        else:
            raise InputError(
                f"{headers[0].file} has no position in the patient (pixel spacing, orientation or position is missing or "
                "wrong): give a series of CT, MR or PET slices"
            )
        voxels = read_voxels(headers)
        voxels.flags.writeable = False
        return Image(voxels, spacing, origin, direction, self._volume.series.modality or None, self.path, tuple(notes))


def _is_picture(volume: DicomVolume) -> bool:
    """Whether images without a place may be contoured as pictures, one by one: not those of a tomograph."""
    return volume.first.colour or volume.series.modality not in ("CT", "MR", "PT", "NM")


def _picture_spacing(headers: list[FrameHeader], notes: list[str]) -> tuple[float, float, float]:
    files = len({header.file for header in headers})
    if files > 1:
        notes.append(f"{files} pictures of one series are taken as slices.")
    stated = headers[0].pixel_spacing
    if stated is None:
        notes.append("The file does not state the size of a pixel: taken as 1 mm, so volumes are not millilitres.")
    elif len(headers) > 1:
        notes.append("Pictures have no distance from each other: taken as 1 mm, so volumes are not millilitres.")
    between_rows, between_columns = stated or (1.0, 1.0)
    return between_columns, between_rows, 1.0


def slices_grid(
    path: Path, headers: list[FrameHeader], notes: list[str]
) -> tuple[np.ndarray, tuple[float, float, float], tuple[float, float, float]]:
    """Direction, spacing and origin of slices that are sorted along their normal and have a place; see `Image`.

    Args:
        path: for messages.
        notes: gets what a user should know.

    Raises:
        InputError: slices lie at one position, are missing, unevenly spaced or shifted sideways unevenly.
    """
    first = headers[0]
    assert first.orientation is not None and first.pixel_spacing is not None
    row, column = first.orientation
    normal = np.cross(row, column)
    positions = np.array([header.position for header in headers])
    spacing = _slice_spacing(path, headers, positions @ normal, notes)
    step = _step(path, positions, normal, spacing, min(first.pixel_spacing), notes)
    between_rows, between_columns = first.pixel_spacing
    x, y, z = (float(mm) for mm in positions[0])
    return np.stack([row, column, step], axis=1), (between_columns, between_rows, spacing), (x, y, z)


def _slice_spacing(path: Path, headers: list[FrameHeader], at: np.ndarray, notes: list[str]) -> float:
    """Distance in mm between slices at these ascending places along the normal."""
    if len(headers) == 1:
        if headers[0].thickness is None:
            raise InputError(f"{path} holds one slice whose thickness is not known: give a series of slices")
        return headers[0].thickness
    steps = np.diff(at)
    if steps.min() < SAME_POSITION_MM:
        n = int(steps.argmin())
        raise InputError(
            f"{path} holds several slices at one position ({headers[n].file.name} and {headers[n + 1].file.name} "
            f"at {at[n]:.2f} mm; {int((steps < SAME_POSITION_MM).sum())} such in all): "
            "keep one phase, echo or repetition in the folder"
        )
    step, start = np.polyfit(np.arange(len(at)), at, 1)
    deviation = float(np.abs(at - (start + step * np.arange(len(at)))).max())
    if deviation > max(_UNEVEN * step, SAME_POSITION_MM):
        raise _uneven(path, at, steps)
    if deviation > _NOTED_UNEVEN_MM:
        notes.append(
            f"Slices deviate by up to {deviation:.2g} mm from an even spacing of {step:.4g} mm: taken as even."
        )
        return float(step)
    return float((at[-1] - at[0]) / len(steps))


def _uneven(path: Path, at: np.ndarray, steps: np.ndarray) -> InputError:
    """What is wrong with slices that are not evenly spaced: some are missing, or not."""
    # The lower median: of two steps, one of them across a gap, it is the right one.
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    wrong = np.flatnonzero(np.abs(steps - usual) > max(SAME_POSITION_MM, 2 * _UNEVEN * usual))
    if not wrong.size:  # small steps that add up
        wrong = np.flatnonzero(np.abs(steps - usual) == np.abs(steps - usual).max())
    where = ", ".join(f"{at[n]:.2f} to {at[n + 1]:.2f} mm" for n in wrong[:3]) + (", ..." if wrong.size > 3 else "")
    times = np.rint(steps[wrong] / usual)
    if np.all((times >= 2) & (np.abs(steps[wrong] - times * usual) <= 2 * _UNEVEN * usual)):
        missing = int(times.sum()) - wrong.size
        return InputError(
            f"{path} misses {missing} slice{'s' if missing > 1 else ''} of the series (positions jump from {where}, "
            f"slices are {usual:.4g} mm apart): copy or export the series again, whole"
        )
    return InputError(
        f"{path} has unevenly spaced slices (usually {usual:.4g} mm apart, but not from {where}): "
        "give an evenly spaced series, or resample it and save it as NRRD"
    )


def _step(
    path: Path, positions: np.ndarray, normal: np.ndarray, spacing: float, pixel: float, notes: list[str]
) -> np.ndarray:
    """Vector from slice to slice, divided by their distance: the normal, with a sideways part if the gantry was tilted.

    Raises:
        InputError: slices are shifted sideways, and not evenly.
    """
    limit = max(SAME_POSITION_MM, _DRIFT_PIXELS * pixel)
    offsets = positions - positions[0]
    sideways = offsets - np.outer(offsets @ normal, normal)
    if np.linalg.norm(sideways, axis=1).max() <= limit:
        return normal
    number = np.arange(len(positions))
    shift = sideways.T @ number / (number @ number)  # the best fit through the first slice
    if np.linalg.norm(sideways - np.outer(number, shift), axis=1).max() > limit:
        n = int(np.linalg.norm(sideways, axis=1).argmax())
        raise InputError(
            f"{path} has slices that are shifted sideways unevenly (by up to {np.linalg.norm(sideways[n]):.2f} mm): "
            "give a series that one scan has made"
        )
    tilt = np.degrees(np.arctan2(np.linalg.norm(shift), spacing))
    notes.append(f"The gantry was tilted by {tilt:.1f} degrees: slices are contoured as they were taken.")
    return normal + shift / spacing
