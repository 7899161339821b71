"""Reads labelmaps, and writes segmentations as Slicer segmentations or labelmaps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from ..engine.volume.voxel_box import VoxelBox
from .image import Image, grid_difference
from .image_files import load_file
from .native_messages import native_messages_logged
from .output_files import write_atomically
from .pictures import write_mask
from .tilt import upright

SLICER_ENDING = ".seg.nrrd"
PICTURE_ENDING = ".png"
SEGMENTATION_ENDINGS = (SLICER_ENDING, ".nrrd", ".nii.gz", ".mha")
LONGEST_NAME = 64
# The largest atlases have some hundreds of labels.
_MOST_LABELS = 1000
_log = get_logger(__name__)


def read_label(path: Path | str, value: str | None, like: Image | None = None) -> np.ndarray:
    """Read the mask of an object from a labelmap.

    Args:
        path: labelmap file (NRRD, NIfTI, MetaImage, or a picture).
        value: label value of the object, or several values that form the object together: "1", "1+3+4". None: every
            value but 0.
        like: image whose voxel grid the labelmap must have; None: any grid.

    Returns:
        bool (k, j, i) mask with at least one True voxel.

    Raises:
        InputError: the file cannot be read, `value` is malformed, no voxel has it, the grid differs from that of
            `like`, or, without `value`, the file is an image and no labelmap.
    """
    path = Path(path)
    if value is not None and not re.fullmatch(r"\s*\d+\s*(\+\s*\d+\s*)*", value, re.ASCII):
        raise InputError(f"label value {value!r} for {path} is not understood: give a number, or several as 1+3+4")
    wanted = [] if value is None else [int(part) for part in value.split("+")]
    label = load_file(path)
    if like is not None and (difference := grid_difference(label, like)) is not None:
        raise InputError(f"{path} does not fit {like.path}: {difference}; resample the labelmap to the image's grid")
    if label.is_colour:
        # Masks are often saved as grey pictures with three equal channels.
        label = replace(label, voxels=label.voxels.max(axis=3))
    mask = np.zeros(label.voxels.shape, bool)
    for object_slice, label_slice in zip(mask, label.voxels, strict=True):
        if value is None:
            np.not_equal(label_slice, 0, out=object_slice)
        else:
            np.logical_or.reduce([label_slice == number for number in wanted], out=object_slice)
    if value is None and looks_like_an_image(label):
        raise InputError(
            f"{path} is an image or holds fractions: give a labelmap, whole numbers that are 0 outside of the object"
        )
    if value is None and not mask.any():
        raise InputError(f"{path} is empty: give a labelmap that holds the object")
    if not mask.any():
        found = sorted({value for label_slice in label.voxels for value in np.unique(label_slice).tolist()})
        shown = ", ".join(f"{number:g}" for number in found[:8]) + (", ..." if len(found) > 8 else "")
        raise InputError(f"{path} has no voxel with label value {value} (it has {shown}): give a value that it has")
    return mask


def looks_like_an_image(label: Image) -> bool:
    """Whether there are negative values, fractions, or more distinct values than a labelmap has labels."""
    different: set[float] = set()
    for label_slice in label.voxels:
        if label_slice.min() < 0 or (label_slice % 1).any():
            return True
        different.update(np.unique(label_slice).tolist())
        if len(different) > _MOST_LABELS:
            return True
    return False


def write_segmentation(
    path: Path | str,
    mask: np.ndarray,
    image: Image,
    name: str,
    colour: tuple[float, float, float],
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write one segment on the voxel grid of `image`, compressed, whole or not at all.

    Args:
        path: `.seg.nrrd` (Slicer segmentation), or `.nrrd`, `.nii.gz`, `.mha` (uint8 labelmap, 1 in the segment); `.png`
            for an image of one slice (255 in the segment).
        mask: bool (k, j, i) of the shape of `image.voxels`.
        image: provides the geometry. The mask of a tilted gantry is resampled to a grid with right angles.
        name: name of the segment, of which `segment_name` is written; labelmaps do not store it.
        colour: red, green, blue in 0..1; labelmaps do not store it.
        tags: Slicer's tags of the segment, key -> text without "|"; labelmaps do not store them.

    Raises:
        InputError: the ending is unknown, or the file cannot be written; an existing file at `path` is unchanged.
        ValueError: `mask` is not bool or differs in shape.
    """
    path = Path(path)
    if mask.dtype != bool or mask.shape != image.voxels.shape[:3]:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, not bool {image.voxels.shape[:3]}")
    if path.name.lower().endswith(PICTURE_ENDING):
        if len(mask) != 1:
            raise InputError(f"{path} would hold one slice of {len(mask)}: use .seg.nrrd, .nrrd, .nii.gz or .mha")
        write_atomically(path, lambda temporary: write_mask(temporary, mask[0]))
        return
    if not path.name.lower().endswith(SEGMENTATION_ENDINGS):
        raise InputError(f"{path} has an unknown ending: use {', '.join(SEGMENTATION_ENDINGS)}")
    if image.is_tilted:
        mask, image = upright(mask, image)
    labelmap = np.ascontiguousarray(mask).view(np.uint8)
    fields = _slicer_fields(mask, image, name, colour, tags or {}) if path.name.lower().endswith(SLICER_ENDING) else {}

    def write(temporary: Path) -> None:
        temporary.touch()  # raises an OSError with the reason; SimpleITK does not state it
        try:
            with native_messages_logged():
                # SimpleITK's copy is unnamed, so that its memory is freed before the file is read back.
                sitk.WriteImage(_output(labelmap, image, fields), str(temporary), useCompression=True)
            written = load_file(temporary).voxels
            # Slice by slice: a comparison allocates as much memory as its operands.
            whole = written.shape == labelmap.shape and all(map(np.array_equal, written, labelmap))
        except (RuntimeError, InputError) as error:  # raised by SimpleITK, and by reading back
            _log.debug("a written file cannot be read back: %s", error)
            whole = False
        # niftilib does not report a full disk, so the file is read back.
        if not whole:
            raise InputError(f"{path} was not written: the disk may be full; free some space or choose another folder")

    write_atomically(path, write)


