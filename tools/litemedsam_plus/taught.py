"""What is learned from: embeddings of the slices of all variants, and the objects on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from litemedsam_plus.augmentation import Variant, changed_variant, plain_variant
from litemedsam_plus.boxes import boxes_of
from litemedsam_plus.settings import SequenceSettings, Settings
from litemedsam_plus.volumes import Volume
from MedSAMSlicerLib.engine.models.family import Family
from MedSAMSlicerLib.engine.models.litemedsam import PIXELS_PER_TOKEN
from MedSAMSlicerLib.engine.models.network import EMBEDDING_CHANNELS
from MedSAMSlicerLib.engine.prompts import Box

Encode = Callable[[Tensor], Tensor]
"""float32 (n, 3, side, side) -> embeddings (n, channels, h, w)."""
AT_ONCE = {"cpu": 4, "cuda": 64}
"""Slices that are encoded, and boxes of what must not be forgotten that are tried, at once."""


@dataclass(frozen=True, eq=False)
class Track:
    """An object through the slices of one variant of an image.

    Attributes:
        first_slice: number of the variant's first slice among all embeddings.
        first_mask: number of the object's mask on that slice among all masks.
        boxes: float32 (slices, 4), box on each slice in pixels of the network's input; NaN where the object is not.
        areas: int (slices,), in pixels.
        box3d: its box on all slices together.
        other: whether it comes from the second table.
    """

    first_slice: int
    first_mask: int
    boxes: np.ndarray
    areas: np.ndarray
    box3d: Box
    other: bool

    @property
    def slices(self) -> int:
        """Number of slices of the variant."""
        return len(self.areas)

    @property
    def held(self) -> np.ndarray:
        """Indices of the slices that hold the object, ascending."""
        return np.flatnonzero(self.areas)


@dataclass(frozen=True, eq=False)
class Shown:
    """One variant of an image.

    Attributes:
        first_slice: number of its first slice among all embeddings.
        slices: number of its slices.
        size: rows and columns of the slices, in pixels of the network's input.
        first_masks: numbers of the masks of its objects on the first slice.
    """

    first_slice: int
    slices: int
    size: tuple[int, int]
    first_masks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Taught:
    """All that is learned from.

    Attributes:
        embeddings: float16 (slices of all variants, channels, h, w) on the device.
        masks: bool (masks, side, side) on the device.
        boxes: float32 (masks, 4) on the device: boxes of the masks, NaN for empty ones.
        tracks: the objects.
        variants: the variants of the images.
    """

    embeddings: Tensor
    masks: Tensor
    boxes: Tensor
    tracks: list[Track]
    variants: list[Shown]


@torch.no_grad()
def taught(volumes: Sequence[Volume], family: Family, encode: Encode, device: str, settings: Settings) -> Taught:
    """Encode all variants of the images.

    Args:
        volumes: images with at least one object.
        encode: the encoder.
        device: where embeddings and masks are kept.
    """
    side = family.input_size
    count = settings.variants * sum(len(volume.images) for volume in volumes)
    tokens = side // PIXELS_PER_TOKEN
    # In one piece from the beginning: joined later, they would need twice the memory.
    embeddings = torch.empty((count, EMBEDDING_CHANNELS, tokens, tokens), dtype=torch.float16, device=device)
    masks: list[Tensor] = []
    tracks: list[Track] = []
    shown: list[Shown] = []
    first_slice = first_mask = 0
    for number in range(settings.variants):
        for place, volume in enumerate(volumes):
            if number == 0:
                variant = plain_variant(volume, family, device)
            else:
                random = np.random.default_rng([settings.seed, number, place])
                variant = changed_variant(volume, side, device, settings.images, random)
            slices = len(variant.inputs)
            for begin in range(0, slices, AT_ONCE[device]):
                part = variant.inputs[begin : begin + AT_ONCE[device]].expand(-1, 3, -1, -1)
                embeddings[first_slice + begin : first_slice + begin + len(part)] = encode(part)
            found = _tracks(variant, volume, first_slice, first_mask, settings.sequences)
            masks += [mask for _track, mask in found]
            tracks += [track for track, _mask in found]
            shown.append(Shown(first_slice, slices, variant.size, tuple(track.first_mask for track, _mask in found)))
            first_slice += slices
            first_mask += slices * len(found)
    joined = torch.cat(masks) if masks else torch.zeros((0, side, side), dtype=torch.bool, device=device)
    return Taught(embeddings, joined, boxes_of(joined), tracks, shown)


def _tracks(
    variant: Variant, volume: Volume, first_slice: int, first_mask: int, settings: SequenceSettings
) -> list[tuple[Track, Tensor]]:
    """The objects that are large enough, with their masks, which follow each other from `first_mask` on."""
    found: list[tuple[Track, Tensor]] = []
    for truth in variant.truths:
        areas = truth.sum((1, 2)).cpu().numpy()
        if areas.max() < settings.smallest_area:
            continue
        box3d = Box(*boxes_of(truth.any(0)).tolist())
        begin = first_mask + len(found) * len(areas)
        found.append((Track(first_slice, begin, boxes_of(truth).cpu().numpy(), areas, box3d, volume.other), truth))
    return found


def track_weights(tracks: Sequence[Track], settings: SequenceSettings) -> np.ndarray:
    """How often each object is drawn: float64 (n,), sum 1."""
    weights = np.array([math.sqrt(min(settings.slices_counted, len(track.held))) for track in tracks])
    other = np.array([track.other for track in tracks])
    if other.any() and not other.all():
        weights[other] *= settings.others_share / weights[other].sum()
        weights[~other] *= (1 - settings.others_share) / weights[~other].sum()
    return weights / weights.sum()
