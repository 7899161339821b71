"""Random changes of a slice: grey levels, field of view, orientation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..engine.prompts import Box
from .prompts import PossibleBox
from .settings import SampleSettings

# Percentile of the grey levels that a larger field of view shows outside of the slice.
_BACKGROUND = 1


@dataclass(frozen=True)
class TaughtSlice:
    """A slice to learn from.

    Attributes:
        image: uint8 (rows, columns).
        truth: bool (rows, columns).
        boxes: boxes that may be prompted.
    """

    image: np.ndarray
    truth: np.ndarray
    boxes: list[PossibleBox]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.truth.shape
        return rows, columns

    def with_boxes(self, changed: list[Box]) -> list[PossibleBox]:
        """The boxes at other places."""
        return [replace(one, box=box) for one, box in zip(self.boxes, changed, strict=True)]


def changed_at_random(
    shown: TaughtSlice, box3d: Box, modality: str, settings: SampleSettings, random: np.random.Generator
) -> TaughtSlice:
    """The slice with other grey levels, another field of view and another orientation.

    Args:
        shown: slice.
        box3d: box that stays in the field of view, with all `shown.boxes` in it.
        modality: modality of the image.
    """
    return _oriented(_framed(_graded(shown, modality, settings, random), box3d, settings, random), random)


def _graded(shown: TaughtSlice, modality: str, settings: SampleSettings, random: np.random.Generator) -> TaughtSlice:
    gamma = random.uniform(*settings.gamma)
    low = random.uniform(-settings.darkest, settings.darkest)
    high = 255 + random.uniform(-settings.brightest, settings.brightest)
    levels = np.clip((shown.image.astype(np.float32) - low) / (high - low), 0, 1) ** gamma
    if random.random() < settings.inverted and modality.upper() not in ("PET", "PT"):
        levels = 1 - levels
    noisy = levels * 255 + random.normal(0, random.uniform(0, settings.noise), levels.shape)
    return replace(shown, image=np.clip(noisy, 0, 255).astype(np.uint8))


def _framed(shown: TaughtSlice, box3d: Box, settings: SampleSettings, random: np.random.Generator) -> TaughtSlice:
    rows, columns = shown.size
    kind = random.random()
    if kind < settings.cropped:
        share = random.uniform(0, 1)
        left, top, right, bottom = share * random.uniform(0.3, 1, 4)
        x0, y0 = int(box3d.x0 * left), int(box3d.y0 * top)
        x1 = int(columns - (columns - 1 - box3d.x1) * right)
        y1 = int(rows - (rows - 1 - box3d.y1) * bottom)
    elif kind < settings.cropped + settings.extended:
        more = random.uniform(*settings.extension) - 1
        left, top = random.random(2)
        x0, y0 = int(-columns * more * left), int(-rows * more * top)
        x1, y1 = int(columns + columns * more * (1 - left)), int(rows + rows * more * (1 - top))
    else:
        return shown
    fill = np.uint8(np.percentile(shown.image, _BACKGROUND))
    moved = [Box(b.x0 - x0, b.y0 - y0, b.x1 - x0, b.y1 - y0) for b in (one.box for one in shown.boxes)]
    frame = (x0, y0, x1, y1)
    return TaughtSlice(_cut(shown.image, frame, fill), _cut(shown.truth, frame, False), shown.with_boxes(moved))


def _cut(array: np.ndarray, frame: tuple[int, int, int, int], fill: object) -> np.ndarray:
    """The part x0, y0 to x1, y1, not included, which may be larger than the array."""
    x0, y0, x1, y1 = frame
    rows, columns = array.shape
    part = np.full((y1 - y0, x1 - x0), fill, array.dtype)
    top, left, bottom, right = max(0, y0), max(0, x0), min(rows, y1), min(columns, x1)
    part[top - y0 : bottom - y0, left - x0 : right - x0] = array[top:bottom, left:right]
    return part


def _oriented(shown: TaughtSlice, random: np.random.Generator) -> TaughtSlice:
    mirror_x, mirror_y, transpose = random.random(3) < 0.5
    image, truth, boxes = shown.image, shown.truth, [one.box for one in shown.boxes]
    rows, columns = shown.size
    if mirror_x:
        image, truth = image[:, ::-1], truth[:, ::-1]
        boxes = [Box(columns - 1 - b.x1, b.y0, columns - 1 - b.x0, b.y1) for b in boxes]
    if mirror_y:
        image, truth = image[::-1], truth[::-1]
        boxes = [Box(b.x0, rows - 1 - b.y1, b.x1, rows - 1 - b.y0) for b in boxes]
    if transpose:
        image, truth = image.T, truth.T
        boxes = [Box(b.y0, b.x0, b.y1, b.x1) for b in boxes]
    return TaughtSlice(np.ascontiguousarray(image), np.ascontiguousarray(truth), shown.with_boxes(boxes))