def segment_name(name: str) -> str:
    """The name as it is written: on one line, because a line break would end the header field, and not too long."""
    return " ".join(name.split())[:LONGEST_NAME].rstrip() or "Segment_1"


def _output(labelmap: np.ndarray, image: Image, fields: dict[str, str]) -> sitk.Image:
    """SimpleITK's copy of the labelmap on the grid of `image`, with header fields."""
    output = sitk.GetImageFromArray(labelmap)
    output.SetSpacing(image.spacing_ijk)
    output.SetOrigin(image.origin_lps)
    output.SetDirection(image.direction.ravel().tolist())
    for key, text in fields.items():
        output.SetMetaData(key, text)
    return output


def _slicer_fields(
    mask: np.ndarray, image: Image, name: str, colour: tuple[float, float, float], tags: Mapping[str, str]
) -> dict[str, str]:
    """NRRD header fields of a Slicer segmentation with one segment."""
    extent = " ".join(str(n) for n in VoxelBox.from_mask(mask).extent)
    whole = ";".join(str(n) for size in mask.shape[::-1] for n in (0, size - 1))
    matrix = ";".join(repr(float(n) + 0.0) for n in image.ijk_to_ras.ravel())
    return {
        "Segment0_ID": "Segment_1",
        "Segment0_Name": segment_name(name),
        "Segment0_NameAutoGenerated": "0",
        "Segment0_Color": " ".join(repr(float(part)) for part in colour),
        "Segment0_ColorAutoGenerated": "0",
        "Segment0_Extent": extent,
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Tags": "".join(f"{key}:{text}|" for key, text in tags.items()),
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        # Slicer edits the segment in the grid of the whole image, not only in its bounding box.
        "Segmentation_ConversionParameters": f"Reference image geometry|{matrix};{whole};|&",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
