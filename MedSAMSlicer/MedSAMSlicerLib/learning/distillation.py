"""What the decoder must not forget: its masks for random boxes in which it finds something, and is sure of it.

Learning from one kind of object alone would make the decoder find that object everywhere. So it also learns to answer as
before where it was sure (Li and Hoiem, Learning without forgetting, arXiv:1606.09282).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..engine.atomic_files import replace_atomically
from ..engine.models.family import Family, NetworkPrompt
from ..engine.prompts import Box
from .prompts import drawn_jitter, jittered
from .samples import HALF, Sample
from .settings import DistillationSettings, PromptSettings

Decode = Callable[[np.ndarray, Sequence[NetworkPrompt]], tuple[np.ndarray, np.ndarray]]
"""`Runtime.decode`."""
# Logits are kept as int8 of twelfths: from -10 to 10.
_STEPS_PER_LOGIT = 12


@dataclass(frozen=True, eq=False)
class SureAnswers:
    """Answers of the decoder before it learns.

    Attributes:
        boxes: float32 (n, 4) in pixels of the network's input; n may be 0.
        logits: int8 (n, h, w), logits times `_STEPS_PER_LOGIT`.
        ious: float32 (n,) predicted IoU.
    """

    boxes: np.ndarray
    logits: np.ndarray
    ious: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def logits_of(self, index: int) -> np.ndarray:
        """float32 (h, w) logits of one answer."""
        return self.logits[index].astype(np.float32) / _STEPS_PER_LOGIT


def sure_answers(
    sample: Sample, embedding: np.ndarray, input_size: int, decode: Decode, settings: DistillationSettings, seed: int
) -> SureAnswers:
    """Try random boxes on a slice, and keep the answers that the decoder is sure of."""
    random = np.random.default_rng([seed, zlib.crc32(sample.key.encode())])
    height, width = sample.truth.shape
    boxes = _random_boxes(height, width, input_size, settings, random)
    logits, ious = decode(embedding, [NetworkPrompt(box=box) for box in boxes])
    logits, ious = logits[:, 0], ious[:, 0]
    truth = np.zeros(logits.shape[1:], bool)
    truth[:height, :width] = sample.truth >= HALF
    by_iou = np.argsort(-ious, kind="stable").tolist()
    kept = [n for n in by_iou if _is_sure(logits[n], float(ious[n]), truth, settings)][: settings.kept]
    compact = np.clip(np.rint(logits[kept] * _STEPS_PER_LOGIT), -127, 127).astype(np.int8)
    return SureAnswers(boxes[kept], compact, ious[kept].astype(np.float32))


def _random_boxes(
    height: int, width: int, input_size: int, settings: DistillationSettings, random: np.random.Generator
) -> np.ndarray:
    low, high = (np.log(side * input_size) for side in (settings.smallest_side, settings.largest_side))
    sides = np.exp(random.uniform(low, high, (settings.tried, 2)))
    stretch = np.exp(random.normal(0, settings.stretch, settings.tried))
    sides *= np.stack((stretch, 1 / stretch), axis=1)
    size = np.array([width, height])
    start = random.uniform(0, np.maximum(1, size - sides))
    end = np.minimum(size - 1, start + sides)
    return np.floor(np.concatenate((np.minimum(start, end), end), axis=1)).astype(np.float32)


def _is_sure(logits: np.ndarray, iou: float, truth: np.ndarray, settings: DistillationSettings) -> bool:
    mask = logits > 0
    area = int(mask.sum())
    if iou <= settings.predicted_iou or area <= settings.smallest_area * mask.size:
        return False
    stability = (logits > 1).sum() / max(1, (logits > -1).sum())
    return bool(stability > settings.stability and (mask & truth).sum() / area < settings.overlap)


def drawn_answer_box(
    answers: SureAnswers,
    index: int,
    sample: Sample,
    family: Family,
    settings: DistillationSettings,
    prompts: PromptSettings,
    random: np.random.Generator,
) -> tuple[np.ndarray, bool]:
    """Draw a box for which a sure answer has to stay as it is: the one that was tried, or one around its mask.

    Returns:
        float32 (4,) in pixels of the network's input, and whether it is the one that was tried.
    """
    height, width = sample.truth.shape
    kind = random.random()
    around = Box.from_mask(answers.logits[index, :height, :width] > 0)
    if kind < settings.as_tried or around is None:
        return answers.boxes[index], True
    # The mask is one of the network's input, whose pixels the model's margin is in.
    if kind < settings.as_tried + settings.around_mask:
        box, factor = drawn_jitter(around, 1.0, prompts, random), float(random.choice(settings.margins))
    else:
        growth = random.uniform(*settings.growth)
        larger = around.padded(growth * around.width, growth * around.height)
        box, factor = jittered(larger, settings.growth_jitter, 1.0, random), 0.0
    side = family.input_size
    return family.network_box(family.with_margin(box, side, side, factor), side, side), False


def write_answers(path: Path, answers: SureAnswers) -> None:
    """Write answers to a file. Raises OSError."""
    with replace_atomically(path, flush=False) as part:
        np.savez(part, boxes=answers.boxes, logits=answers.logits, ious=answers.ious)


def read_answers(path: Path) -> SureAnswers | None:
    """Answers in a file; None if there is none, or if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return SureAnswers(file["boxes"], file["logits"], file["ious"])
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None
