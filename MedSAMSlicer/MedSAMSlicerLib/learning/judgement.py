"""Whether the adapted model is better, on patients that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.evaluate_case import CaseScore
from .settings import JudgementSettings


@dataclass(frozen=True)
class Comparison:
    """The same cases, segmented with the model before and after.

    Attributes:
        prompt: kind of the simulated prompts.
        before, after: scores, in the same order of cases.
    """

    prompt: str
    before: list[CaseScore]
    after: list[CaseScore]

    @property
    def gains(self) -> list[float]:
        """Gain of the DSC of each case."""
        return [new.agreement.dsc - old.agreement.dsc for old, new in zip(self.before, self.after, strict=True)]

    @property
    def gain(self) -> float:
        """Mean gain of the DSC."""
        return float(np.mean(self.gains))

    @property
    def groups(self) -> dict[tuple[str, str], Comparison]:
        """The comparison for each structure and modality, in alphabetical order."""
        kinds = [(score.case.structure, score.case.modality) for score in self.before]
        return {kind: self._of([n for n, other in enumerate(kinds) if other == kind]) for kind in sorted(set(kinds))}

    def worst(self, count: int) -> Comparison:
        """The cases with the lowest DSC after, beginning with the lowest."""
        order = sorted(range(len(self.after)), key=lambda n: self.after[n].agreement.dsc)
        return self._of(order[:count])

    def _of(self, chosen: Sequence[int]) -> Comparison:
        return Comparison(self.prompt, [self.before[n] for n in chosen], [self.after[n] for n in chosen])


@dataclass(frozen=True)
class Verdict:
    """Whether the adapted model is better, and why not.

    Attributes:
        gain: mean gain of the DSC in a 3D box.
        reasons: clauses that say why it is not better; empty if it is.
    """

    gain: float
    reasons: list[str]

    @property
    def better(self) -> bool:
        return not self.reasons


def judge(box3d: Comparison, midslice: Comparison, settings: JudgementSettings) -> Verdict:
    """Judge by the mean DSC of cases that were held back.

    Args:
        box3d: comparison in a 3D box, which decides.
        midslice: comparison with a rectangle on one slice, which must not become worse.
    """
    reasons = []
    if box3d.gain < settings.smallest_gain:
        reasons.append(f"the mean DSC in a 3D box changes by {box3d.gain:+.3f}, less than +{settings.smallest_gain:g}")
    for (structure, modality), group in box3d.groups.items():
        if group.gain < -settings.largest_loss:
            reasons.append(f"structure {structure} in {modality} changes by {group.gain:+.3f}")
    if midslice.gain < -settings.largest_loss:
        reasons.append(f"with a rectangle on one slice, the mean DSC changes by {midslice.gain:+.3f}")
    return Verdict(box3d.gain, reasons)
