"""Settings of learning: every constant, with its unit.

All settings are immutable. Vary one with `dataclasses.replace`. `docs/adapting.md` says what they are for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SplitSettings:
    """Which patients are taught, watched and held back; see `patients`.

    Attributes:
        held_back: share of the patients that are held back: nothing is learned or chosen with them. At least one.
        watched: share of the patients that training is stopped by. At least one, if there are enough patients.
        fewest_to_watch: number of patients from which some are watched.
        fewest: number of patients below which the user is warned.
    """

    held_back: float = 0.2
    watched: float = 0.1
    fewest_to_watch: int = 5
    fewest: int = 5


@dataclass(frozen=True)
class SampleSettings:
    """Slices to learn from; see `samples` and `augmentation`.

    Attributes:
        slices: slices of each object, evenly spaced.
        variants: times that each slice is taken: as it is, then changed at random.
        known_shear: share of slices whose expected box knows how the object lies, as after the slices nearer the middle.
        observed_trust: trust in those slices, see `EllipsoidPrior.observe`.
        gamma: exponents of grey levels.
        darkest, brightest: shift of the darkest and the brightest grey level, in grey levels of 0..255, at most.
        noise: standard deviation of noise, in grey levels, at most.
        inverted: share of images whose grey levels are inverted. Never of PET, where bright is the meaning.
        cropped: share of images that are cropped around the object.
        extended: share of images with a larger field of view.
        extension: how much larger, least and most.
    """

    slices: int = 8
    variants: int = 2
    known_shear: float = 0.6
    observed_trust: float = 0.8
    gamma: tuple[float, float] = (0.6, 1.7)
    darkest: float = 25.0
    brightest: float = 40.0
    noise: float = 6.0
    inverted: float = 0.15
    cropped: float = 0.45
    extended: float = 0.35
    extension: tuple[float, float] = (1.15, 2.6)


@dataclass(frozen=True)
class PromptSettings:
    """Boxes that are prompted in training; see `prompts`.

    Attributes:
        boxes: boxes a slice, the first of which is the object's own.
        tight_jitters: largest shift of its edges, as a fraction of its width or height, and how often it is that.
        tight_margins: margins of the object's own box, as multiples of the model's margin; each as likely.
        other_jitter: largest shift of the edges of other boxes.
        median_jitters: of the neighbour's box and of the object's own, before their median with the expected box is taken.
        generous, expected, near, near_loose, box3d, tight, median: how often each kind of box is among the others.
    """

    boxes: int = 2
    tight_jitters: tuple[tuple[float, float], ...] = ((0.04, 0.5), (0.1, 0.4), (0.18, 0.1))
    tight_margins: tuple[float, ...] = (1.0, 1.0, 0.5, 2.0)
    other_jitter: float = 0.04
    median_jitters: tuple[float, float] = (0.06, 0.15)
    generous: float = 1.0
    expected: float = 0.5
    near: float = 1.0
    near_loose: float = 0.5
    box3d: float = 0.0
    tight: float = 1.0
    median: float = 2.0


@dataclass(frozen=True)
class DistillationSettings:
    """What the decoder must not forget; see `distillation`.

    Attributes:
        weight: weight of this part of the loss; 0 for none.
        boxes: boxes a slice.
        iou_weight, dice_weight: weights of predicted IoU and of the Dice coefficient in it.
        as_tried, around_mask: share of boxes that are the random ones, and those around the masks that these gave. The others
            are larger ones around these masks.
        margins: margins of boxes around masks, as multiples of the model's margin; each as likely.
        growth: how much larger the larger ones are on each side, least and most, as a fraction of width and height.
        growth_jitter: largest shift of their edges.
        tried: random boxes that are tried on each slice.
        kept: of these, at most so many are kept, those with the highest predicted IoU.
        smallest_side, largest_side: of a random box, as a fraction of the network's input.
        stretch: standard deviation of the logarithm of its aspect.
        predicted_iou: the decoder is sure above it.
        stability: and if its masks are more stable than this; see `SliceMask.stability`.
        overlap: and if no larger part of its mask lies in the object that is learned.
        smallest_area: least area of its mask, as a fraction of the network's input.
    """

    weight: float = 1.5
    boxes: int = 2
    iou_weight: float = 0.5
    dice_weight: float = 0.5
    as_tried: float = 0.3
    around_mask: float = 0.4
    margins: tuple[float, ...] = (1.0, 0.5, 2.0)
    growth: tuple[float, float] = (0.05, 0.15)
    growth_jitter: float = 0.05
    tried: int = 15
    kept: int = 5
    smallest_side: float = 1 / 32
    largest_side: float = 0.55
    stretch: float = 0.3
    predicted_iou: float = 0.72
    stability: float = 0.75
    overlap: float = 0.3
    smallest_area: float = 30 / 256**2


@dataclass(frozen=True)
class OptimisationSettings:
    """Optimisation of a decoder's changes; see `low_rank`.

    Attributes:
        steps: number of steps that the learning rate is laid out for.
        rank: rank of the changes of matrices.
        low_rank_rate, full_rate: learning rates of these and of the changes of everything else.
        betas: decay of AdamW's means (Loshchilov and Hutter, arXiv:1711.05101).
        weight_decay: of AdamW, which pulls the changes towards none.
        warm_up: steps until the full learning rate.
        last_rate: fraction of the learning rate at the last step, after half a cosine.
        largest_gradient: norm that gradients are clipped to.
        mean_decay: decay of the running mean of the changes.
        kept: part of the mean that is kept: a mean of the decoders before and after forgets less than that after
            (Wortsman et al., Robust fine-tuning of zero-shot models, arXiv:2109.01903).
        border: BCE is divided by the area of the box with so many network pixels more on each side.
    """

    steps: int = 600
    rank: int = 8
    low_rank_rate: float = 7e-4
    full_rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    warm_up: int = 40
    last_rate: float = 0.03
    largest_gradient: float = 1.0
    mean_decay: float = 0.99
    kept: float = 0.7
    border: float = 4.0

    def rate(self, step: int) -> float:
        """Fraction of the learning rate: a linear warm-up times half a cosine."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return min(1.0, (step + 1) / self.warm_up) * (self.last_rate + (1 - self.last_rate) * cosine)


