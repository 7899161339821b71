"""Images to learn from: the slices around their objects, as LiteMedSAM sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from litemedsam_plus.settings import ImageSettings
from MedSAMSlicerLib.engine.masks import occupied_slices
from MedSAMSlicerLib.engine.resize import area_resize, longest_side_size
from MedSAMSlicerLib.evaluation.cases import Case
from MedSAMSlicerLib.evaluation.evaluate_case import open_case

HALF = 128
"""Of 0..255: a pixel belongs to an object if at least half of its area does."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Slices of an image, and its objects on them.

    Attributes:
        images: uint8 (slices, rows, columns), the longer side at most that of the network's input.
        truths: bool (objects, slices, rows, columns), none of the objects empty.
        modality: modality of the image.
        other: whether it comes from the second table.
    """

    images: np.ndarray
    truths: np.ndarray
    modality: str
    other: bool


def read_volumes(cases: Sequence[Case], side: int, other: bool, settings: ImageSettings) -> Iterator[Volume]:
    """Read the images of a table, each once with all its objects.

    Args:
        cases: rows of the table. Those with the same image, axis and window belong together.
        side: side of the network's input in pixels.
        other: whether it is the second table.

    Yields:
        Images, in the order in which the table names them first.

    Raises:
        InputError: an image or a label is not valid. The message names the case.
    """
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((str(case.image), case.window, case.axis), []).append(case)
    for members in groups.values():
        yield _volume(members, side, other, settings)


def _volume(members: Sequence[Case], side: int, other: bool, settings: ImageSettings) -> Volume:
    opened = [open_case(case) for case in members]
    source = opened[0].source
    count, rows, columns = source.shape
    held = [occupied_slices(one.truth) for one in opened]
    first, last = min(int(one[0]) for one in held), max(int(one[-1]) for one in held)
    if last - first + 1 > settings.most_slices:
        # The part that most objects lie in.
        middle = int(np.median([(int(one[0]) + int(one[-1])) / 2 for one in held]))
        start = middle - settings.most_slices // 2
        first, last = max(first, start), min(last, start + settings.most_slices - 1)
    first, last = max(0, first - settings.around), min(count - 1, last + settings.around)
    size = longest_side_size(rows, columns, side)
    images = np.stack([_resized(_grey(source.slice_uint8(index)), size) for index in range(first, last + 1)])
    truths = [_resized_truth(one.truth[first : last + 1], size) for one in opened]
    # Of a thin object nothing may be left, nor of one far from the others in a long stack.
    kept = [truth for truth in truths if truth.any()]
    shape = (len(kept), *images.shape)
    return Volume(images, np.stack(kept) if kept else np.zeros(shape, bool), members[0].modality, other)


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)


def _shrinks(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    return size[0] <= shape[-2] and size[1] <= shape[-1]


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A slice larger than the network's input, at its size; a smaller one as it is."""
    return area_resize(image, *size) if _shrinks(image.shape, size) else image


def _resized_truth(truth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if not _shrinks(truth.shape, size):
        return truth
    return np.stack([area_resize(one.astype(np.uint8) * 255, *size) >= HALF for one in truth])
