"""Converts an image to the grey levels that the model sees, to save memory: one byte for each voxel that is needed."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from ..engine.intensity import Window
from ..engine.stack import array_axis
from .image import Image


class AppliedWindow(Window):
    """A window that has been applied to the voxels already: it describes them, and `apply` returns them unchanged."""

    @classmethod
    def of(cls, window: Window) -> AppliedWindow:
        return cls(**asdict(window))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return the grey levels, uint8, unchanged."""
        return values


def windowed_image(
    image: Image, window: Window, axis: str, slice_range: tuple[int, int] | None
) -> tuple[Image, AppliedWindow]:
    """Apply a window to an image.

    Args:
        axis: index axis, "I", "J" or "K", along which `slice_range` counts.
        slice_range: first and last slice that are needed, included; None: all. The other slices are zero, and along K
            take no memory.

    Returns:
        The image with uint8 grey levels or colours on the same grid, and the window that describes them.
    """
    first, last = slice_range or (0, image.voxels.shape[array_axis(axis)] - 1)
    # Operating systems allocate memory when it is written to: untouched zeros take none.
    voxels = np.zeros(image.voxels.shape, np.uint8)
    slices, values = (np.moveaxis(array, array_axis(axis), 0) for array in (voxels, image.voxels))
    for index in range(first, last + 1):
        slices[index] = window.apply(values[index])
    voxels.flags.writeable = False
    return replace(image, voxels=voxels), AppliedWindow.of(window)
