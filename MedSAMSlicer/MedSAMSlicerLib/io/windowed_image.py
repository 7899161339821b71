"""An image as the model sees it, in the least memory: grey levels of a byte, and only the slices that are looked at."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from ..engine.intensity import Window
from ..engine.stack import array_axis
from .image import Image


class AppliedWindow(Window):
    """A window that the voxels have been seen through already: it is told as it was, and changes nothing more."""

    @classmethod
    def of(cls, window: Window) -> AppliedWindow:
        return cls(**asdict(window))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """The grey levels themselves, uint8."""
        return values


def windowed_image(
    image: Image, window: Window, axis: str, reach: tuple[int, int] | None
) -> tuple[Image, AppliedWindow]:
    """The image on the same grid with uint8 grey levels, and the window to show these with.

    Args:
        axis: I, J or K, which `reach` counts along.
        reach: first and last slice that are needed; all others read as zero, and along K take no memory. None: all.
    """
    first, last = reach or (0, image.voxels.shape[array_axis(axis)] - 1)
    # The system gives memory to what is written to: zeros that nobody has touched take none.
    voxels = np.zeros(image.voxels.shape, np.uint8)
    slices, values = (np.moveaxis(array, array_axis(axis), 0) for array in (voxels, image.voxels))
    for index in range(first, last + 1):
        slices[index] = window.apply(values[index])
    voxels.flags.writeable = False
    return replace(image, voxels=voxels), AppliedWindow.of(window)
