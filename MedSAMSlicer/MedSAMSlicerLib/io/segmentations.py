"""Segmentations to files: Slicer segmentations and labelmaps."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..engine.errors import InputError
from .image_files import load_file
from .image_types import Image
from .native_messages import native_messages_logged
from .output_files import cannot_write, write_atomically

SLICER_ENDING = ".seg.nrrd"
SEGMENTATION_ENDINGS = (SLICER_ENDING, ".nrrd", ".nii.gz", ".mha")
_log = logging.getLogger(__name__)


def check_output(
    path: Path | str, inputs: Iterable[Path | str], endings: tuple[str, ...] = SEGMENTATION_ENDINGS
) -> None:
    """Refuse an output that could not be written, or would spoil an input, before any work is done for it.

    Args:
        path: file that is to be written later; it may exist.
        inputs: files and DICOM folders that are read.
        endings: endings that `path` may have.

    Raises:
        InputError: unknown ending, a folder, missing or unwritable folder, write-protected file, the same file as an
            input, or inside a folder that is read.
    """
    path = Path(path)
    if not path.name.lower().endswith(endings):
        raise InputError(f"{path} has an ending that is not known for this output: use {', '.join(endings)}")
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: give the name of a file")
        folder = path.resolve().parent
        if not folder.is_dir():
            raise InputError(f"{folder}, the folder of {path.name}, does not exist: create it or choose another folder")
        for source in map(Path, inputs):
            if source.is_dir() and folder.samefile(source):
                raise InputError(f"{path} lies in the folder that is read ({source}): choose another folder")
            if path.exists() and source.exists() and path.samefile(source):
                raise InputError(f"{path} is the same file as the input {source}: choose another name")
        if path.exists() and not os.access(path, os.W_OK):
            raise InputError(f"{path} is write-protected: choose another name")
        # Rights alone do not tell (network disks, administrators), so a nameless file is really made.
        with tempfile.TemporaryFile(dir=folder):
            _log.debug("%s is writable", folder)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_segmentation(
    path: Path | str, mask: np.ndarray, image: Image, name: str, colour: tuple[float, float, float]
) -> None:
    """Write one segment on the voxel grid of `image`, compressed, whole or not at all.

    Args:
        path: `.seg.nrrd` (Slicer segmentation), or `.nrrd`, `.nii.gz`, `.mha` (uint8 labelmap, the segment is 1).
        mask: bool (k, j, i) of the shape of `image.voxels`.
        image: where the voxels lie.
        name: name of the segment; labelmaps cannot keep it.
        colour: red, green, blue in 0..1; labelmaps cannot keep it.

    Raises:
        InputError: the ending is unknown, or the file could not be written; what was at `path` is as it was.
        ValueError: `mask` is not bool or not of the image's shape.
    """
    path = Path(path)
    if mask.dtype != bool or mask.shape != image.voxels.shape:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, not bool {image.voxels.shape}")
    if not path.name.lower().endswith(SEGMENTATION_ENDINGS):
        raise InputError(f"{path} has an unknown ending: use {', '.join(SEGMENTATION_ENDINGS)}")
    labelmap = np.ascontiguousarray(mask).view(np.uint8)
    fields = _slicer_fields(mask, image, name, colour) if path.name.lower().endswith(SLICER_ENDING) else {}

    def write(temporary: Path) -> None:
        temporary.touch()  # tells why a file cannot be made; SimpleITK only tells that it failed
        try:
            with native_messages_logged():
                # No name for SimpleITK's copy: it is gone before the file is read back.
                sitk.WriteImage(_output(labelmap, image, fields), str(temporary), useCompression=True)
            written = load_file(temporary).voxels
            # Slice by slice, for the comparison takes as much memory as what is compared.
            whole = written.shape == labelmap.shape and all(map(np.array_equal, written, labelmap))
        except (RuntimeError, InputError) as error:  # SimpleITK's own, and what reading back refuses
            _log.debug("%s", error)
            whole = False
        # niftilib does not tell when the disk is full; only what can be read back is known to be written.
        if not whole:
            raise InputError(f"{path} was not written: the disk may be full; free some space or choose another folder")

    write_atomically(path, write)


def _output(labelmap: np.ndarray, image: Image, fields: dict[str, str]) -> sitk.Image:
    """SimpleITK's copy of the labelmap on the grid of `image`, with header fields."""
    output = sitk.GetImageFromArray(labelmap)
    output.SetSpacing(image.spacing_ijk)
    output.SetOrigin(image.origin_lps)
    output.SetDirection(image.direction.ravel().tolist())
    for key, text in fields.items():
        output.SetMetaData(key, text)
    return output


def _slicer_fields(mask: np.ndarray, image: Image, name: str, colour: tuple[float, float, float]) -> dict[str, str]:
    """NRRD fields that make a labelmap a Slicer segmentation with one segment."""
    extent = " ".join(str(n) for axis in (2, 1, 0) for n in _extent(mask, axis))
    whole = ";".join(str(n) for size in mask.shape[::-1] for n in (0, size - 1))
    matrix = ";".join(repr(float(n) + 0.0) for n in image.ijk_to_ras.ravel())
    return {
        "Segment0_ID": "Segment_1",
        # Line ends would tear the header's lines apart.
        "Segment0_Name": " ".join(name.split()) or "Segment_1",
        "Segment0_NameAutoGenerated": "0",
        "Segment0_Color": " ".join(repr(float(part)) for part in colour),
        "Segment0_ColorAutoGenerated": "0",
        "Segment0_Extent": extent,
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        # Editing goes on in the image's whole grid, not only in the box around the segment.
        "Segmentation_ConversionParameters": f"Reference image geometry|{matrix};{whole};|&",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }


def _extent(mask: np.ndarray, axis: int) -> tuple[int, int]:
    """First and last index along `axis` that hold true voxels; (0, -1) if none do, as VTK writes empty extents."""
    others = tuple(n for n in range(3) if n != axis)
    used = np.flatnonzero(mask.any(axis=others))
    return (int(used[0]), int(used[-1])) if used.size else (0, -1)
