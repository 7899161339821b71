"""Answers prompts on slices: each slice is encoded once, however many prompts follow."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from ..log import get_logger
from ..model_choice import LoadedModel, ModelChoice, Timings
from ..models.catalogue import check_kinds, find_model
from ..models.checkpoints import NetworkFile
from ..models.family import Family, NetworkPrompt
from ..models.weights import find_weights, verify_weights
from ..prompts import Box, SlicePrompt
from ..results import Prediction
from ..runtimes.choose import check_runtime, runtime_with_fallback
from ..runtimes.device_fallback import DeviceFallback
from ..runtimes.devices import choose_device
from ..runtimes.runtime import Runtime
from .background_encoder import BackgroundEncoder
from .embedding_cache import EmbeddingCache

_log = get_logger(__name__)


class Predictor:
    """A loaded model with its embedding cache.

    Args:
        family: how slices and prompts enter the network and come back.
        runtime: the network, ready to run; or with what to fall back on.
        identity: names model and weights; embeddings are kept under it and the runtime that made them.
        cache: may be shared with other predictors.
        title: name of the model for people.
        prompts: kinds of prompt that the model was trained for; `ModelSpec.prompts`.
    """

    def __init__(
        self,
        family: Family,
        runtime: Runtime | DeviceFallback,
        identity: str,
        cache: EmbeddingCache | None = None,
        *,
        title: str = "the model",
        prompts: Collection[str] = ("box",),
    ) -> None:
        self.family = family
        self._fallback = runtime if isinstance(runtime, DeviceFallback) else DeviceFallback.of(runtime)
        self.cache = EmbeddingCache() if cache is None else cache
        self.title = title
        self.prompts = frozenset(prompts)
        self.timings = Timings()
        self._identity = identity
        self._ahead = BackgroundEncoder()
        self._embedding_bytes = 0

    @property
    def runtime(self) -> Runtime:
        """The one in use now."""
        return self._fallback.runtime

    @property
    def notes(self) -> list[str]:
        """Lines on how the model was loaded and has run that the user should read."""
        return self._fallback.notes

    def embed(self, image: np.ndarray) -> np.ndarray:
        """float32 (channels, h, w) embedding of a uint8 (rows, columns[, 3]) slice, from the cache if it is there."""
        # What is known is known at once, whatever is being encoded ahead.
        found = self._known(image)
        if found is None:
            found = self._settled(image)
        if found is None:
            found = self._encode(image)
        self._embedding_bytes = found.nbytes
        return found

    def _settled(self, image: np.ndarray) -> np.ndarray | None:
        """Keep what was begun ahead; the slice's embedding if it is among that."""
        begin = time.perf_counter()
        ahead = dict(self._ahead.collect())
        if ahead:
            # Only what was waited for counts: the rest went on beside other work.
            self.timings.encode += time.perf_counter() - begin
            self.timings.encoder_calls += len(ahead)
        for key, made in ahead.items():
            self.cache.put(key, made)
        found = (ahead.get(self._key(tag, image)) for tag in self._fallback.cache_tags)
        return next((made for made in found if made is not None), None)

    @property
    def room_ahead(self) -> int:
        """How many slices it is worth to encode ahead now.

        None on a processor, where the encoder takes every core and the decoder would only get less of them: a box of 12
        slices took 10.3 s so and 9.7 s in turn (the fastest of 5 each, two cores).
        """
        if self.runtime.device == "cpu" or self._ahead.busy or not self._embedding_bytes:
            return 0
        # Those that are being made push out none that are still to be used.
        return min(self.runtime.slices_at_once, self.cache.max_bytes // self._embedding_bytes // 2)

    def embed_ahead(self, images: Sequence[np.ndarray]) -> None:
        """Begin to encode slices that will be asked for next, in the background, but for those that are known already."""
        missing = [image for image in images if self._known(image) is None]
        if missing:
            self._ahead.start(lambda: self._encode_many(missing))

    def _known(self, image: np.ndarray) -> np.ndarray | None:
        """The slice's embedding, if it is kept; one of a device that was left serves as well."""
        found = (self.cache.get(self._key(tag, image)) for tag in self._fallback.cache_tags)
        return next((kept for kept in found if kept is not None), None)

    def _encode(self, image: np.ndarray) -> np.ndarray:
        begin = time.perf_counter()
        ((key, embedding),) = self._encode_many([image])
        self.timings.encode += time.perf_counter() - begin
        self.timings.encoder_calls += 1
        self.cache.put(key, embedding)
        return embedding

    def _encode_many(self, images: Sequence[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        """Keys and embeddings of slices, or of the first of them where the runtime at hand takes fewer at once."""
        prepared = [self.family.prepare(image) for image in images]
        made, tag = self._fallback.run(lambda runtime: runtime.encode_many(prepared[: max(1, runtime.slices_at_once)]))
        return [(self._key(tag, image), one) for image, one in zip(images, made, strict=False)]

    def _key(self, cache_tag: str, image: np.ndarray) -> str:
        return self.cache.key(f"{self._identity}|{cache_tag}", image)

    def check_prompt(self, prompt: SlicePrompt) -> None:
        """Refuse what the model was not trained for. Raises InputError, which names the model and what it takes."""
        check_kinds(prompt.kinds, self.title, self.prompts)

    def predict(self, image: np.ndarray, box: Box) -> Prediction:
        """Mask of the object in `box` on a uint8 (rows, columns[, 3]) slice."""
        return self.predict_many(image, [box])[0]

    def predict_many(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Prediction]:
        """One mask for each box on the same slice; the decoder runs once for all of them."""
        return self.predict_prompts(image, [SlicePrompt(box=box) for box in boxes])

    def predict_prompt(self, image: np.ndarray, prompt: SlicePrompt, multimask: bool | None = None) -> Prediction:
        """Mask of one object on a uint8 (rows, columns[, 3]) slice; see `predict_prompts`."""
        return self.predict_prompts(image, [prompt], multimask)[0]

    def predict_prompts(
        self, image: np.ndarray, prompts: Sequence[SlicePrompt], multimask: bool | None = None
    ) -> list[Prediction]:
        """One prediction for each prompt on the same slice; prompts of the same make-up share a run of the decoder.

        Args:
            multimask: True: have the decoder give three masks for each prompt, take the one with the highest predicted
                IoU, and keep them all as `Prediction.candidates`. False: its one mask. None: as the model's authors do
                with such a prompt (SAM: several for a single point; SAM-Med2D: several always; the others: one).

        Raises:
            InputError: a prompt is of a kind that the model was not trained for, or does not fit it.
        """
        rows, columns = image.shape[:2]
        groups: dict[tuple[bool, tuple[bool, int, bool]], list[int]] = {}
        network_prompts = []
        for n, prompt in enumerate(prompts):
            self.check_prompt(prompt)
            network_prompt = self.family.network_prompt(prompt, rows, columns)
            several = self.family.is_ambiguous(prompt) if multimask is None else multimask
            groups.setdefault((several, network_prompt.composition), []).append(n)
            network_prompts.append(network_prompt)
        answers: dict[int, Prediction] = {}
        for (several, _), members in groups.items():
            logits, ious = self.decode_prompts(image, [network_prompts[n] for n in members], several)
            masks = self.family.slice_masks(logits.reshape(-1, *logits.shape[2:]), rows, columns)
            masks = masks.reshape(*logits.shape[:2], rows, columns)
            for n, *answer in zip(members, masks, ious, logits, strict=True):
                answers[n] = _best(*answer)
        return [answers[n] for n in range(len(prompts))]

    def mask_of(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """Logits (h, w) at the decoder's resolution -> bool (rows, columns) mask of the slice."""
        return self.family.slice_masks(logits[None], rows, columns)[0]

    def decode(self, image: np.ndarray, network_boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, 1, H, W) and predicted IoU (n,) for boxes in the pixels of the network's input."""
        logits, ious = self.decode_prompts(image, [NetworkPrompt(box) for box in network_boxes])
        return logits, ious[:, 0]

    def decode_prompts(
        self, image: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, m, H, W) and predicted IoU (n, m) for prompts of one composition; see `Runtime.decode`."""
        embedding = self.embed(image)
        begin = time.perf_counter()
        answer, _tag = self._fallback.run(lambda runtime: runtime.decode(embedding, prompts, multimask))
        self.timings.decode += time.perf_counter() - begin
        self.timings.decoder_calls += len(prompts)
        return answer


def _best(masks: np.ndarray, ious: np.ndarray, logits: np.ndarray) -> Prediction:
    """The mask of which the model thinks best, with all of them as its candidates if there are several."""
    candidates = tuple(Prediction(mask, float(iou), low) for mask, iou, low in zip(masks, ious, logits, strict=True))
    best = candidates[int(np.argmax(ious))]
    return best if len(candidates) == 1 else replace(best, candidates=candidates)


def load_predictor(choice: ModelChoice, cache: EmbeddingCache | None = None) -> tuple[Predictor, LoadedModel]:
    """Find, verify and load what `choice` asks for.

    Raises:
        InputError: unknown model, device or runtime.
        WeightsError: weights missing, wrong, or of another model.
    """
    spec = find_model(choice.model)
    device = choose_device(choice.device)
    check_runtime(choice.runtime, device)
    begin = time.perf_counter()
    path = find_weights(spec, choice.weights)
    sha256 = verify_weights(spec, path)
    family = spec.load_family()
    runtime = runtime_with_fallback(choice.runtime, device, NetworkFile(spec, family, path, sha256))
    predictor = Predictor(family, runtime, f"{spec.key}|{sha256}", cache, title=spec.title, prompts=spec.prompts)
    predictor.timings.load = time.perf_counter() - begin
    loaded = LoadedModel(spec.key, sha256, predictor.runtime.device, predictor.runtime.name)
    _log.info(
        "model loaded: %s on %s with %s %s in %.2f s, weights sha256 %.16s",
        loaded.model,
        loaded.device,
        loaded.runtime,
        predictor.runtime.version,
        predictor.timings.load,
        sha256,
    )
    return predictor, loaded
