"""Losses of several boxes are those of each alone, and small where masks are right."""

from __future__ import annotations

import pytest
import torch

from MedSAMSlicerLib.learning.losses import box_losses, forgetting_loss, object_loss

BOXES = torch.tensor([[2.0, 3.0, 9.0, 12.0], [5.0, 1.0, 14.0, 6.0]])
TRUTH = torch.zeros(2, 16, 16)
TRUTH[0, 3:13, 2:10] = 1
TRUTH[1, 1:7, 5:15] = 1
LOGITS = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
IOUS = torch.tensor([0.3, 0.8])


def test_a_loss_of_an_object_is_the_mean_over_its_boxes() -> None:
    found = box_losses(LOGITS, IOUS, BOXES, TRUTH[0], border=4)
    whole = object_loss(LOGITS, IOUS, BOXES, TRUTH[0], border=4)
    each = found.cross_entropy + found.dice + found.iou
    assert float(whole.loss) == pytest.approx(float(each.mean()))
    assert whole.dice == pytest.approx(float(found.overlap.mean()))


def test_each_box_may_have_a_truth_of_its_own() -> None:
    found = box_losses(LOGITS, IOUS, BOXES, TRUTH, border=4)
    for n in range(2):
        alone = box_losses(LOGITS[n : n + 1], IOUS[n : n + 1], BOXES[n : n + 1], TRUTH[n], border=4)
        for name in ("cross_entropy", "dice", "iou", "overlap"):
            assert float(getattr(found, name)[n]) == pytest.approx(float(getattr(alone, name)[0]))
    right = box_losses(40 * TRUTH - 20, torch.ones(2), BOXES, TRUTH, border=4)
    assert torch.stack((right.cross_entropy, right.dice, right.iou)).max() < 1e-5 and right.overlap.tolist() == [1, 1]


def test_what_is_not_forgotten_costs_nothing_and_several_masks_cost_what_each_does() -> None:
    before = LOGITS.flip(0)
    together = forgetting_loss(LOGITS, BOXES, before, 0.5, 4)
    alone = [float(forgetting_loss(LOGITS[n], BOXES[n], before[n], 0.5, 4)) for n in range(2)]
    assert together.tolist() == pytest.approx(alone) and min(alone) > 0.1
    assert forgetting_loss(LOGITS, BOXES, LOGITS, 0.5, 4).abs().max() < 1e-6
