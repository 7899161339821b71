"""Parameters of tests that run with every model or every family, and the prompts that each accepts."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, PROMPT_KINDS, refused_kinds
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt

EVERY = pytest.mark.parametrize("key", [key for key, spec in CATALOGUE.items() if not spec.base])
ONE_OF_EACH_FAMILY = pytest.mark.parametrize("key", ["litemedsam", "medsam", "mobile_sam", "sam_vit_b", "sam_med2d"])
TAKING_POINTS = pytest.mark.parametrize("key", [key for key, spec in CATALOGUE.items() if "points" in spec.prompts])


def combinations(key: str, box: Box, points: Points, mask: np.ndarray) -> dict[str, SlicePrompt]:
    """Every combination of what the model takes, such as ``box+points``."""
    parts = {"box": box, "points": points, "mask": MaskPrompt(mask=mask)}
    chosen = [
        [kind for n, kind in enumerate(PROMPT_KINDS) if bits >> n & 1] for bits in range(1, 1 << len(PROMPT_KINDS))
    ]
    chosen = [kinds for kinds in chosen if not refused_kinds(kinds, CATALOGUE[key].prompts)]
    return {"+".join(kinds): SlicePrompt(**{kind: parts[kind] for kind in kinds}) for kinds in chosen}
