"""Segmentation service: loads models when they are first needed and runs them on slices and stacks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..environment import embeddings_disk_megabytes, embeddings_megabytes
from ..inference.embedding_cache import DEFAULT_BYTES, EmbeddingCache
from ..inference.embedding_store import EmbeddingStore, open_embedding_store
from ..inference.predictor import Predictor, load_predictor
from ..model_choice import LoadedModel, ModelChoice, RunInfo, Timings
from ..models.catalogue import find_model
from ..prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from ..propagation.box_fit import BoxFit
from ..propagation.prompt_jitter import JitterAgreement, jitter_agreement
from ..propagation.propagate import propagate
from ..propagation.settings import PropagationSettings
from ..results import Prediction, SliceResult
from ..stack import SliceSource


class SegmentationService:
    """A `Service` that keeps one loaded model and the embeddings that it computed.

    Args:
        cache_bytes: memory for embeddings.
        files: store for embeddings on disk; None for none.
    """

    def __init__(self, cache_bytes: int = DEFAULT_BYTES, files: EmbeddingStore | None = None) -> None:
        self._cache = EmbeddingCache(cache_bytes, files)
        self._choice: ModelChoice | None = None
        self._loaded: tuple[Predictor, LoadedModel] | None = None
        # The first run after loading reports the time, even if a preview caused the loading.
        self._load_seconds = 0.0

    def load(self, choice: ModelChoice) -> LoadedModel:
        """Load a model; see `Service.load`."""
        return self._load(choice)[1]

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        """Predict the mask of one slice; see `Service.preview`."""
        checked = as_slice_prompt(prompt).checked_for(*image.shape[:2])
        # Loading may take minutes: refuse the prompt before.
        find_model(choice.model).check_prompts(checked.kinds)
        predictor, part = self._load(choice)[0], None
        if checked.box is not None:
            # As a run does on key slices.
            box = predictor.family.with_margin(checked.box, *image.shape[:2])
            checked = replace(checked, box=box)
            part = predictor.part_around(checked.extent or box, *image.shape[:2])
        # The box may be moved at any time: the slice is encoded once for all boxes, and only the part around each is
        # decoded, in a fraction of the time.
        return predictor.predict_prompt(image, checked, part=part)

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        """Cache the embedding of one uint8 (rows, columns) slice."""
        self._load(choice)[0].embed(image)

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        """Segment one object in a stack; see `Service.segment`.

        Raises:
            InputError: the model was not trained with prompts of these kinds.
        """
        find_model(choice.model).check_prompts(*(given.kinds for given in prompt.slices.values()))
        predictor, info.loaded = self._load(choice)
        predictor.timings, self._load_seconds = Timings(load=self._load_seconds), 0.0
        info.notes = predictor.notes
        begin, fit = time.perf_counter(), BoxFit(prompt, source.spacing, PropagationSettings().box_fit)
        for result in propagate(source, prompt, predictor):
            if not result.provisional:
                fit.add(result)
            predictor.timings.first_result = predictor.timings.first_result or time.perf_counter() - begin
            self._update(info)
            yield result
        self._update(info)
        info.notes += filter(None, [fit.note])

    def jitter_agreement(self, choice: ModelChoice, image: np.ndarray, box: Box, count: int) -> JitterAgreement:
        """Agreement of the masks of `count` jittered boxes on one uint8 (rows, columns) slice."""
        return jitter_agreement(self._load(choice)[0], image, box, count)

    def clear_cache(self) -> None:
        """Remove all embeddings from memory and disk."""
        self._cache.clear()

    def _update(self, info: RunInfo) -> None:
        predictor, info.loaded = self._current()
        info.timings, info.notes = replace(predictor.timings), predictor.notes

    def _load(self, choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
        if self._loaded is None or self._choice != choice:
            self._loaded = load_predictor(choice, self._cache)
            self._choice, self._load_seconds = choice, self._loaded[0].timings.load
        return self._current()

    def _current(self) -> tuple[Predictor, LoadedModel]:
        """The predictor and what it runs on now: it falls back to another device if one fails."""
        assert self._loaded is not None
        predictor, loaded = self._loaded
        return predictor, replace(loaded, device=predictor.runtime.device, runtime=predictor.runtime.name)


def service_from_environment() -> SegmentationService:
    """Create the service of an inference process, with the limits for embeddings that environment variables give.

    See `environment.embeddings_megabytes` and `environment.embeddings_disk_megabytes`.

    Raises:
        InputError: one of the variables is not a whole number.
    """
    return SegmentationService(embeddings_megabytes() << 20, open_embedding_store(embeddings_disk_megabytes()))