@dataclass(frozen=True)
class TrainingSettings(OptimisationSettings):
    """Training of a department's model; see `training`. It has at most `steps`.

    Attributes:
        samples_per_step: slices whose gradients are added up in a step.
        check_every: steps between looks at watched patients.
        tolerance: a later state replaces the best one unless its Dice coefficient is lower by more.
        patience: training ends after so many looks that were worse.
    """

    samples_per_step: int = 2
    check_every: int = 50
    tolerance: float = 0.003
    patience: int = 5


@dataclass(frozen=True)
class CalibrationSettings:
    """Calibration of the confidence of slices; see `calibration`.

    Attributes:
        fewest: poor slices, and as many good ones, without which the confidence stays as it is.
        middle_spread, steepness_spread: how far the curve may be expected to move, as standard deviations of `middle`
            and of the logarithm of `steepness`: a few slices hardly move it.
        found: share of poor slices that need review afterwards.
        review_range: least and largest `ConfidenceSettings.review_below`.
    """

    fewest: int = 5
    middle_spread: float = 0.05
    steepness_spread: float = 0.5
    found: float = 0.85
    review_range: tuple[float, float] = (0.5, 0.9)


@dataclass(frozen=True)
class JudgementSettings:
    """When the adapted model counts as better; see `judgement`.

    Attributes:
        smallest_gain: least gain of the mean DSC over the cases held back, in a 3D box.
        largest_loss: largest loss of the mean DSC of a structure in a modality, or with a rectangle on one slice.
        worst_cases: number of cases that the report names.
    """

    smallest_gain: float = 0.005
    largest_loss: float = 0.01
    worst_cases: int = 5


def _propagation() -> dict[str, Any]:
    return {"extent_by_base": True}


@dataclass(frozen=True)
class LearningSettings:
    """All settings of learning.

    Attributes:
        seed: of everything that is random.
        propagation: settings of the propagation that suit a decoder that was trained so, see `AdapterMetadata.propagation`.
            A model that is learned from one with an adapter has the settings of that one.
    """

    seed: int = 0
    split: SplitSettings = SplitSettings()
    samples: SampleSettings = SampleSettings()
    prompts: PromptSettings = PromptSettings()
    distillation: DistillationSettings = DistillationSettings()
    training: TrainingSettings = TrainingSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    judgement: JudgementSettings = JudgementSettings()
    propagation: Mapping[str, Any] = field(default_factory=_propagation)
