"""Prompts simulated from the truth, exact or with random errors."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ..engine.errors import InputError
from ..engine.masks import occupied_slices
from ..engine.prompts import Box, KeyMask, SlicePrompt, StackPrompt

KINDS = "box3d, midslice, keyslices:N, keyslices:all or keymasks:N"


@dataclass(frozen=True)
class PromptKind:
    """Kind of the simulated prompts.

    Attributes:
        name: "box3d", "midslice", "keyslices" or "keymasks".
        count: number of key slices or key masks; None for all slices.
    """

    name: str
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> PromptKind:
        """Parse "box3d", "midslice", "keyslices:N", "keyslices:all" or "keymasks:N".

        Raises:
            InputError: the text is none of these.
        """
        if text in ("box3d", "midslice"):
            return cls(text)
        name, _, count = text.partition(":")
        if name == "keyslices" and count == "all":
            return cls(name)
        if name in ("keyslices", "keymasks") and count.isdecimal() and int(count) >= 1:
            return cls(name, int(count))
        raise InputError(f"prompt {text!r} is unknown: choose {KINDS}")

    def __str__(self) -> str:
        return f"{self.name}:{self.count or 'all'}" if self.name in ("keyslices", "keymasks") else self.name


def prompt_from_truth(
    truth: np.ndarray, kind: PromptKind, jitter: int = 0, seed: int = 0, case: str = ""
) -> StackPrompt:
    """Simulate the prompt of a user who knows the truth.

    - "box3d": the 3D bounding box of the object.
    - "midslice": the bounding box on the middle slice of the object, without its extent.
    - "keyslices": the bounding boxes on slices that are evenly distributed over the extent of the object, including both ends,
      which become the slice range. Slices without the object are replaced by the nearest ones with it.
    - "keymasks": the truth itself on the slices of "keyslices", as key masks, which no jitter changes.

    Args:
        truth: bool (slices, rows, columns), not empty.
        kind: kind of the prompt.
        jitter: largest shift of a box edge in pixels. Shifts are uniformly distributed whole numbers.
        seed: seed of the shifts.
        case: id of the case. Together with the seed it determines the shifts, whatever else is evaluated.
    """
    _slices, rows, columns = truth.shape
    held = occupied_slices(truth)
    first, last = int(held[0]), int(held[-1])
    random = np.random.default_rng([seed, zlib.crc32(case.encode())])
    whole = Box.of_slice(rows, columns)

    def moved(box: Box | None) -> Box:
        assert box is not None
        x0, y0, x1, y1 = np.add(box.xyxy, random.integers(-jitter, jitter, 4, endpoint=True)).tolist()
        # The edges of a narrow box may have passed each other.
        inside = Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)).intersection(whole)
        return inside or box

    if kind.name == "box3d":
        return StackPrompt.from_box3d(first, last, moved(Box.from_mask(np.asarray(truth.any(axis=0)))))
    if kind.name == "midslice":
        middle = int(held[np.abs(held - (first + last) // 2).argmin()])
        return StackPrompt({middle: moved(Box.from_mask(truth[middle]))})
    wanted = (
        held if kind.count is None else np.linspace(first, last, kind.count) if kind.count > 1 else [(first + last) / 2]
    )
    chosen = sorted({int(held[np.abs(held - index).argmin()]) for index in wanted})
    if kind.name == "keymasks":
        return StackPrompt({n: SlicePrompt(key_mask=KeyMask(truth[n].astype(bool))) for n in chosen}, (first, last))
    return StackPrompt({index: moved(Box.from_mask(truth[index])) for index in chosen}, (first, last))
