"""Boxes that are prompted in training: those that the propagation would prompt, as far as truth and predictions tell."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from litemedsam_plus.boxes import boxes_of, jittered, medians, network_boxes
from litemedsam_plus.sequences import Batch
from litemedsam_plus.settings import BoxSettings
from MedSAMSlicerLib.engine.propagation.settings import OutwardSettings


def prompted_boxes(
    batch: Batch,
    at: int,
    own: Tensor,
    neighbour: Tensor,
    has_neighbour: Tensor,
    settings: BoxSettings,
    outward: OutwardSettings,
    random: torch.Generator,
) -> Tensor:
    """Draw a box for one slice of each sequence.

    Args:
        batch: the sequences.
        at: place of the slice in its sequence.
        own: float32 (n, 4), boxes of the objects on their slices; NaN where an object has ended.
        neighbour: float32 (n, side, side), probability of the objects on the slices before.
        has_neighbour: bool (n,), whether `neighbour` is known.

    Returns:
        float32 (n, 4) in pixels of the network's input.
    """
    count, side, device = len(own), neighbour.shape[-1], own.device
    drawn = torch.rand(count, generator=random, device=device)
    small, large = settings.own_jitters
    amount = torch.where(torch.rand(count, generator=random, device=device) < 0.5, small, large)
    near = torch.nan_to_num(boxes_of(neighbour > 0.5))
    is_near = has_neighbour & (near[:, 2] > near[:, 0]) & (near[:, 3] > near[:, 1])
    expected = batch.expected[:, at]
    near_or_expected = torch.where(is_near[:, None], near, expected)
    own = torch.where(torch.isnan(own), near_or_expected, own)
    chosen = network_boxes(jittered(own, amount, side, random), 1.0, side)
    loose = network_boxes(near, outward.loose_margin, side)
    median = medians(near_or_expected, jittered(own, settings.median_jitter * amount, side, random), expected)
    # From the largest share down: each takes a part of what those before it have taken.
    for where, share, boxes in (
        (is_near, settings.near_loose, loose),
        (is_near, settings.near_close, network_boxes(near, outward.close_margin, side)),
        (batch.in_box, settings.median, network_boxes(median, 1.0, side)),
        (batch.in_box, settings.generous, network_boxes(batch.generous[:, at], 0.0, side)),
        (batch.in_box, settings.expected, network_boxes(expected, 1.0, side)),
        (batch.in_box & is_near, settings.in_box_near, loose),
        (batch.in_box, settings.box3d, network_boxes(batch.box3d, 0.0, side)),
    ):
        chosen = torch.where((where & (drawn < share))[:, None], boxes, chosen)
    return chosen


def spoilt(masks: Tensor, settings: BoxSettings, random: torch.Generator) -> Tensor:
    """Masks as a prediction might be in their place: stretched and shifted a little, some of them blurred.

    Args:
        masks: float32 (n, side, side), 0..1.
    """
    count, side, device = len(masks), masks.shape[-1], masks.device

    def uniform(largest: float) -> Tensor:
        """(n, 2) for x and y."""
        return (2 * torch.rand((count, 2), generator=random, device=device) - 1) * largest

    boxes = torch.nan_to_num(boxes_of(masks > 0.5), nan=side / 2)
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2] + 1
    stretch, shift = torch.exp(uniform(settings.stretch)), uniform(settings.shift) * size
    pixels = torch.arange(side, dtype=torch.float32, device=device).expand(count, 2, side)
    taken = (pixels - (middle + shift)[..., None]) * stretch[..., None] + middle[..., None]
    x, y = ((taken + 0.5) * (2 / side) - 1).unbind(1)
    grid = torch.stack((x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)), -1)
    moved = functional.grid_sample(masks[:, None], grid, align_corners=False)
    blurred = functional.avg_pool2d(moved, settings.blur, 1, settings.blur // 2)
    is_blurred = torch.rand(count, generator=random, device=device) < settings.blurred
    return torch.where(is_blurred[:, None, None], blurred[:, 0], moved[:, 0])
