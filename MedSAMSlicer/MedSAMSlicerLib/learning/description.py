"""What an adapter says of itself: numbers of patients and contours, and nothing that tells who they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ..evaluation.cases import Case
from .judgement import Comparison
from .patients import Split, patients_of


def describe(split: Split, title: str, box3d: Comparison | None) -> str:
    """The description of an adapter.

    Args:
        split: what was learned from.
        title: of the model that learning began with.
        box3d: comparison on the patients held back; None if there are none.
    """
    learned = f"{title}, adapted with {counted([*split.taught, *split.watched])}."
    if box3d is None:
        return f"{learned} Not checked on patients held back."
    before, after = (
        float(np.mean([score.agreement.dsc for score in scores])) for scores in (box3d.before, box3d.after)
    )
    held_back = counted(split.held_back)
    return (
        f"{learned} On {held_back} held back, the mean DSC in a 3D box was {before:.3f} before and {after:.3f} after."
    )


def counted(cases: Iterable[Case]) -> str:
    """Such as "12 contours of 6 patients (CT 8, MR 4)"."""
    cases = list(cases)
    patients, modalities = len(patients_of(cases)), Counter(case.modality for case in cases)
    per_modality = ", ".join(f"{name} {count}" for name, count in sorted(modalities.items()))
    contours = f"{len(cases)} contour{'s' if len(cases) != 1 else ''}"
    return f"{contours} of {patients} patient{'s' if patients != 1 else ''} ({per_modality})"
