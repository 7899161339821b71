"""Readers of the sources of single slices, which are pictures and masks in PNG or JPEG files.

None of them has a pixel spacing beside its pictures. It is set to 1 mm, but to what its description says for the brain
tumours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.path import Path as Outline
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

from litemedsam_plus.collect_clone import Clone
from litemedsam_plus.collect_pictures import (
    LABEL,
    Mask,
    Picture,
    Pixels,
    Structure,
    colours,
    flat_image,
    grey,
    largest_pieces,
    numbered,
    once_more,
    spread,
)

BRAIN_TUMOURS = 3064
BRAIN_TUMOUR_SPACING, BRAIN_TUMOUR_WIDTH = 0.49, 512
"""Spacing in mm of the pixels of the original pictures, which are as many wide; two sizes are carried."""


@dataclass(frozen=True)
class MaskFolder:
    """Reader of a folder with ``images`` and ``masks``, files of the same names.

    Attributes:
        folder: in the repository.
        count: of the pictures, taken at equal distances.
        smallest: pixels; smaller pieces are left out.
        coloured: an object is the largest piece of one colour, in the order of the colours; otherwise one of the two
            largest pieces of the bright pixels.
        upside_down: whether the rows of the pictures go from feet to head.
        left_out: pattern of the names of pictures that are not used.
    """

    folder: str
    count: int
    smallest: int = 150
    coloured: bool = False
    upside_down: bool = False
    left_out: str = "$^"

    def __call__(self, clone: Clone) -> Iterator[Picture]:
        with clone.files(self.folder) as root:
            for path in spread(sorted((root / self.folder / "images").iterdir()), self.count):
                mask_path = next((root / self.folder / "masks").glob(f"{path.stem}.*"), None)
                if mask_path is None or re.search(self.left_out, path.stem):
                    continue
                pixels, mask = grey(path), colours(mask_path)
                if mask.shape[:2] != pixels.shape:
                    continue
                if self.upside_down:
                    pixels, mask = pixels[::-1], mask[::-1]
                pieces = self.pieces(mask)
                if pieces:
                    where = f"{self.folder}/{{images,masks}}/{path.name}"
                    yield pieces_picture(re.sub(r"[^0-9A-Za-z]+", "_", path.stem), pixels, pieces, where)

    def pieces(self, mask: Pixels) -> list[Mask]:
        if not self.coloured:
            return largest_pieces(mask.max(-1) > 127, 2, self.smallest)
        found = np.unique(mask.reshape(-1, 3), axis=0)
        return [
            piece
            for colour in found[found.any(-1)]
            for piece in largest_pieces((mask == colour).all(-1), 1, self.smallest)
        ]


def pieces_picture(
    name: str, pixels: Pixels, pieces: list[Mask], where: str, targets: list[str] | None = None
) -> Picture:
    """A picture with the objects ``l1``, ``l2``, …, each with the value of its number."""
    structures = [
        Structure(f"l{number}", target, number) for number, target in enumerate(targets or [""] * len(pieces), 1)
    ]
    return Picture(name, flat_image(pixels), {LABEL: flat_image(numbered(pieces, pixels.shape))}, where, structures)


def read_regional_anaesthesia(clone: Clone) -> Iterator[Picture]:
    """Up to three pieces of each of the two classes."""
    folder = "dataset"
    with clone.files(f"{folder}/images", f"{folder}/masks") as root:
        for path in spread(sorted((root / folder / "masks").glob("*.png")), 48):
            with Image.open(path) as picture:
                mask = np.array(picture)  # of numbers of a palette, which are the classes
            pieces, targets = [], []
            for kind in (1, 2):
                found = largest_pieces(mask == kind, 3, 150)
                pieces += found
                targets += [
                    "ultrasound of regional anaesthesia (nerves and blood vessels), "
                    f"mask class {kind} of the data set, one connected piece"
                ] * len(found)
            if pieces:
                pixels = grey(root / folder / "images" / path.name)
                yield pieces_picture(path.stem, pixels, pieces, f"{folder}/{{images,masks}}/{path.name}", targets)


def read_fetal_heads(clone: Clone) -> Iterator[Picture]:
    """The inside of the ellipse that was drawn on the skull."""
    folder = "training_set"
    with clone.files(folder) as root:
        paths = sorted(path for path in (root / folder).iterdir() if re.match(r"\d+_HC_Annotation\.png", path.name))
        for path in spread(paths, 24):
            with Image.open(path) as picture:
                outline = np.array(picture) > 0
            number = path.name.split("_")[0]
            pixels = grey(path.with_name(f"{number}_HC.png"))
            where = f"{folder}/{number}_HC{{,_Annotation}}.png"
            yield Picture(number, flat_image(pixels), {LABEL: flat_image(filled(outline))}, where)


def filled(outline: Mask) -> Mask:
    """What an outline (height, width) encloses, with the outline itself.

    An ellipse that the border of the picture cuts is open: of it the convex hull is taken.
    """
    mask: Mask = ndimage.binary_fill_holes(outline)
    if mask.sum() >= 3 * outline.sum():
        return mask
    points = np.argwhere(outline)[:, ::-1]
    rows, columns = np.indices(outline.shape)
    inside = Outline(points[ConvexHull(points).vertices]).contains_points(np.c_[columns.ravel(), rows.ravel()])
    return np.asarray(inside).reshape(outline.shape)


def read_brain_tumours(clone: Clone) -> Iterator[Picture]:
    """One tumour a picture; those of which no piece has 80 pixels are left out."""
    numbers = once_more(range(1, BRAIN_TUMOURS + 1), 120, 360)
    names = {number: Path(f"{number}.png") for number in numbers}
    with clone.files(*(f"{folder}/{name}" for name in names.values() for folder in ("images", "masks"))) as root:
        for number, name in names.items():
            pixels, mask = grey(root / "images" / name), grey(root / "masks" / name) > 127
            if pixels.shape == mask.shape and largest_pieces(mask, 1, 80):
                spacing = BRAIN_TUMOUR_SPACING * BRAIN_TUMOUR_WIDTH / pixels.shape[1]
                labels = {LABEL: flat_image(mask, spacing)}
                yield Picture(f"{number:04d}", flat_image(pixels, spacing), labels, f"{{images,masks}}/{name}")
