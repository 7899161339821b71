"""How long an inference process may be silent before it is taken to hang."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.model_choice import ModelChoice
from ...engine.models.catalogue import CATALOGUE

ANSWER_TIMEOUT = 300.0
"""Seconds without a byte after which a process that owes an answer is taken to hang, while it starts and loads a model:
more than a first import of torch takes under a virus scanner."""
SLICE_TIMEOUT = 30.0
SECONDS_A_MILLION = 0.4
"""The same once a model has answered: so long, and that for each million numbers that the model has learnt. Half a
minute for LiteMedSAM, nearly five for SAM ViT-H: several times what they take for a slice on a slow processor."""


def longest_silence(asked: Iterable[ModelChoice], answered: ModelChoice | None, at_most: float) -> float:
    """Seconds without a byte after which a process is taken to hang.

    Args:
        asked: the models of what it owes.
        answered: the model that it has shown to be loaded.
        at_most: seconds while it starts, or loads a model.
    """
    if any(choice != answered for choice in asked):
        return at_most
    spec = None if answered is None else CATALOGUE.get(answered.model)
    if spec is None:
        return at_most
    return min(at_most, SLICE_TIMEOUT + SECONDS_A_MILLION * spec.parameters / 1e6)
