"""Synthetic stacks whose truth is known."""

from __future__ import annotations

import numpy as np

from MedSAMSlicerLib.engine.intensity import Window, WindowedStack
from MedSAMSlicerLib.engine.stack import ArrayStack, array_axis


def ellipsoid(shape: tuple[int, int, int], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Bool (k, j, i) array, true inside the ellipsoid."""
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) <= 1


def stack_of(
    mask: np.ndarray, spacing_ijk: tuple[float, float, float] = (1.0, 1.0, 1.0), axis: str = "K", inside: int = 200
) -> WindowedStack:
    """The mask as an image (`inside`, and 50 outside) behind a window that changes nothing.

    No two slices are alike in their first pixel: embeddings are kept by content, and tests count encodings.
    """
    voxels = np.where(mask, inside, 50).astype(np.int16)
    along = np.moveaxis(voxels, array_axis(axis), 0)
    along[:, 0, 0] = np.arange(len(along)) % 100
    return WindowedStack(ArrayStack(voxels, spacing_ijk, axis), Window(0, 255, "as it is"))


def textured_slice(rows: int, columns: int, seed: int) -> np.ndarray:
    """uint8 slice with a bright disc on a structured background; the same on every machine."""
    rng = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[:rows, :columns]
    waves = 30 * np.sin(x / 7 + seed) + 20 * np.cos(y / 11 - seed)
    disc = 90 * (((x - columns * 0.45) / (columns * 0.18)) ** 2 + ((y - rows * 0.55) / (rows * 0.2)) ** 2 <= 1)
    noise = rng.integers(-6, 7, (rows, columns))
    return np.clip(80 + np.rint(waves) + disc + noise, 0, 255).astype(np.uint8)
