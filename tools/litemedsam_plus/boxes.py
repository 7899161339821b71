"""Boxes of many masks at once, float32 (n, 4): x0, y0, x1, y1 in pixels of the network's input, edges included."""

from __future__ import annotations

import torch
from torch import Tensor

from MedSAMSlicerLib.engine.models.litemedsam import MARGIN


def boxes_of(masks: Tensor) -> Tensor:
    """Bounding boxes of masks.

    Args:
        masks: bool (..., rows, columns).

    Returns:
        float32 (..., 4); NaN for a mask that is empty.
    """
    rows, columns = masks.any(-1), masks.any(-2)
    edges = [_ends(columns), _ends(rows)]
    found = torch.stack((edges[0][0], edges[1][0], edges[0][1], edges[1][1]), -1)
    return torch.where(rows.any(-1)[..., None], found, torch.nan)


def _ends(present: Tensor) -> tuple[Tensor, Tensor]:
    """First and last index that is present along the last axis, float32; something if none is."""
    index = torch.arange(present.shape[-1], dtype=torch.float32, device=present.device)
    last = present.shape[-1] - 1
    return torch.where(present, index, last).amin(-1), torch.where(present, index, 0).amax(-1)


def network_boxes(boxes: Tensor, margin_factor: float, side: int) -> Tensor:
    """Boxes with a margin, as the network gets them.

    For a slice of the size of the network's input this is `LiteMedSAM.with_margin`, then `LiteMedSAM.network_box`.

    Args:
        boxes: (n, 4).
        margin_factor: multiple of LiteMedSAM's margin.
        side: side of the network's input in pixels.
    """
    margin = margin_factor * MARGIN
    low = (boxes[:, :2] - margin + 0.5).clamp(min=0)
    high = (boxes[:, 2:] + margin + 0.5).clamp(max=side - 0.5)
    return torch.cat((low, torch.maximum(low, high)), 1).floor()


def jittered(boxes: Tensor, amount: Tensor, side: int, random: torch.Generator) -> Tensor:
    """Boxes with each edge shifted at random.

    Args:
        boxes: (n, 4).
        amount: (n,), largest shift as a fraction of width or height; at least a pixel.
        side: side of the network's input in pixels, in which the boxes stay.
    """
    sizes = (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)
    shift = 2 * torch.rand(boxes.shape, generator=random, device=boxes.device) - 1
    moved = boxes + shift * (sizes * amount[:, None]).clamp(min=1)
    low, high = torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])
    return torch.cat((low, high), 1).clamp(0, side - 1)


def medians(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Median of three numbers, element by element. `torch.median` has no deterministic way on a GPU."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return torch.maximum(low, torch.minimum(high, third))
