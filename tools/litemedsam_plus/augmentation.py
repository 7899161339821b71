"""Variants of an image for the encoder: as it is, and with other grey levels, field of view, angle and orientation.

All slices of an image are changed alike, so that an object still goes on from slice to slice. `learning.augmentation` changes
single slices and does not turn them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from litemedsam_plus.settings import ImageSettings
from litemedsam_plus.volumes import HALF, Volume
from MedSAMSlicerLib.engine.models.family import Family
from MedSAMSlicerLib.engine.resize import area_resize, longest_side_size

# Quantile of the grey levels that a larger field of view shows outside of the slice, and how many pixels it is taken of.
_BACKGROUND, _COUNTED = 0.01, 100_000


@dataclass(frozen=True, eq=False)
class Variant:
    """One variant of an image, in the upper left corner of the network's input.

    Attributes:
        inputs: float32 (slices, 1, side, side), 0..1.
        truths: bool (objects, slices, side, side).
        size: rows and columns of the slices, in pixels of the network's input.
    """

    inputs: Tensor
    truths: Tensor
    size: tuple[int, int]


def plain_variant(volume: Volume, family: Family, device: str) -> Variant:
    """The image as it is, as the program itself shows it to the encoder."""
    rows, columns = volume.images.shape[1:]
    size = longest_side_size(rows, columns, family.input_size)
    inputs = np.stack([family.prepare(image)[:1] for image in volume.images])
    truths = np.zeros((*volume.truths.shape[:2], family.input_size, family.input_size), bool)
    for at in np.argwhere(volume.truths.any(axis=(2, 3))):
        scaled = area_resize(volume.truths[tuple(at)].astype(np.uint8) * 255, *size)
        truths[tuple(at)][: size[0], : size[1]] = scaled >= HALF
    return Variant(torch.from_numpy(inputs).to(device), torch.from_numpy(truths).to(device), size)


def changed_variant(
    volume: Volume, side: int, device: str, settings: ImageSettings, random: np.random.Generator
) -> Variant:
    """The image changed at random.

    Args:
        volume: image with at least one object.
        side: side of the network's input in pixels.
        device: where it is computed.
    """
    images, truths = (torch.from_numpy(array).to(device).float() for array in (volume.images, volume.truths))
    images = _graded(images, volume.modality, settings, random)
    grid, size = _grid(volume, side, device, settings, random)
    images, truths = _resampled(images, truths.flatten(0, 1), grid, settings, random)
    images = _noisy(images, settings, random)
    truths = truths.view(*volume.truths.shape[:2], *size)
    mirror_x, mirror_y, transpose = random.random(3) < 0.5
    for flip, axis in ((mirror_x, -1), (mirror_y, -2)):
        images, truths = (images.flip(axis), truths.flip(axis)) if flip else (images, truths)
    if transpose:
        images, truths, size = images.transpose(-1, -2), truths.transpose(-1, -2), (size[1], size[0])
    rows, columns = size
    whole = (0, side - columns, 0, side - rows)
    return Variant(functional.pad(images, whole)[:, None], functional.pad(truths, whole), size)


def _graded(images: Tensor, modality: str, settings: ImageSettings, random: np.random.Generator) -> Tensor:
    changes = settings.changes
    low = random.uniform(-changes.darkest, changes.darkest)
    high = 255 + random.uniform(-changes.brightest, changes.brightest)
    levels = ((images - low) / (high - low)).clamp(0, 1) ** random.uniform(*changes.gamma)
    inverted = random.random() < changes.inverted and modality.upper() not in ("PET", "PT")
    return 1 - levels if inverted else levels


def _grid(
    volume: Volume, side: int, device: str, settings: ImageSettings, random: np.random.Generator
) -> tuple[Tensor, tuple[int, int]]:
    """Where the pixels of the variant lie in the image, float32 (1, h, w, 2) as `grid_sample` takes it; h and w."""
    rows, columns = volume.images.shape[1:]
    present = np.argwhere(volume.truths.any(axis=(0, 1)))
    (y0, x0), (y1, x1) = present.min(axis=0).tolist(), present.max(axis=0).tolist()
    left, top, right, bottom = _frame((x0, y0, x1, y1), rows, columns, settings, random)
    width, height = right - left, bottom - top
    aspect = math.exp(random.uniform(-settings.aspect, settings.aspect))
    size = longest_side_size(height / aspect, width * aspect, side)
    angle = math.radians(random.normal(0, settings.turned))
    down, across = (
        (torch.arange(count, device=device) + 0.5) / count * length + start
        for count, length, start in ((size[0], height, top), (size[1], width, left))
    )
    # Turned about the middle of the objects, which so stay in the field of view.
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    y, x = torch.meshgrid(down - middle_y, across - middle_x, indexing="ij")
    turned_x = math.cos(angle) * x - math.sin(angle) * y + middle_x
    turned_y = math.sin(angle) * x + math.cos(angle) * y + middle_y
    return torch.stack((turned_x / columns * 2 - 1, turned_y / rows * 2 - 1), -1)[None], size


def _frame(
    objects: tuple[int, int, int, int], rows: int, columns: int, settings: ImageSettings, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of the field of view, which may reach beyond the image."""
    changes, kind = settings.changes, random.random()
    x0, y0, x1, y1 = objects
    if kind < changes.cropped:
        left, top, right, bottom = random.uniform(0, 1) * random.uniform(0.3, 1, 4)
        return x0 * left, y0 * top, columns - (columns - 1 - x1) * right, rows - (rows - 1 - y1) * bottom
    if kind < changes.cropped + changes.extended:
        more = random.uniform(*changes.extension) - 1
        left, top = random.random(2)
        return (
            -columns * more * left,
            -rows * more * top,
            columns + columns * more * (1 - left),
            rows + rows * more * (1 - top),
        )
    return 0, 0, columns, rows


def _resampled(
    images: Tensor, truths: Tensor, grid: Tensor, settings: ImageSettings, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    every = max(1, images.numel() // _COUNTED)
    background = torch.quantile(images.flatten()[::every], _BACKGROUND)
    mode = "nearest" if random.random() < settings.nearest else "bilinear"
    # `grid_sample` gives 0 outside of the image.
    shown = functional.grid_sample((images - background)[None], grid, mode=mode, align_corners=False)[0] + background
    return shown, functional.grid_sample(truths[None], grid, mode="bilinear", align_corners=False)[0] >= 0.5


def _noisy(images: Tensor, settings: ImageSettings, random: np.random.Generator) -> Tensor:
    """With noise and in whole grey levels, then from 0 to 1 on each slice, as `LiteMedSAM.prepare` does."""
    deviation = random.uniform(0, settings.changes.noise) / 255
    noise = random.standard_normal(images.shape, dtype=np.float32)
    levels = ((images + torch.from_numpy(noise).to(images.device) * deviation).clamp(0, 1) * 255).round()
    lowest, highest = levels.amin((1, 2), keepdim=True), levels.amax((1, 2), keepdim=True)
    return (levels - lowest) / (highest - lowest).clamp(min=1e-8)
