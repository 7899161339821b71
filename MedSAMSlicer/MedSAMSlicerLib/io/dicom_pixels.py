"""Decodes the pixels of DICOM images with pydicom and GDCM, and converts stored values to scanner values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby

import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, iter_pixels

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from .dicom_headers import FrameHeader
from .native_messages import native_messages_logged

# Modalities whose stored values are measurements: MONOCHROME1 changes how they are shown, not what they are.
_MEASURED = ("CT", "MR", "PT", "NM", "RTDOSE")
_log = get_logger(__name__)


def read_voxels(headers: Sequence[FrameHeader]) -> np.ndarray:
    """Voxels of the images, in this order.

    Returns:
        (n, rows, columns) scanner values in the smallest sufficient type of int16, int32 and float32; for colour
        (n, rows, columns, 3) uint8.

    Raises:
        InputError: a file cannot be decoded.
    """
    rows, columns = headers[0].size
    shape = (len(headers), rows, columns)
    voxels = np.zeros((*shape, 3), np.uint8) if headers[0].colour else np.zeros(shape, np.int16)
    for k, values in enumerate(_decoded(headers)):
        if values.shape != voxels.shape[1:]:
            raise InputError(
                f"{headers[k].file} does not contain the image that its header describes: export the series again"
            )
        if not headers[0].colour:
            # Slices may differ in slope, so the type of the first one may not suffice for all.
            dtype = _dtype_for(voxels.dtype, values)
            if dtype != voxels.dtype:
                voxels = voxels.astype(dtype)
        voxels[k] = values
    return voxels


def _decoded(headers: Sequence[FrameHeader]) -> Iterator[np.ndarray]:
    """Scanner values or colours of each image. A file is opened once for images of it that follow each other."""
    for file, group in groupby(headers, key=lambda header: header.file):
        images = list(group)
        try:
            with warnings.catch_warnings(), file.open("rb") as stream:
                warnings.simplefilter("ignore")
                # Closed before the file is: it goes back to where it began.
                with closing(iter_pixels(stream, indices=[header.frame or 0 for header in images])) as frames:
                    for header in images:
                        with native_messages_logged():
                            pixels = next(frames)
                        yield _colours(pixels, header) if header.colour else _values(pixels, header)
        except Exception as error:  # pydicom and its plugins raise various exceptions on broken pixel data
            _log.debug("a DICOM image cannot be decoded: %s", type(error).__name__)
            raise InputError(
                f"{file} cannot be decoded: damaged, or compressed in an unknown way; export the series again"
            ) from error


def _values(pixels: np.ndarray, header: FrameHeader) -> np.ndarray:
    if header.photometric == "MONOCHROME1" and header.series.modality not in _MEASURED:
        pixels = sum(header.lowest_and_highest) - pixels.astype(np.int32)
    slope, intercept = header.rescale or (1.0, 0.0)
    if (slope, intercept) == (1.0, 0.0):
        return pixels
    if slope.is_integer() and intercept.is_integer():
        # 32 bits hold every product of 16-bit values with ordinary slopes, and take half the time of 64.
        small = pixels.dtype.itemsize <= 2 and abs(slope) < 1 << 14 and abs(intercept) < 1 << 30
        wide = np.dtype(np.int32 if small else np.int64)
        return np.multiply(pixels, int(slope), dtype=wide) + wide.type(int(intercept))
    return pixels.astype(np.float64) * slope + intercept


def _colours(pixels: np.ndarray, header: FrameHeader) -> np.ndarray:
    """uint8 red, green, blue. Deeper pixels keep their highest bits."""
    if header.photometric == "PALETTE COLOR":
        dataset = pydicom.dcmread(header.file, stop_before_pixels=True, force=True)
        pixels = apply_color_lut(pixels, dataset)
    return pixels if pixels.dtype == np.uint8 else (pixels >> (8 * pixels.dtype.itemsize - 8)).astype(np.uint8)


def _dtype_for(so_far: np.dtype, values: np.ndarray) -> np.dtype:
    """The smallest type that can represent everything that `so_far` can, and `values`."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        return np.dtype(np.float32)
    for dtype in (np.int16, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= values.min() and values.max() <= limits.max:
            return np.promote_types(so_far, dtype) if so_far.kind == "i" else so_far
    return np.dtype(np.float32)
