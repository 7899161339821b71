"""Time without output after which an inference process with pending requests is considered hanging."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.model_choice import ModelChoice
from ...engine.models.catalogue import CATALOGUE

ANSWER_TIMEOUT = 300.0
"""Timeout in seconds while the process starts or loads a model. The first import of torch under a virus scanner takes
less."""
SLICE_TIMEOUT = 30.0
SECONDS_PER_MILLION_PARAMETERS = 0.4
"""Timeout once the model is loaded: the sum of both, that is 30 s for LiteMedSAM and nearly 5 minutes for SAM ViT-H,
several times what they take for a slice on a slow CPU."""


def response_timeout(requested: Iterable[ModelChoice], loaded: ModelChoice | None, maximum: float) -> float:
    """Seconds without output after which a process is considered hanging.

    Args:
        requested: models of the pending requests.
        loaded: the model that the process has loaded; None if unknown.
        maximum: timeout in seconds while the process starts or loads a model.
    """
    if any(choice != loaded for choice in requested):
        return maximum
    spec = None if loaded is None else CATALOGUE.get(loaded.model)
    if spec is None:
        return maximum
    return min(maximum, SLICE_TIMEOUT + SECONDS_PER_MILLION_PARAMETERS * spec.parameters / 1e6)
