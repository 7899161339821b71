"""Boxes to train with: those that the propagation prompts, as far as the truth tells, and how they vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.models.family import Family
from ..engine.prompts import Box
from ..engine.propagation.ellipsoid_prior import EllipsoidPrior
from ..engine.propagation.median_box import median_box
from ..engine.propagation.settings import PropagationSettings
from .settings import PromptSettings, SampleSettings

TIGHT, GENEROUS, EXPECTED, NEAR, NEAR_LOOSE, BOX3D = "tight", "generous", "expected", "near", "near_loose", "box3d"
MEDIAN = "median"
"""Drawn anew each time, from the others, as `median_box` does with boxes that are found."""


@dataclass(frozen=True)
class PossibleBox:
    """A box that may be prompted.

    Attributes:
        kind: one of the kinds above, which are names of `PromptSettings`.
        box: box in slice pixels, without margin.
        margin_factor: margin that is added, as a multiple of the model's own; see `Family.with_margin`.
    """

    kind: str
    box: Box
    margin_factor: float


@dataclass(frozen=True)
class ObjectInStack:
    """An object whose contours are known, and what the propagation will know of it.

    Attributes:
        truth: bool (slices, rows, columns), not empty.
        first, last: first and last slice that hold it.
        box3d: its box on all slices together.
    """

    truth: np.ndarray
    first: int
    last: int
    box3d: Box

    @classmethod
    def of(cls, truth: np.ndarray, held: Sequence[int]) -> ObjectInStack:
        """The object in a truth, which `held` slices hold, ascending."""
        box = Box.from_mask(np.asarray(truth.any(axis=0)))
        assert box is not None
        return cls(truth, int(held[0]), int(held[-1]), box)


def possible_boxes(
    shown: ObjectInStack,
    index: int,
    propagation: PropagationSettings,
    settings: SampleSettings,
    random: np.random.Generator,
) -> list[PossibleBox]:
    """Boxes that may be prompted on a slice that holds the object; the first is the object's own.

    They are those of `in_box`, `between_keys` and `outward`: the object's own box; the section of an ellipsoid in the 3D
    box, generous and as expected; boxes of the neighbouring slices, close and loose; and the 3D box itself.
    """
    own = Box.from_mask(shown.truth[index])
    assert own is not None
    in_box, outward = propagation.in_box, propagation.outward
    prior = EllipsoidPrior(shown.box3d, shown.first, shown.last, in_box)
    if random.random() < settings.known_shear:
        middle = (shown.first + shown.last) // 2
        for near in range(min(middle, index), max(middle, index) + 1):
            box = Box.from_mask(shown.truth[near])
            if box is not None and near != index:
                prior.observe(near, box, settings.observed_trust)
    found = [
        PossibleBox(TIGHT, own, 1.0),
        PossibleBox(GENEROUS, prior.section(index, in_box.generous_width), 0.0),
        PossibleBox(BOX3D, shown.box3d, 0.0),
        PossibleBox(EXPECTED, prior.section(index, in_box.expected_width), 1.0),
    ]
    for near in (index - 1, index + 1):
        box = Box.from_mask(shown.truth[near]) if 0 <= near < len(shown.truth) else None
        if box is not None:
            found.append(PossibleBox(NEAR, box, outward.close_margin))
            found.append(PossibleBox(NEAR_LOOSE, box, outward.loose_margin))
    return found


def drawn_boxes(
    possible: Sequence[PossibleBox],
    rows: int,
    columns: int,
    family: Family,
    settings: PromptSettings,
    random: np.random.Generator,
) -> np.ndarray:
    """Draw boxes for one step of training: one that is the object's own, and others.

    Args:
        possible: boxes on a slice of `rows` x `columns`, the object's own first.

    Returns:
        float32 (n, 4) in pixels of the network's input.
    """
    least = max(rows, columns) / family.input_size
    own = drawn_jitter(possible[0].box, least, settings, random)
    drawn = [(own, float(random.choice(settings.tight_margins)))]
    kinds = [*possible, _median(possible, least, settings, random)]
    weights = np.array([getattr(settings, one.kind) for one in kinds], float)
    for _ in range(settings.boxes - 1):
        one = kinds[random.choice(len(kinds), p=weights / weights.sum())]
        if one.kind == TIGHT:
            drawn.append((drawn_jitter(one.box, least, settings, random), one.margin_factor))
        else:
            drawn.append((jittered(one.box, settings.other_jitter, least, random), one.margin_factor))
    return np.stack([network_box(box, factor, rows, columns, family) for box, factor in drawn])


def _median(
    possible: Sequence[PossibleBox], least: float, settings: PromptSettings, random: np.random.Generator
) -> PossibleBox:
    own = possible[0].box
    near = [one.box for one in possible if one.kind == NEAR] or [own]
    expected = [one.box for one in possible if one.kind == EXPECTED] or [own]
    near_jitter, own_jitter = settings.median_jitters
    beside = jittered(near[random.integers(len(near))], near_jitter, least, random)
    return PossibleBox(MEDIAN, median_box([beside, jittered(own, own_jitter, least, random), *expected]), 1.0)


def drawn_jitter(box: Box, least: float, settings: PromptSettings, random: np.random.Generator) -> Box:
    """The object's own box, jittered as `PromptSettings.tight_jitters` says."""
    amounts, shares = zip(*settings.tight_jitters, strict=True)
    return jittered(box, float(random.choice(amounts, p=np.array(shares) / sum(shares))), least, random)


def network_box(box: Box, margin_factor: float, rows: int, columns: int, family: Family) -> np.ndarray:
    """float32 (4,) in pixels of the network's input of a box that is prompted with a margin."""
    return family.network_box(family.with_margin(box, rows, columns, margin_factor), rows, columns)


def jittered(box: Box, amount: float, least: float, random: np.random.Generator) -> Box:
    """The box with each edge shifted at random, by up to `amount` of its width or height, or `least` slice pixels."""
    # Outer edges.
    edges = np.array([box.x0, box.y0, box.x1 + 1, box.y1 + 1])
    sides = np.array([box.width, box.height, box.width, box.height])
    x0, y0, x1, y1 = edges + random.uniform(-1, 1, 4) * np.maximum(least, amount * sides)
    narrowest = max(1.0, least)
    low_x, low_y = min(x0, x1 - narrowest), min(y0, y1 - narrowest)
    return Box(low_x, low_y, max(x1, low_x + narrowest) - 1, max(y1, low_y + narrowest) - 1)
