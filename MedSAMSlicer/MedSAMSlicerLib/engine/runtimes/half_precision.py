"""Checks whether a graphics device may encode in half precision, once for each device and weights file.

The check slice is encoded in both precisions on that device and decoded from both embeddings. The results have to agree
so closely that the DSC of a segmentation changes by at most 0.002.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..atomic_files import replace_atomically
from ..diagnostics.log import get_logger
from ..environment import cache_folder
from ..masks import dice
from ..prompts import SlicePrompt
from .check_image import SIDE, phantom_slice

if TYPE_CHECKING:
    from ..models.family import Family
    from .runtime import Runtime

_log = get_logger(__name__)

# Raise this number if the check changes, or the layers that are cast.
REVISION = 1
LEAST_DICE = 0.998
LARGEST_IOU_DIFFERENCE = 0.005
LARGEST_EMBEDDING_DIFFERENCE = 0.025
"""Relative to the largest absolute value. LiteMedSAM on a processor: 0.011 in float16 (Dice 1.0000) and 0.087 in
bfloat16, whose masks of the check slice agree too (Dice 0.9997), but which reduces the DSC of 26 cases by 0.003
(docs/development/models.md)."""


@dataclass(frozen=True)
class Verdict:
    """Result of the check.

    Attributes:
        holds: whether half precision may be used.
        reason: why, as a clause for notes.
    """

    holds: bool
    reason: str


@dataclass(frozen=True)
class CheckResult:
    """Results of one precision on the check slice, for a tight and a loose box.

    Attributes:
        embedding: float32 (channels, h, w).
        masks: bool (2, rows, columns).
        ious: float32 (2,), predicted IoU.
    """

    embedding: np.ndarray
    masks: np.ndarray
    ious: np.ndarray


def run_check(runtime: Runtime, family: Family) -> CheckResult:
    """Encode the check slice and decode both boxes."""
    image, box = phantom_slice()
    boxes = [box, box.padded(20, 12)]
    embedding = runtime.encode(family.prepare(image))
    logits, ious = runtime.decode(embedding, [family.network_prompt(SlicePrompt(box=one), SIDE, SIDE) for one in boxes])
    return CheckResult(embedding, family.slice_masks(logits[:, 0], SIDE, SIDE), ious[:, 0])


def judge(full: CheckResult, half: CheckResult) -> Verdict:
    """Compare half precision with single precision on the same device."""
    if not full.masks.any(axis=(1, 2)).all():
        return Verdict(False, "the model finds nothing on the check slice")
    if not (np.isfinite(half.embedding).all() and np.isfinite(half.ious).all()):
        return Verdict(False, "half precision gives values that are not finite")
    difference = float(np.abs(half.embedding - full.embedding).max() / np.abs(full.embedding).max())
    overlap = min(dice(one, other) for one, other in zip(full.masks, half.masks, strict=True))
    reason = f"Dice {overlap:.4f} with single precision on the check slice, largest difference of an embedding {difference:.2g}"
    iou_difference = float(np.abs(half.ious - full.ious).max())
    holds = (
        overlap >= LEAST_DICE
        and iou_difference <= LARGEST_IOU_DIFFERENCE
        and difference <= LARGEST_EMBEDDING_DIFFERENCE
    )
    return Verdict(holds, reason)


class VerdictStore:
    """Stores verdicts in a folder, one file each. Several processes may share it.

    Args:
        folder: by default ``half-precision`` in the cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "half-precision"

    def get(self, subject: str) -> Verdict | None:
        """Verdict on `subject`, or None if there is no file or it is damaged."""
        try:
            entry = json.loads(self._path(subject).read_text(encoding="utf-8"))
            # The name of the file is a checksum of the subject. A file with another subject counts as damaged.
            if entry["subject"] == subject and isinstance(entry["holds"], bool) and isinstance(entry["reason"], str):
                return Verdict(entry["holds"], entry["reason"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not isinstance(error, FileNotFoundError):
                _log.debug("a verdict on half precision cannot be read: %s", error)
        return None

    def put(self, subject: str, verdict: Verdict) -> None:
        """Store a verdict. If that fails, the check is repeated next time."""
        text = json.dumps({"subject": subject, "holds": verdict.holds, "reason": verdict.reason}, indent=1) + "\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replace_atomically(self._path(subject)) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            _log.warning("the verdict on half precision cannot be stored: %s", error)

    def _path(self, subject: str) -> Path:
        return self._folder / f"{hashlib.blake2b(subject.encode(), digest_size=16).hexdigest()}.json"
