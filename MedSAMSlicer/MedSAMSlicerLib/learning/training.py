"""Training of a decoder's changes on samples.

Everything that is random depends on the seed and the number of the step alone, so that a training that was ended and goes
on from its last checkpoint gives the same numbers, bit for bit, as one that was not (on the same processor, with the same
number of threads).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..engine.models.family import Family
from .checkpoint import read_checkpoint, write_checkpoint
from .course import Course
from .decoder import decode_boxes, positions
from .distillation import SureAnswers, drawn_answer_box
from .losses import forgetting_loss, object_loss
from .low_rank import DecoderChanges, scaled
from .prompts import GENEROUS, TIGHT, drawn_boxes, network_box
from .samples import Sample
from .settings import LearningSettings

CHECKPOINT_SECONDS = 60.0
_WATCHED_KINDS = (TIGHT, GENEROUS)


@dataclass(frozen=True, eq=False)
class Lessons:
    """What is learned.

    Attributes:
        taught: slices to learn from.
        watched: slices of patients that training is stopped by; may be empty.
        embedding: gives the embedding of a key, float32 (channels, h, w).
        answers: gives the sure answers of a taught sample before learning.
    """

    taught: Sequence[Sample]
    watched: Sequence[Sample]
    embedding: Callable[[str], np.ndarray]
    answers: Callable[[Sample], SureAnswers]


@dataclass(frozen=True, eq=False)
class Learned:
    """Result of a training.

    Attributes:
        changes: changes of the decoder, as `DecoderChanges.state_dict` names them.
        course: how it went.
    """

    changes: dict[str, np.ndarray]
    course: Course


@dataclass(frozen=True, eq=False)
class _Unforgotten:
    """A box, the float32 (h, w) logits that it has to have, and its predicted IoU, if that is known."""

    box: np.ndarray
    logits: np.ndarray
    iou: float | None


class Training:
    """A training that can be ended at any time and goes on from its last checkpoint.

    Args:
        arrays: parameters of the network that learning begins with.
        lessons: what is learned.
        family: the model's family.
        settings: settings of learning.
        checkpoint: file of the checkpoint.
        device: "cpu" or "cuda".
        checkpoint_seconds: time between checkpoints.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        lessons: Lessons,
        family: Family,
        settings: LearningSettings,
        checkpoint: Path,
        device: str = "cpu",
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._lessons, self._family, self._settings, self._device = lessons, family, settings, device
        self._checkpoint, self._seconds = checkpoint, checkpoint_seconds
        training = settings.training
        self._changes = DecoderChanges(arrays, training.rank, settings.seed).to_device(device)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": self._changes.low_rank, "lr": training.low_rank_rate, "full": training.low_rank_rate},
                {"params": self._changes.full, "lr": training.full_rate, "full": training.full_rate},
            ],
            betas=training.betas,
            weight_decay=training.weight_decay,
        )
        self._mean = self._state()
        self._best = self._state()
        self._course = Course()
        self._positions: dict[int, Tensor] = {}
        self._order: tuple[int, list[int]] = (-1, [])

    def run(self, progress: Callable[[float], object] = lambda _done: None) -> Learned:
        """Train to the end, from the checkpoint if there is one.

        Args:
            progress: called with the fraction that is done.

        Raises:
            OSError: a checkpoint cannot be written, or an embedding cannot be read.
        """
        training = self._settings.training
        self._resume()
        course = self._course
        if course.step == 0:
            self._look()
        written = time.monotonic()
        while course.step < training.steps and course.worse < training.patience:
            self._step()
            if course.step % training.check_every == 0 or course.step == training.steps:
                self._look()
            progress(course.step / training.steps)
            if time.monotonic() - written >= self._seconds:
                self._write()
                written = time.monotonic()
        self._write()
        kept = scaled(self._best if self._lessons.watched else self._mean, training.kept)
        return Learned({name: value.cpu().numpy() for name, value in kept.items()}, course)

    def _state(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._changes.state_dict().items()}

    # --- a step

    def _step(self) -> None:
        training, course = self._settings.training, self._course
        random = np.random.default_rng([self._settings.seed, course.step])
        rate = training.rate(course.step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["full"] * rate
        self._optimizer.zero_grad()
        total = 0.0
        for n in range(training.samples_per_step):
            sample = self._lessons.taught[self._sample_index(course.step * training.samples_per_step + n)]
            loss = self._loss(sample, self._changes.changed(), random) / training.samples_per_step
            # One after the other: the numbers that gradients of one slice need take half a gigabyte.
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._changes.parameters(), training.largest_gradient)
        self._optimizer.step()
        course.step += 1
        course.sums.append(total)
        # At the beginning a shorter mean: otherwise it would remember the decoder without changes for long.
        decay = min(training.mean_decay, course.step / (course.step + 9))
        with torch.no_grad():
            for name, value in self._changes.state_dict().items():
                self._mean[name].mul_(decay).add_(value, alpha=1 - decay)

    def _sample_index(self, number: int) -> int:
        """Which sample comes at a place of the sequence: all of them in a random order, then in another one."""
        count = len(self._lessons.taught)
        epoch, place = divmod(number, count)
        if self._order[0] != epoch:
            shuffled = np.random.default_rng([self._settings.seed, count, epoch]).permutation(count)
            self._order = (epoch, shuffled.tolist())
        return self._order[1][place]

    def _loss(self, sample: Sample, parameters: Mapping[str, Tensor], random: np.random.Generator) -> Tensor:
        settings = self._settings
        height, width = sample.truth.shape
        boxes = drawn_boxes(sample.boxes, sample.rows, sample.columns, self._family, settings.prompts, random)
        asked, unforgotten = len(boxes), self._unforgotten(sample, random)
        prompted = torch.from_numpy(np.stack([*boxes, *(one.box for one in unforgotten)])).to(self._device)
        logits, ious = self._decode(parameters, sample, prompted)
        logits = logits[:, :height, :width]
        truth = torch.from_numpy(sample.truth.astype(np.float32) / 255).to(self._device)
        border, distillation = settings.training.border, settings.distillation
        loss = object_loss(logits[:asked], ious[:asked], prompted[:asked], truth, border).loss
        for n, one in enumerate(unforgotten, start=asked):
            before = torch.from_numpy(one.logits[:height, :width]).to(self._device)
            kept = forgetting_loss(logits[n], prompted[n], before, distillation.dice_weight, border)
            loss = loss + distillation.weight * kept / len(unforgotten)
            if one.iou is not None:
                loss = loss + distillation.weight * distillation.iou_weight * (ious[n] - one.iou).square()
        return loss

    def _unforgotten(self, sample: Sample, random: np.random.Generator) -> list[_Unforgotten]:
        settings = self._settings.distillation
        answers = self._lessons.answers(sample) if settings.weight else None
        found: list[_Unforgotten] = []
        if answers is not None and len(answers):
            for _ in range(settings.boxes):
                chosen = int(random.integers(len(answers)))
                box, as_tried = drawn_answer_box(
                    answers, chosen, sample, self._family, settings, self._settings.prompts, random
                )
                iou = float(answers.ious[chosen]) if as_tried else None
                found.append(_Unforgotten(box, answers.logits_of(chosen), iou))
        return found

    def _decode(self, parameters: Mapping[str, Tensor], sample: Sample, boxes: Tensor) -> tuple[Tensor, Tensor]:
        embedding = torch.from_numpy(self._lessons.embedding(sample.key)).to(self._device)
        side = embedding.shape[1]
        if side not in self._positions:
            self._positions[side] = positions(self._changes.start, side)
        return decode_boxes(parameters, embedding, self._positions[side], boxes, self._family.input_size)

    # --- watched patients

    def _look(self) -> None:
        """Compare the running mean with the best state so far."""
        course = self._course
        if course.sums:
            course.loss.append((course.step, float(np.mean(course.sums))))
            course.sums.clear()
        if not self._lessons.watched:
            return
        found = self._watched_dice()
        highest = max((value for _step, value in course.watched), default=0.0)
        course.watched.append((course.step, found))
        if found >= highest - self._settings.training.tolerance:
            self._best = {name: value.clone() for name, value in self._mean.items()}
            course.best_step, course.worse = course.step, 0
        else:
            course.worse += 1

    @torch.no_grad()
    def _watched_dice(self) -> float:
        parameters = self._changes.changed(scaled(self._mean, self._settings.training.kept))
        found = []
        for sample in self._lessons.watched:
            height, width = sample.truth.shape
            boxes = np.stack(
                [
                    network_box(one.box, one.margin_factor, sample.rows, sample.columns, self._family)
                    for one in sample.boxes
                    if one.kind in _WATCHED_KINDS
                ]
            )
            prompted = torch.from_numpy(boxes).to(self._device)
            logits, ious = self._decode(parameters, sample, prompted)
            truth = torch.from_numpy(sample.truth.astype(np.float32) / 255).to(self._device)
            border = self._settings.training.border
            found.append(object_loss(logits[:, :height, :width], ious, prompted, truth, border).dice)
        return float(np.mean(found))

    # --- the checkpoint

    @cached_property
    def _run(self) -> str:
        """Name of what is trained, with what and how; a checkpoint of another run is not used."""
        settings = self._settings
        told = (settings.seed, settings.prompts, settings.distillation, settings.training)
        digest = hashlib.sha256(repr(told).encode())
        for sample in (*self._lessons.taught, *self._lessons.watched):
            digest.update(f"{sample.key} {sample.boxes!r}".encode())
            digest.update(sample.truth.tobytes())
        for name, value in self._changes.start.items():
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _write(self) -> None:
        tensors = {
            f"{group}/{name}": value
            for group, state in (("now", self._changes.state_dict()), ("mean", self._mean), ("best", self._best))
            for name, value in state.items()
        }
        for number, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{name}": value for name, value in state.items()}
        write_checkpoint(self._checkpoint, self._run, self._course, tensors)

    def _resume(self) -> None:
        found = read_checkpoint(self._checkpoint, self._run)
        if found is None:
            return
        self._course, arrays = found
        groups: dict[str, dict[str, Tensor]] = {"now": {}, "mean": {}, "best": {}, "optimizer": {}}
        for name, array in arrays.items():
            group, _, rest = name.partition("/")
            # The optimiser moves its own numbers, and keeps some of them on the processor.
            device = "cpu" if group == "optimizer" else self._device
            groups[group][rest] = torch.from_numpy(array).to(device)
        self._changes.load_state_dict(groups["now"])
        self._mean, self._best = groups["mean"], groups["best"]
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in groups["optimizer"].items():
            number, _, part = name.partition("/")
            states.setdefault(int(number), {})[part] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": states})
