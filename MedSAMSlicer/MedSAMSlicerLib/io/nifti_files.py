"""What niftilib passes over in silence: it fills up cut files with zeros, and makes NaN and infinite voxels zero."""

from __future__ import annotations

import gzip
import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import SimpleITK as sitk

from .voxel_checks import check_finite

_FLOAT_TYPES = {16: "f4", 64: "f8"}
_HEADER_SIZES = (348, 540)
_VOXELS_AT_ONCE = 1 << 20


def check_nifti(path: Path, header: sitk.ImageFileReader, *, finite: bool) -> None:
    """Read a NIfTI file to its end, block by block.

    Args:
        path: `.nii` or `.nii.gz`.
        header: reader that has read the file's header.
        finite: whether NaN and infinite voxels are to be refused.

    Raises:
        InputError: `finite`, and there are such voxels.
        OSError, EOFError, zlib.error: the file is cut or damaged.
    """
    dimensions = [int(header.GetMetaData(f"dim[{n}]")) for n in range(8)]
    dimensions = dimensions[1 : dimensions[0] + 1]
    kind = _FLOAT_TYPES.get(int(header.GetMetaData("datatype")))
    item = int(header.GetMetaData("bitpix")) // 8
    with _opened(path) as file:
        start = file.read(int(float(header.GetMetaData("vox_offset"))))
        dtype = np.dtype(_byte_order(start) + kind if kind else f"V{item}")
        blocks = _blocks(file, dtype, math.prod(dimensions))
        if finite and kind:
            check_finite(path, blocks, tuple(dimensions[2::-1]))
        deque(blocks, maxlen=0)
        # A gzip file ends with its checksum, which is compared only by reading up to it.
        while file.read(1 << 16):
            pass


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _blocks(file: IO[bytes], dtype: np.dtype, count: int) -> Iterator[np.ndarray]:
    while count:
        expected = min(count, _VOXELS_AT_ONCE)
        block = file.read(expected * dtype.itemsize)
        if len(block) < expected * dtype.itemsize:
            raise EOFError(f"{count} voxels or less are missing")
        yield np.frombuffer(block, dtype)
        count -= expected


def _byte_order(header: bytes) -> str:
    return "<" if int.from_bytes(header[:4], "little") in _HEADER_SIZES else ">"
