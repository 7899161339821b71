"""Reads a folder with one DICOM series as a 3D image.

pydicom reads the headers, because the tags of every slice are checked. GDCM (SimpleITK) reads the pixels, because it
decodes compressed transfer syntaxes and applies rescale slope and intercept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from .dicom_headers import SliceHeader, headers_of_only_series
from .image import Image
from .native_messages import native_messages_logged

_SPACING_TOLERANCE = 0.01
_TOLERANCE_FLOOR_MM = 0.01
_ORIENTATION_TOLERANCE = 1e-3
# Sideways drift over the whole stack, in pixels: less than this moves no contour to another pixel.
_DRIFT_PIXELS = 0.25
_log = get_logger(__name__)


def load_series(folder: Path) -> Image:
    """Read the only DICOM series in `folder`; subfolders are not searched.

    Slices are sorted along their normal. Voxels are int16 if all rescaled values are whole numbers that fit, otherwise
    int32 or float32. Voxel values are not checked.

    Raises:
        InputError: no image series or several; multi-frame or colour images; slices without position, of different
            size or orientation, at one position, missing, unevenly spaced or sheared; a slice that cannot be decoded.
    """
    headers = headers_of_only_series(folder)
    first = headers[0]
    _check_uniform(folder, headers)
    row, column = first.orientation
    normal = np.cross(row, column)
    headers = sorted(headers, key=lambda header: float(header.position @ normal))
    spacing = _slice_spacing(folder, headers, normal)
    _check_upright(folder, headers, normal)
    voxels = _voxels(headers)
    voxels.flags.writeable = False
    between_rows, between_columns = first.pixel_spacing
    x, y, z = (float(mm) for mm in headers[0].position)
    direction = np.stack([row, column, normal], axis=1)
    return Image(voxels, (between_columns, between_rows, spacing), (x, y, z), direction, first.modality, folder)


def _check_uniform(folder: Path, headers: list[SliceHeader]) -> None:
    first = headers[0]
    for other in headers[1:]:
        if other.size != first.size or not np.allclose(other.pixel_spacing, first.pixel_spacing, rtol=1e-3):
            raise InputError(
                f"{folder} mixes slices of different size or pixel spacing ({_grid(first)}; {_grid(other)}): "
                "keep one kind in the folder"
            )
        if not np.allclose(other.orientation, first.orientation, rtol=0, atol=_ORIENTATION_TOLERANCE):
            raise InputError(
                f"{folder} mixes slices of different orientation ({first.file.name} and {other.file.name} are not "
                "parallel): keep one orientation in the folder"
            )


def _grid(header: SliceHeader) -> str:
    rows, columns = header.size
    between_rows, between_columns = header.pixel_spacing
    return f"{header.file.name}: {columns} x {rows} at {between_columns:g} x {between_rows:g} mm"


def _slice_spacing(folder: Path, headers: list[SliceHeader], normal: np.ndarray) -> float:
    """Distance in mm between slices that are sorted along `normal`."""
    if len(headers) == 1:
        if headers[0].thickness is None:
            raise InputError(f"{folder} holds one slice whose thickness is not known: give a series of slices")
        return headers[0].thickness
    at = np.array([header.position @ normal for header in headers])
    steps = np.diff(at)
    if steps.min() < _TOLERANCE_FLOOR_MM:
        n = int(steps.argmin())
        raise InputError(
            f"{folder} holds several slices at one position ({headers[n].file.name} and {headers[n + 1].file.name} "
            f"at {at[n]:.2f} mm; {int((steps < _TOLERANCE_FLOOR_MM).sum())} such in all): "
            "keep one phase, echo or repetition in the folder"
        )
    # The lower median: of two steps, one of them across a gap, it is the right one.
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    tolerance = max(_TOLERANCE_FLOOR_MM, _SPACING_TOLERANCE * usual)
    wrong = np.flatnonzero(np.abs(steps - usual) > tolerance)
    if wrong.size == 0:
        return float((at[-1] - at[0]) / len(steps))
    where = ", ".join(f"{at[n]:.2f} to {at[n + 1]:.2f} mm" for n in wrong[:3]) + (", ..." if wrong.size > 3 else "")
    times = np.rint(steps[wrong] / usual)
    if np.all((times >= 2) & (np.abs(steps[wrong] - times * usual) <= tolerance * times)):
        missing = int(times.sum()) - wrong.size
        raise InputError(
            f"{folder} misses {missing} slice{'s' if missing > 1 else ''} of the series (positions jump from {where}, "
            f"slices are {usual:.4g} mm apart): copy or export the series again, whole"
        )
    raise InputError(
        f"{folder} has unevenly spaced slices (usually {usual:.4g} mm apart, but not from {where}): "
        "give an evenly spaced series, or resample it and save it as NRRD"
    )


def _check_upright(folder: Path, headers: list[SliceHeader], normal: np.ndarray) -> None:
    """Check that slices are stacked along their normal: the axes of an image grid are perpendicular."""
    offsets = np.array([header.position for header in headers]) - headers[0].position
    sideways = np.linalg.norm(offsets - np.outer(offsets @ normal, normal), axis=1)
    if sideways.max() <= max(_TOLERANCE_FLOOR_MM, _DRIFT_PIXELS * min(headers[0].pixel_spacing)):
        return
    n = int(sideways.argmax())
    tilt = np.degrees(np.arctan2(sideways[n], offsets[n] @ normal))
    raise InputError(
        f"{folder} has slices that are not stacked along their normal (tilted gantry, about {tilt:.1f} degrees; the "
        f"stack moves {sideways[n]:.2f} mm sideways): correct the tilt, for instance by loading it in 3D Slicer with "
        "acquisition geometry regularization, and save it as NRRD"
    )


def _voxels(headers: list[SliceHeader]) -> np.ndarray:
    """(k, j, i) rescaled values in the smallest sufficient type of int16, int32 and float32."""
    rows, columns = headers[0].size
    voxels = np.zeros((len(headers), rows, columns), np.int16)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    for k, header in enumerate(headers):
        reader.SetFileName(str(header.file))
        try:
            with native_messages_logged():
                image = reader.Execute()
        except RuntimeError as error:  # SimpleITK raises nothing else
            _log.debug("a DICOM series cannot be read: %s", error)
            raise InputError(
                f"{header.file} cannot be decoded: damaged, or compressed in an unknown way; export the series again"
            ) from error
        values = sitk.GetArrayViewFromImage(image)
        if values.shape != (1, rows, columns):
            raise InputError(
                f"{header.file} does not contain the one slice that its header describes: export the series again"
            )
        # Slices may differ in slope, so the type of the first one may not suffice for all.
        dtype = _dtype_for(voxels.dtype, values)
        if dtype != voxels.dtype:
            voxels = voxels.astype(dtype)
        voxels[k] = values[0]
    return voxels


def _dtype_for(so_far: np.dtype, values: np.ndarray) -> np.dtype:
    """The smallest type that can represent everything that `so_far` can, and `values`."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        return np.dtype(np.float32)
    for dtype in (np.int16, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= values.min() and values.max() <= limits.max:
            return np.promote_types(so_far, dtype) if so_far.kind == "i" else so_far
    return np.dtype(np.float32)
