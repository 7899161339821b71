"""Training of the decoder's changes on sequences of slices.

Everything that is random depends on the seed and the number of the step alone. So the same seed gives the same numbers, bit
for bit, on the same device with the same libraries and number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from litemedsam_plus.prompts import prompted_boxes, spoilt
from litemedsam_plus.remembered import Decode, Remembered, remembered_pairs, remembering_losses
from litemedsam_plus.sequences import Batch, batch_of, drawn_sequence
from litemedsam_plus.settings import Settings
from litemedsam_plus.taught import Taught, track_weights
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings
from MedSAMSlicerLib.learning.decoder import decode_boxes, positions
from MedSAMSlicerLib.learning.losses import box_losses
from MedSAMSlicerLib.learning.low_rank import DecoderChanges, scaled


class Training:
    """A training.

    Args:
        arrays: parameters of the network that learning begins with, by the authors' names.
        taught: what is learned from; at least one object.
        settings: settings.
        device: "cpu" or "cuda", where `taught` is.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], taught: Taught, settings: Settings, device: str) -> None:
        self._taught, self._settings, self._device = taught, settings, device
        self._propagation = PropagationSettings()
        self._changes = DecoderChanges(arrays, settings.rank, settings.seed).to_device(device)
        self._position = positions(self._changes.start, taught.embeddings.shape[-1])
        self._weights = track_weights(taught.tracks, settings.sequences)
        self.remembered: Remembered | None = remembered_pairs(
            taught, self._decoder(self._changes.start), settings.remembered, settings.seed
        )
        groups = ((self._changes.low_rank, settings.low_rank_rate), (self._changes.full, settings.full_rate))
        self._optimizer = torch.optim.AdamW(
            [{"params": parameters, "lr": rate, "full": rate} for parameters, rate in groups],
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        self._mean = {name: value.detach().clone() for name, value in self._changes.state_dict().items()}

    def run(self, progress: Callable[[int, list[float]], object] = lambda _step, _dice: None) -> dict[str, np.ndarray]:
        """Train.

        Args:
            progress: called after each step with the number of steps done, and the mean Dice coefficient of each slice
                of the sequences.

        Returns:
            The part of the changes' running mean that is kept, as `DecoderChanges.state_dict` names them.
        """
        for step in range(self._settings.stop_after):
            progress(step + 1, self._step(step))
        return {name: value.cpu().numpy() for name, value in scaled(self._mean, self._settings.kept).items()}

    def _step(self, step: int) -> list[float]:
        settings = self._settings
        random = np.random.default_rng([settings.seed, step])
        on_device = torch.Generator(self._device).manual_seed(int(random.integers(2**62)))
        for group in self._optimizer.param_groups:
            group["lr"] = group["full"] * settings.rate(step)
        self._optimizer.zero_grad()
        chosen = random.choice(len(self._taught.tracks), settings.batch, p=self._weights)
        sequences = [
            drawn_sequence(self._taught.tracks[number], settings.sequences, self._propagation.in_box, random)
            for number in chosen
        ]
        dice = self._follow(batch_of(sequences, settings.sequences.length, self._device), on_device)
        self._remember(random, on_device)
        torch.nn.utils.clip_grad_norm_(self._changes.parameters(), settings.largest_gradient)
        self._optimizer.step()
        # At the beginning a shorter mean: otherwise it would remember the decoder without changes for long.
        decay = min(settings.mean_decay, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in self._changes.state_dict().items():
                self._mean[name].mul_(decay).add_(value, alpha=1 - decay)
        return dice

    def _follow(self, batch: Batch, random: torch.Generator) -> list[float]:
        """Add the gradients of the sequences; mean Dice coefficient of each of their slices."""
        settings, taught = self._settings, self._taught
        # What the decoder has just found is the neighbour's mask on the next slice; before the first one, the truth is.
        neighbour = spoilt(taught.masks[batch.neighbour].float(), settings.boxes, random)
        has_neighbour = batch.has_neighbour
        dice: list[float] = []
        length = batch.slices.shape[1]
        for at in range(length):
            numbers = batch.masks[:, at]
            truth, valid = taught.masks[numbers].float(), batch.valid[:, at].float()
            boxes = prompted_boxes(
                batch,
                at,
                taught.boxes[numbers],
                neighbour,
                has_neighbour,
                settings.boxes,
                self._propagation.outward,
                random,
            )
            # Parameters anew for each slice: its gradients are added up at once, and what they need is let go.
            decode = self._decoder(self._changes.changed())
            logits, ious = decode(taught.embeddings[batch.slices[:, at]], boxes)
            found = box_losses(logits, ious, boxes, truth, settings.border)
            here = truth.flatten(1).amax(1)
            losses = sequence_losses(found.cross_entropy, found.dice, found.iou, here, settings.ended_weight)
            ((valid * losses).sum() / valid.sum().clamp(min=1) / length).backward()
            dice.append(float((found.overlap * valid * here).sum() / (valid * here).sum().clamp(min=1)))
            probability = torch.sigmoid(logits.detach())
            large = (probability > 0.5).sum((1, 2)) > settings.boxes.smallest_area
            taken = large & batch.valid[:, at]
            neighbour = torch.where(taken[:, None, None], probability, neighbour)
            has_neighbour = has_neighbour | taken
        return dice

    def _remember(self, random: np.random.Generator, on_device: torch.Generator) -> None:
        """Add the gradients of some pairs that must not be forgotten."""
        settings = self._settings.remembered
        if self.remembered is None or not settings.per_step:
            return
        chosen = torch.from_numpy(random.integers(0, len(self.remembered), settings.per_step)).to(self._device)
        losses = remembering_losses(
            self.remembered.part(chosen),
            self._taught,
            lambda embeddings, boxes: self._decoder(self._changes.changed())(embeddings, boxes),
            settings,
            self._propagation.outward,
            self._settings.border,
            on_device,
        )
        for loss in losses:
            (settings.weight * settings.per_step / self._settings.batch * loss()).backward()

    def _decoder(self, parameters: Mapping[str, Tensor]) -> Decode:
        side = self._taught.masks.shape[-1]

        def decode(embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
            with torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda"):
                logits, ious = decode_boxes(parameters, embeddings.float(), self._position, boxes, side)
            return logits.float(), ious.float()

        return decode


def sequence_losses(cross_entropy: Tensor, dice: Tensor, iou: Tensor, here: Tensor, ended_weight: float) -> Tensor:
    """Loss of each box, (n,): where the object has ended no Dice loss counts, and BCE counts less.

    Args:
        cross_entropy, dice, iou: see `BoxLosses`.
        here: 1 where the slice holds the object, 0 where it has ended.
        ended_weight: weight of BCE where it has ended.
    """
    return cross_entropy * (ended_weight + (1 - ended_weight) * here) + here * dice + iou
