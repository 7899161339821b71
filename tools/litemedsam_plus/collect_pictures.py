"""What a source's reader gives, and what several readers need to make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from PIL import Image
from scipy import ndimage

LABEL = "label.nii.gz"
Item = TypeVar("Item")
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Structure:
    """One object of a picture.

    Attributes:
        suffix: what follows the picture's name in the id; empty for the only object.
        target: what it is; empty if what the source says holds for each of its objects.
        value: in the label map.
        label: file name of the label map.
    """

    suffix: str = ""
    target: str = ""
    value: int = 1
    label: str = LABEL


@dataclass(frozen=True)
class Picture:
    """A slice or a volume with its objects.

    Attributes:
        name: unique in its source.
        image: in 2D sources one slice thick.
        labels: file name -> label map on the image's grid.
        where: the files in the repository.
        structures: the objects, in the order of the table.
    """

    name: str
    image: sitk.Image
    labels: dict[str, sitk.Image]
    where: str
    structures: list[Structure] = field(default_factory=lambda: [Structure()])


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """``count`` of the items at equal distances, the first and the last among them, or all if there are fewer."""
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, min(count, len(items)))]


def once_more(items: Sequence[Item], first: int, second: int) -> list[Item]:
    """Items of two rounds of `spread`: of the first round what the second did not take, then the second."""
    later = spread(items, second)
    return [item for item in spread(items, first) if item not in later] + later


def grey(path: Path) -> Pixels:
    """Pixels (height, width) of a picture file, colours turned into grey values."""
    with Image.open(path) as picture:
        return np.array(picture.convert("L"))


def colours(path: Path) -> Pixels:
    """Pixels (height, width, 3) of a picture file."""
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


def flat_image(pixels: npt.NDArray[np.generic], spacing: float = 1.0) -> sitk.Image:
    """Volume of 8 bits, one slice thick, of pixels (height, width).

    Args:
        pixels: grey values, or values of objects.
        spacing: of the pixels, in mm; the slice is 1 mm thick.
    """
    image = sitk.GetImageFromArray(pixels[None].astype(np.uint8))
    image.SetSpacing((spacing, spacing, 1.0))
    return image


def like(image: sitk.Image, labels: npt.NDArray[np.generic]) -> sitk.Image:
    """Label map of 8 bits on the grid of ``image`` of an array (slices, height, width)."""
    result = sitk.GetImageFromArray(labels.astype(np.uint8))
    result.CopyInformation(image)
    return result


def numbered(pieces: Sequence[Mask], shape: tuple[int, ...]) -> Pixels:
    """Label map in which the pieces have the values 1, 2, 3, …"""
    labels = np.zeros(shape, np.uint8)
    for value, piece in enumerate(pieces, start=1):
        labels[piece] = value
    return labels


def largest_pieces(mask: Mask, count: int, smallest: int, corners: bool = False) -> list[Mask]:
    """The largest connected pieces of a 2D mask, largest first.

    Args:
        mask: (height, width).
        count: at most as many pieces.
        smallest: pixels; smaller pieces are left out.
        corners: whether pixels that share only a corner are connected.
    """
    pieces, found = ndimage.label(mask, np.ones((3, 3)) if corners else None)
    sizes = np.bincount(pieces.ravel(), minlength=found + 1)[1:]
    # Of two pieces of one size the later comes first.
    largest = np.argsort(sizes)[::-1][:count]
    return [pieces == piece + 1 for piece in largest if sizes[piece] >= smallest]
