"""The engine as faces and the worker process see it: loads models on demand, answers previews, runs whole stacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..inference.embedding_cache import DEFAULT_BYTES, EmbeddingCache
from ..inference.embedding_store import EmbeddingStore
from ..inference.predictor import Predictor, load_predictor
from ..model_choice import LoadedModel, ModelChoice, RunInfo, Timings
from ..models.catalogue import find_model
from ..prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from ..propagation.prompt_jitter import JitterAgreement, jitter_agreement
from ..propagation.propagate import propagate
from ..results import Prediction, SliceResult
from ..stack import SliceSource


class SegmentationService:
    """Keeps one loaded model and the embeddings that it made. Satisfies `Service`.

    Args:
        cache_bytes: memory that embeddings may take.
        files: where they are kept on disk too; None: nowhere.
    """

    def __init__(self, cache_bytes: int = DEFAULT_BYTES, files: EmbeddingStore | None = None) -> None:
        self._cache = EmbeddingCache(cache_bytes, files)
        self._choice: ModelChoice | None = None
        self._loaded: tuple[Predictor, LoadedModel] | None = None
        # Told by the first run after loading, whoever asked for the loading.
        self._load_seconds = 0.0

    def load(self, choice: ModelChoice) -> LoadedModel:
        """Load the model unless it is loaded already. Raises InputError or WeightsError."""
        return self._ready(choice)[1]

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        """Mask of one uint8 (rows, columns) slice; the slice's embedding is cached by content.

        Raises:
            InputError: the model was not trained for a prompt of that kind, or the prompt lies outside the slice.
        """
        checked = as_slice_prompt(prompt).checked_for(*image.shape[:2])
        # Refused before minutes are spent on loading.
        find_model(choice.model).check_prompts(checked.kinds)
        predictor = self._ready(choice)[0]
        if checked.box is not None:
            # As on a key slice of a run: what was previewed is what comes.
            checked = replace(checked, box=predictor.family.with_margin(checked.box, *image.shape[:2]))
        return predictor.predict_prompt(image, checked)

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        """Put the embedding of one uint8 (rows, columns) slice into the cache."""
        self._ready(choice)[0].embed(image)

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        """Results slice by slice, each slice once. Closing the iterator cancels. `info` is kept up to date.

        Raises:
            InputError: the model was not trained for a prompt of some kind that is given.
        """
        find_model(choice.model).check_prompts(prompt.kinds)
        predictor, info.loaded = self._ready(choice)
        predictor.timings, self._load_seconds = Timings(load=self._load_seconds), 0.0
        info.notes = predictor.notes
        for result in propagate(source, prompt, predictor):
            self._tell(info)
            yield result
        self._tell(info)

    def jitter_agreement(self, choice: ModelChoice, image: np.ndarray, box: Box, count: int) -> JitterAgreement:
        """Agreement of the masks of `count` jittered boxes on one uint8 (rows, columns) slice."""
        return jitter_agreement(self._ready(choice)[0], image, box, count)

    def clear_cache(self) -> None:
        """Forget all embeddings."""
        self._cache.clear()

    def _tell(self, info: RunInfo) -> None:
        """Bring `info` up to date; a device may have been left meanwhile."""
        predictor, info.loaded = self._now()
        info.timings, info.notes = replace(predictor.timings), predictor.notes

    def _ready(self, choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
        if self._loaded is None or self._choice != choice:
            self._loaded = load_predictor(choice, self._cache)
            self._choice, self._load_seconds = choice, self._loaded[0].timings.load
        return self._now()

    def _now(self) -> tuple[Predictor, LoadedModel]:
        assert self._loaded is not None
        predictor, loaded = self._loaded
        return predictor, replace(loaded, device=predictor.runtime.device, runtime=predictor.runtime.name)
