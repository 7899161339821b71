"""What a step of training makes small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class StepLoss:
    """Loss of the boxes on one slice.

    Attributes:
        loss: what is made small.
        dice: mean Dice coefficient of the masks, for the log.
    """

    loss: Tensor
    dice: float


@dataclass(frozen=True)
class BoxLosses:
    """Losses of masks of the object, one for each box: float32 (n,).

    Attributes:
        cross_entropy: BCE, summed up and divided by the area of the box: a mean over the image would be the smaller the
            smaller the object.
        dice: Dice loss of the probabilities.
        iou: squared error of the predicted IoU.
        overlap: Dice coefficient of the mask, for the log; it has no gradient.
    """

    cross_entropy: Tensor
    dice: Tensor
    iou: Tensor
    overlap: Tensor


def box_losses(logits: Tensor, ious: Tensor, boxes: Tensor, truth: Tensor, border: float) -> BoxLosses:
    """Losses of masks of the object, for each box.

    Args:
        logits: (n, h, w).
        ious: predicted IoU (n,).
        boxes: (n, 4) in pixels of the network's input.
        truth: (h, w) or (n, h, w), share of the object in each pixel, 0..1.
        border: pixels by which boxes are enlarged on each side for the area.
    """
    wanted = truth.expand(len(logits), -1, -1)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum((1, 2))
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * wanted).sum((1, 2)) + 1
    soft_dice = overlap / (probability.sum((1, 2)) + wanted.sum((1, 2)) + 1)
    with torch.no_grad():
        mask, object_mask = logits > 0, wanted > 0.5
        common = (mask & object_mask).sum((1, 2)).float()
        iou = common / (mask | object_mask).sum((1, 2)).clamp(min=1)
        dice = 2 * common / (mask.sum((1, 2)) + object_mask.sum((1, 2))).clamp(min=1)
    return BoxLosses(cross_entropy / _areas(boxes, border), 1 - soft_dice, (ious - iou).square(), dice)


def object_loss(logits: Tensor, ious: Tensor, boxes: Tensor, truth: Tensor, border: float) -> StepLoss:
    """Loss of masks of the object on one slice: the sum of the means of `box_losses`, which says what is given."""
    found = box_losses(logits, ious, boxes, truth, border)
    return StepLoss(found.cross_entropy.mean() + found.dice.mean() + found.iou.mean(), float(found.overlap.mean()))


def forgetting_loss(logits: Tensor, box: Tensor, before: Tensor, dice_weight: float, border: float) -> Tensor:
    """How much masks differ from the masks before learning: divergence and Dice loss of probabilities.

    Args:
        logits, before: (h, w), or (n, h, w) for n boxes.
        box: (4,), or (n, 4), in pixels of the network's input.
        dice_weight: weight of the Dice loss.
        border: as of `box_losses`.

    Returns:
        A number, or (n,).
    """
    wanted, found = torch.sigmoid(before), torch.sigmoid(logits)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    entropy = functional.binary_cross_entropy(wanted, wanted, reduction="none")
    pixels = (-2, -1)
    divergence = (cross_entropy - entropy).sum(pixels) / _areas(box, border)
    # With squares, so that it is none where the masks are the same.
    dice = (2 * (found * wanted).sum(pixels) + 1) / (found.square().sum(pixels) + wanted.square().sum(pixels) + 1)
    return divergence + dice_weight * (1 - dice)


def _areas(boxes: Tensor, border: float) -> Tensor:
    width, height = ((boxes[..., n + 2] - boxes[..., n] + 1 + 2 * border) for n in (0, 1))
    return width * height
