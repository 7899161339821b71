"""What faces and the worker process ask of the engine; implemented by `service.SegmentationService`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .prompts import Box, SlicePrompt, StackPrompt
from .results import Prediction, SliceResult
from .stack import SliceSource


@dataclass(frozen=True)
class ModelChoice:
    """Which model is to run, and where.

    Attributes:
        model: key of the catalogue.
        weights: path of a weights file, or None for the one that is found.
        device: "auto", "cpu", "cuda" or "mps".
        runtime: "auto", "torch" or "openvino".
    """

    model: str = "litemedsam"
    weights: str | None = None
    device: str = "auto"
    runtime: str = "auto"

    @classmethod
    def preferring(cls, model: str, device: str, preferred: tuple[str, str]) -> ModelChoice:
        """The model on a device, with "auto" resolved by what suits this computer.

        Args:
            model, device: as in the attributes.
            preferred: device and runtime that suit this computer, each perhaps "auto". The runtime was chosen for that
                device, and is not used on another one.
        """
        best, runtime = preferred
        chosen = best if device == "auto" else device
        return cls(model=model, device=chosen, runtime=runtime if chosen == best else "auto")


@dataclass(frozen=True)
class LoadedModel:
    """What was loaded in answer to a `ModelChoice` (nothing in it is "auto")."""

    model: str
    weights_sha256: str
    device: str
    runtime: str


@dataclass
class Timings:
    """Seconds that went into each kind of work, and how often it was done."""

    load: float = 0.0
    encode: float = 0.0
    decode: float = 0.0
    encoder_calls: int = 0
    decoder_calls: int = 0


@dataclass
class RunInfo:
    """Filled while a run goes on: what ran, how long, and lines that the user should read."""

    loaded: LoadedModel | None = None
    timings: Timings = field(default_factory=Timings)
    notes: list[str] = field(default_factory=list)


class Service(Protocol):
    """Engine as seen from outside. Calls come from one thread at a time."""

    def load(self, choice: ModelChoice) -> LoadedModel:
        """Load the model unless it is loaded already. Raises InputError or WeightsError."""
        ...

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        """Mask of one uint8 (rows, columns) slice; the slice's embedding is cached by content.

        Raises:
            InputError: the model was not trained for a prompt of that kind.
        """
        ...

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        """Put the embedding of one uint8 (rows, columns) slice into the cache."""
        ...

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        """Results slice by slice, each slice once, in the order in which they are found. Closing the iterator cancels."""
        ...

    def clear_cache(self) -> None:
        """Forget all embeddings."""
        ...
