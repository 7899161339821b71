"""Whether a graphics device may encode in half precision: tried once for each device and weights, and kept.

The check slice is encoded in both precisions on that device and answered from both embeddings. What comes out has to
agree so well that results stay within the 0.002 of DSC that are allowed for speed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..atomic_files import replace_atomically
from ..environment import cache_folder
from ..log import get_logger
from ..masks import dice
from ..prompts import SlicePrompt
from .check_image import SIDE, phantom_slice

if TYPE_CHECKING:
    from ..models.family import Family
    from .runtime import Runtime

_log = get_logger(__name__)

# Raise it when the check, or what is cast, changes.
REVISION = 1
LEAST_DICE = 0.998
LARGEST_IOU_DIFFERENCE = 0.005
LARGEST_EMBEDDING_DIFFERENCE = 0.025
"""As a share of the largest value. LiteMedSAM on a processor: 0.011 in float16 (Dice 1.0000); 0.087 in bfloat16, whose
masks on the check slice agree too (0.9997) and which yet cost 0.003 of DSC over 26 cases (docs/models.md)."""


@dataclass(frozen=True)
class HalfVerdict:
    """Whether half precision may be used, and why, in words that end a sentence."""

    holds: bool
    reason: str


@dataclass(frozen=True)
class CheckAnswer:
    """What one precision makes of the check slice: embedding (channels, h, w), masks (n, rows, columns) and predicted
    IoU (n,) of a close box and a loose one."""

    embedding: np.ndarray
    masks: np.ndarray
    ious: np.ndarray


def check_answer(runtime: Runtime, family: Family) -> CheckAnswer:
    """Encode and answer the check slice."""
    image, box = phantom_slice()
    boxes = [box, box.padded(20, 12)]
    embedding = runtime.encode(family.prepare(image))
    logits, ious = runtime.decode(embedding, [family.network_prompt(SlicePrompt(box=one), SIDE, SIDE) for one in boxes])
    return CheckAnswer(embedding, family.slice_masks(logits[:, 0], SIDE, SIDE), ious[:, 0])


def judge(full: CheckAnswer, half: CheckAnswer) -> HalfVerdict:
    """Compare half precision with single precision on the same device."""
    if not full.masks.any(axis=(1, 2)).all():
        return HalfVerdict(False, "nothing is found on the check slice to compare it by")
    if not (np.isfinite(half.embedding).all() and np.isfinite(half.ious).all()):
        return HalfVerdict(False, "half precision gives numbers that are none")
    difference = float(np.abs(half.embedding - full.embedding).max() / np.abs(full.embedding).max())
    overlap = min(dice(one, other) for one, other in zip(full.masks, half.masks, strict=True))
    said = f"Dice {overlap:.4f} with single precision on the check slice, largest difference of an embedding {difference:.2g}"
    iou_difference = float(np.abs(half.ious - full.ious).max())
    holds = (
        overlap >= LEAST_DICE
        and iou_difference <= LARGEST_IOU_DIFFERENCE
        and difference <= LARGEST_EMBEDDING_DIFFERENCE
    )
    return HalfVerdict(holds, said)


class KeptVerdicts:
    """Verdicts in a folder, one small file for each. Several processes may share it.

    Args:
        folder: default: ``half-precision`` in the cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "half-precision"

    def get(self, subject: str) -> HalfVerdict | None:
        """What was found of `subject`. A file that does not hold it counts as not there."""
        try:
            entry = json.loads(self._path(subject).read_text(encoding="utf-8"))
            # The name is a checksum of the subject; a file under another's name is as wrong as a damaged one.
            if entry["subject"] == subject and isinstance(entry["holds"], bool) and isinstance(entry["reason"], str):
                return HalfVerdict(entry["holds"], entry["reason"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not isinstance(error, FileNotFoundError):
                _log.debug("a verdict on half precision cannot be read: %s", error)
        return None

    def put(self, subject: str, verdict: HalfVerdict) -> None:
        """Keep it, whole or not at all. Where that fails the check is made again next time."""
        text = json.dumps({"subject": subject, "holds": verdict.holds, "reason": verdict.reason}, indent=1) + "\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replace_atomically(self._path(subject)) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            _log.warning("whether half precision holds is not kept: %s", error)

    def _path(self, subject: str) -> Path:
        return self._folder / f"{hashlib.blake2b(subject.encode(), digest_size=16).hexdigest()}.json"
