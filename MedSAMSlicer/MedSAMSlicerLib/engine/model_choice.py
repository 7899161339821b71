"""Choice of a model, what was loaded for it, and the interface of the service that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .environment import DEFAULT_MODEL
from .prompts import Box, SlicePrompt, StackPrompt
from .results import Prediction, SliceResult
from .stack import SliceSource

BFLOAT16_CPU, INT8_CPU = "cpu-bf16", "cpu-int8"
FASTER_CPUS = {BFLOAT16_CPU: "bfloat16", INT8_CPU: "int8"}
"""The processor, which encodes with shorter numbers: faster, and masks differ a little. Never chosen but by name."""
PROCESSORS = ("cpu", *FASTER_CPUS)
DEVICE_NAMES = {
    "cpu": "CPU",
    **{device: f"CPU, faster ({numbers})" for device, numbers in FASTER_CPUS.items()},
    "cuda": "CUDA",
    "mps": "MPS",
    "intel-gpu": "Intel GPU",
    "intel-npu": "Intel NPU",
}
OPENVINO_DEVICES = ("intel-gpu", "intel-npu", *FASTER_CPUS)
"""Devices on which OpenVINO runs the encoder of LiteMedSAM, and PyTorch nothing."""
RUNTIME_NAMES = {"torch": "PyTorch", "openvino": "OpenVINO"}
DEVICES = ("auto", *DEVICE_NAMES)


@dataclass(frozen=True)
class ModelChoice:
    """Choice of a model and of the device that runs it.

    Attributes:
        model: key of the model, or path of an adapter file; see `models.catalogue.find_model`.
        weights: path of a weights file; None to search the weights folders.
        device: one of `DEVICES`.
        runtime: "auto", "torch" or "openvino".
    """

    model: str = DEFAULT_MODEL
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
    """Model that was loaded for a `ModelChoice`.

    Attributes:
        model: key of the model.
        weights_sha256: checksum of its weights file.
        device: one of `DEVICE_NAMES`.
        runtime: "torch" or "openvino".
        adapter_sha256: checksum of the adapter that changes these weights; empty if there is none.
    """

    model: str
    weights_sha256: str
    device: str
    runtime: str
    adapter_sha256: str = ""


@dataclass
class Timings:
    """Time spent on each kind of work, in seconds, and number of calls.

    Attributes:
        load: seconds spent on loading the model.
        encode, decode: seconds spent in encoder and decoder.
        encoder_calls: number of encoded slices.
        decoder_calls: number of decoded prompts.
        first_result: seconds from the beginning of the run to the result of its first slice, which may be provisional, without loading.
    """

    load: float = 0.0
    encode: float = 0.0
    decode: float = 0.0
    encoder_calls: int = 0
    decoder_calls: int = 0
    first_result: float = 0.0


@dataclass
class RunInfo:
    """Information about a run, filled in while it goes on.

    Attributes:
        loaded: model that runs; None until it is loaded.
        timings: time spent so far.
        notes: messages for the user, one line each.
    """

    loaded: LoadedModel | None = None
    timings: Timings = field(default_factory=Timings)
    notes: list[str] = field(default_factory=list)


class Service(Protocol):
    """Segmentation service: loads models and runs them. Not thread-safe.

    Implemented by `serving.service.SegmentationService`.
    """

    def load(self, choice: ModelChoice) -> LoadedModel:
        """Load a model, unless it is loaded already.

        Raises:
            InputError: the model, device or runtime is not available.
            WeightsError: the weights are missing or wrong.
        """
        ...

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        """Predict the mask of one slice. The embedding of the slice is cached.

        Args:
            choice: model to run.
            image: uint8 (rows, columns).
            prompt: prompt in slice pixels.

        Raises:
            InputError: the model was not trained with prompts of this kind, or the prompt lies outside the slice.
        """
        ...

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        """Cache the embedding of one uint8 (rows, columns) slice."""
        ...

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        """Segment one object in a stack.

        Args:
            choice: model to run.
            source: slices as the model sees them.
            prompt: prompts of the object.
            info: filled in during the run.

        Yields:
            Each segmented slice once, in no particular order. Closing the iterator cancels the run.
        """
        ...

    def clear_cache(self) -> None:
        """Remove all embeddings from the cache."""
        ...
