"""Reads pictures, such as photographs and screenshots, and writes masks as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageOps, ImageSequence, UnidentifiedImageError

from ..engine.errors import InputError
from .image import Image

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_GREY = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L")


def read_picture(path: Path) -> Image:
    """Read a PNG, JPEG, TIFF or BMP file as a stack of one slice, or of as many as a TIFF file has pages.

    Voxel (0, 0, 0) is the upper left pixel; a pixel counts as 1 mm. Transparency is dropped.

    Returns:
        Image with (1, rows, columns) grey values, or (1, rows, columns, 3) uint8 red, green, blue.

    Raises:
        InputError: the file is no picture or damaged, or its pages have different sizes.
    """
    try:
        with Picture.open(path) as picture:
            # Phones store a second picture in JPEG files, of another size or depth: it is no slice.
            pages = [
                _pixels(page) for page in (ImageSequence.Iterator(picture) if picture.format == "TIFF" else [picture])
            ]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read as a picture: damaged, incomplete or of another kind; copy or export it again"
        ) from error
    if any(page.shape != pages[0].shape for page in pages):
        raise InputError(f"{path} holds pictures of different sizes: save each in a file of its own")
    voxels = np.stack(pages)
    voxels.flags.writeable = False
    note = "A picture does not state the size of a pixel: taken as 1 mm, so volumes are not millilitres."
    # A photograph: its values are no Hounsfield units, whatever they look like.
    return Image(voxels, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3), "XC", path, (note,))


def _pixels(page: Picture.Image) -> np.ndarray:
    # Cameras store how they were held.
    page = ImageOps.exif_transpose(page)
    if page.mode in _GREY:
        return np.array(page.convert("L") if page.mode in ("1", "LA") else page)
    colours = np.array(page.convert("RGB"))
    grey = (colours[..., :1] == colours).all()
    return colours[..., 0].copy() if grey and page.mode == "P" else colours


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a bool (rows, columns) mask as a grey PNG file: 255 in the object, 0 elsewhere.

    Raises:
        OSError: the file cannot be written.
    """
    Picture.fromarray(mask.astype(np.uint8) * 255).save(path, format="PNG")
