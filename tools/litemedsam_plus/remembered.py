"""What the decoder must not forget: pairs of masks on neighbouring slices that it was sure of before it learned.

On one slice, random boxes are tried. Where the decoder is sure of something other than the objects that are taught, it is
asked for the same on a slice near by, with a box around the first mask. If it is sure of that too, and the masks agree,
both have to stay as they are (Li and Hoiem, Learning without forgetting, arXiv:1606.09282).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from litemedsam_plus.boxes import boxes_of, jittered, network_boxes
from litemedsam_plus.settings import RememberedSettings
from litemedsam_plus.taught import AT_ONCE, Shown, Taught
from MedSAMSlicerLib.engine.propagation.settings import OutwardSettings
from MedSAMSlicerLib.learning.losses import forgetting_loss

Decode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Embeddings (n, channels, h, w) and boxes (n, 4) -> logits (n, side, side) and predicted IoU (n,)."""


@dataclass(frozen=True, eq=False)
class Remembered:
    """Pairs of masks, n of them, on the device.

    Attributes:
        first, second: int64 (n,), numbers of the slices among all embeddings.
        first_logits, second_logits: float16 (n, side, side).
        box: float32 (n, 4), the random box that the first mask was found with.
    """

    first: Tensor
    second: Tensor
    first_logits: Tensor
    second_logits: Tensor
    box: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def part(self, chosen: Tensor) -> Remembered:
        """Some of the pairs."""
        return Remembered(*(getattr(self, field.name)[chosen] for field in fields(self)))


@torch.no_grad()
def remembered_pairs(taught: Taught, decode: Decode, settings: RememberedSettings, seed: int) -> Remembered | None:
    """Find pairs on all variants of all images that have several slices; None if there are none.

    Args:
        decode: the decoder before it learns.
    """
    found = [
        _pairs_of(shown, taught, decode, settings, np.random.default_rng([seed, number]))
        for number, shown in enumerate(taught.variants)
        if shown.slices > 1
    ]
    if not any(len(pairs) for pairs in found):
        return None
    return Remembered(*(torch.cat([getattr(pairs, field.name) for pairs in found]) for field in fields(Remembered)))


def _pairs_of(
    shown: Shown, taught: Taught, decode: Decode, settings: RememberedSettings, random: np.random.Generator
) -> Remembered:
    device, side = taught.embeddings.device, taught.masks.shape[-1]
    here = random.integers(0, shown.slices, settings.tried)
    steps = random.choice((-1, 1), settings.tried) * random.integers(1, settings.farthest + 1, settings.tried)
    there = np.clip(here + steps, 0, shown.slices - 1)
    boxes = torch.from_numpy(_random_boxes(shown.size, settings, random)).to(device)
    first, second = (torch.from_numpy(shown.first_slice + index).to(device) for index in (here, there))
    logits, ious = _decoded(taught, first, boxes, decode)
    masks = logits > 0
    objects = torch.zeros_like(masks)
    for begin in shown.first_masks:
        objects |= taught.masks[torch.from_numpy(begin + here).to(device)]
    areas = masks.sum((1, 2)).clamp(min=1)
    other = (masks & objects).sum((1, 2)) / areas < settings.overlap
    sure = _sure(logits, ious, settings) & other & (areas > settings.smallest_area) & (first != second)
    kept = torch.nonzero(sure)[:, 0]
    found = Remembered(first[kept], second[kept], logits[kept].half(), logits[kept].half(), boxes[kept])
    if not len(found):
        return found
    around = network_boxes(torch.nan_to_num(boxes_of(masks[kept])), 1.0, side)
    logits, ious = _decoded(taught, found.second, around, decode)
    common = (masks[kept] & (logits > 0)).sum((1, 2))
    agreement = 2 * common / (areas[kept] + (logits > 0).sum((1, 2)))
    same = torch.nonzero(_sure(logits, ious, settings) & (agreement > settings.agreement))[: settings.pairs, 0]
    return Remembered(found.first, found.second, found.first_logits, logits.half(), found.box).part(same)


def _decoded(taught: Taught, slices: Tensor, boxes: Tensor, decode: Decode) -> tuple[Tensor, Tensor]:
    """Logits and predicted IoU of a box on each of some slices."""
    size = AT_ONCE[taught.embeddings.device.type]
    parts = [
        decode(taught.embeddings[some], around)
        for some, around in zip(slices.split(size), boxes.split(size), strict=True)
    ]
    return torch.cat([logits for logits, _ious in parts]), torch.cat([ious for _logits, ious in parts])


def _random_boxes(size: tuple[int, int], settings: RememberedSettings, random: np.random.Generator) -> np.ndarray:
    """Boxes in a slice of `size` rows and columns: float32 (n, 4), whole pixels."""
    low, high = np.log((settings.smallest_side, settings.largest_side))
    sides = np.exp(
        random.uniform(low, high, (settings.tried, 1)) + random.normal(0, settings.stretch, (settings.tried, 2))
    )
    columns_rows = np.array(size[::-1])
    start = random.uniform(0, np.maximum(1, columns_rows - sides))
    end = np.minimum(columns_rows - 1, start + sides)
    return np.floor(np.concatenate((np.minimum(start, end), end), axis=1)).astype(np.float32)


def _sure(logits: Tensor, ious: Tensor, settings: RememberedSettings) -> Tensor:
    stability = (logits > 1).sum((1, 2)) / (logits > -1).sum((1, 2)).clamp(min=1)
    return (ious > settings.predicted_iou) & (stability > settings.stability)


def remembering_losses(
    pairs: Remembered,
    taught: Taught,
    decode: Decode,
    settings: RememberedSettings,
    outward: OutwardSettings,
    border: float,
    random: torch.Generator,
) -> list[Callable[[], Tensor]]:
    """Losses of some pairs, one function for the first masks and one for the second ones.

    They are functions so that the numbers that gradients need are held for one of them at a time.
    """
    device, side = taught.embeddings.device, taught.masks.shape[-1]
    first, second = (boxes_of(logits > 0) for logits in (pairs.first_logits, pairs.second_logits))
    amount = torch.full((len(pairs),), settings.jitter, device=device)

    def drawn(share: float, boxes: Tensor, others: Tensor) -> Tensor:
        taken = torch.rand(len(pairs), generator=random, device=device) < share
        return torch.where(taken[:, None], boxes, others)

    def around(boxes: Tensor) -> Tensor:
        return network_boxes(jittered(boxes, amount, side, random), 1.0, side)

    box_first = drawn(settings.as_tried, pairs.box, around(first))
    box_second = drawn(settings.own_box, around(second), network_boxes(first, outward.loose_margin, side))

    def loss(slices: Tensor, boxes: Tensor, before: Tensor) -> Tensor:
        logits, _ious = decode(taught.embeddings[slices], boxes)
        return forgetting_loss(logits, boxes, before.float(), settings.dice_weight, border).mean() / 2

    return [
        lambda: loss(pairs.first, box_first, pairs.first_logits),
        lambda: loss(pairs.second, box_second, pairs.second_logits),
    ]
