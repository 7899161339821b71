"""Reads all segments of a segmentation file: Slicer segmentations with their names, and labelmaps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError
from .image import Image
from .image_files import load_file
from .native_messages import native_messages_logged
from .segmentations import SLICER_ENDING, looks_like_an_image

_log = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class StoredSegment:
    """A segment of a file.

    Attributes:
        name: its name; in a labelmap "Label_" and the value, or the name of the file if there is one value.
        mask: bool (k, j, i) on the grid of the file.
        colour: red, green and blue from 0 to 1; None if the file does not store it.
        tags: Slicer's tags of the segment.
    """

    name: str
    mask: np.ndarray
    colour: tuple[float, float, float] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def read_segment_file(path: Path | str) -> tuple[Image, list[StoredSegment]]:
    """Read every segment of a file, empty ones too.

    Args:
        path: Slicer segmentation (`.seg.nrrd`), whose segments may overlap, or labelmap (NRRD, NIfTI, MetaImage), of which
            each value but 0 is a segment.

    Returns:
        The first layer of labels as an image, for its geometry, and the segments.

    Raises:
        InputError: the file cannot be read, see `load_file`, or is an image and no labelmap.
    """
    path = Path(path)
    fields = _header_fields(path) if path.name.lower().endswith(SLICER_ENDING) else {}
    if "Segment0_ID" not in fields:
        image = load_file(path)
        if looks_like_an_image(image):
            raise InputError(f"{path} is an image or holds fractions: give a labelmap or a segmentation")
        values = sorted({value for labels in image.voxels for value in np.unique(labels).tolist()} - {0})
        stem = re.sub(r"(\.seg)?\.(nrrd|nhdr|nii|nii\.gz|mha|mhd)$", "", path.name, flags=re.IGNORECASE)
        names = [stem] if len(values) == 1 else [f"Label_{value:g}" for value in values]
        return image, [StoredSegment(name, image.voxels == value) for name, value in zip(names, values, strict=True)]
    image, layers = _read_layers(path)
    segments = []
    number = 0
    while f"Segment{number}_ID" in fields:
        prefix = f"Segment{number}_"
        layer, value = int(fields.get(f"{prefix}Layer", 0)), int(fields.get(f"{prefix}LabelValue", 1))
        if layer >= len(layers):
            raise InputError(f"{path} has no layer {layer}, which its header names: save the segmentation again")
        colour = [float(part) for part in fields.get(f"{prefix}Color", "").split()]
        segments.append(
            StoredSegment(
                name=fields.get(f"{prefix}Name") or fields[f"{prefix}ID"],
                mask=layers[layer] == value,
                colour=(colour[0], colour[1], colour[2]) if len(colour) == 3 else None,
                tags=_tags(fields.get(f"{prefix}Tags", "")),
            )
        )
        number += 1
    return image, segments


def _header_fields(path: Path) -> dict[str, str]:
    """Fields of a NRRD header; none if it cannot be read: reading the voxels then says why."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    reader.SetFileName(str(path))
    try:
        with native_messages_logged():
            reader.ReadImageInformation()
    except RuntimeError as error:
        _log.debug("a segmentation file cannot be read: %s", error)
        return {}
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def _read_layers(path: Path) -> tuple[Image, list[np.ndarray]]:
    """The image of the first layer, and all layers as (k, j, i) arrays."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    reader.SetFileName(str(path))
    try:
        with native_messages_logged():
            reader.ReadImageInformation()
            if reader.GetNumberOfComponents() == 1:
                image = load_file(path)
                return image, [image.voxels]
            layers = reader.Execute()
    except RuntimeError as error:
        _log.debug("a segmentation file cannot be read: %s", error)
        raise InputError(f"{path} cannot be read as a segmentation: damaged or incomplete; save it again") from error
    voxels = sitk.GetArrayFromImage(layers)
    direction = np.array(layers.GetDirection()).reshape(3, 3)
    first = np.ascontiguousarray(voxels[..., 0])
    image = Image(first, layers.GetSpacing(), layers.GetOrigin(), direction, None, path)
    return image, [voxels[..., n] for n in range(voxels.shape[-1])]


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split("|") if ":" in part)
    return {key: value for key, _, value in pairs}
