"""Prediction of masks on single slices. Each slice is encoded once, and its embedding is cached for further prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..diagnostics.log import get_logger
from ..errors import InputError
from ..i18n import tr as _
from ..model_choice import PROCESSORS, LoadedModel, ModelChoice, Timings
from ..models.catalogue import check_kinds, find_model
from ..models.checkpoints import NetworkFile
from ..models.family import Family, NetworkPrompt
from ..models.input_part import InputPart
from ..models.model_files import verified_files
from ..prompts import Box, SlicePrompt
from ..results import Prediction
from ..runtimes.choose import check_runtime, runtime_with_fallback
from ..runtimes.device_fallback import DeviceFallback
from ..runtimes.devices import choose_device
from ..runtimes.runtime import Runtime
from .background_encoder import BackgroundEncoder
from .embedding_cache import EmbeddingCache
from .point_corrections import box_alone, correct, mark_points

_log = get_logger(__name__)
# Logit of pixels outside of the part that was decoded: background, as sure as logits are after clipping
# (`SmoothingSettings.largest_logit`).
_OUTSIDE = -10.0


class Predictor:
    """A loaded model with its embedding cache.

    Args:
        family: preprocessing of slices and prompts, and postprocessing of masks.
        runtime: the network, ready to run, optionally with devices to fall back on.
        identity: identifies the encoder and its weights in the cache.
        cache: cache of embeddings, which may be shared with other predictors; None for a new one.
        title: name of the model in messages.
        prompts: kinds of prompt that the model was trained with; see `ModelSpec.prompts`.
        changed_settings: settings of the propagation that this model's adapter changes, see `AdapterMetadata.settings`.
        load_base: for a model with an adapter, loads the model that it was made for, with the same cache.
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
        changed_settings: Mapping[str, Any] | None = None,
        load_base: Callable[[], Predictor] | None = None,
    ) -> None:
        self.family = family
        self._fallback = runtime if isinstance(runtime, DeviceFallback) else DeviceFallback.of(runtime)
        self.cache = EmbeddingCache() if cache is None else cache
        self.title = title
        self.prompts = frozenset(prompts)
        self.changed_settings = dict(changed_settings or {})
        self.timings = Timings()
        self._identity = identity
        self._load_base = load_base
        self._base: Predictor | None = None
        self._ahead = BackgroundEncoder()
        self._embedding_bytes = 0

    @property
    def runtime(self) -> Runtime:
        """The runtime in use. It changes if its device runs out of memory."""
        return self._fallback.runtime

    @property
    def base(self) -> Predictor | None:
        """The model that this one's adapter was made for, loaded when it is first needed; None if there is no adapter.

        It shares the embeddings, and its time is counted in this one's `timings`.
        """
        if self._base is None and self._load_base is not None:
            self._base = self._load_base()
        if self._base is not None:
            self._base.timings = self.timings
        return self._base

    @property
    def notes(self) -> list[str]:
        """Messages for the user about how the model was loaded and has run, one line each."""
        return self._fallback.notes

    def embed(self, image: np.ndarray, part: InputPart | None = None) -> np.ndarray:
        """Encode a slice, or return its embedding from the cache.

        Args:
            image: uint8 (rows, columns) or (rows, columns, 3).
            part: part to encode; None for the whole slice.

        Returns:
            float32 (channels, h, w).
        """
        # The cache first: it need not wait for slices that are being encoded in the background.
        found = self._cached(image, part)
        if found is None:
            found = self._collect_for(image, part)
        if found is None:
            found = self._encode(image, part)
        self._embedding_bytes = found.nbytes
        return found

    def part_around(self, box: Box, rows: int, columns: int) -> InputPart | None:
        """Part of a slice of `rows` x `columns` pixels that is encoded for an object in a box; None for the whole slice."""
        return self.family.part_around(box, rows, columns) if self.runtime.encodes_parts else None

    def _collect_for(self, image: np.ndarray, part: InputPart | None) -> np.ndarray | None:
        """Cache the embeddings from the background, and return the slice's if it is one of them."""
        begin = time.perf_counter()
        ahead = dict(self._ahead.collect())
        if ahead:
            # Only the time spent waiting counts: encoding overlapped with other work.
            self.timings.encode += time.perf_counter() - begin
            self.timings.encoder_calls += len(ahead)
        for key, embedding in ahead.items():
            self.cache.put(key, embedding)
        found = (ahead.get(self._key(tag, image, part)) for tag in self._fallback.cache_tags)
        return next((embedding for embedding in found if embedding is not None), None)

    @property
    def room_ahead(self) -> int:
        """Number of slices that can usefully be encoded in the background now.

        It is 0 on a CPU, where the encoder uses every core and would slow down the decoder: a box of 12 slices took
        10.3 s with encoding ahead and 9.7 s without (fastest of 5 runs each, two cores).
        """
        if self.runtime.device in PROCESSORS or self._ahead.busy or not self._embedding_bytes:
            return 0
        # Half of the cache: new embeddings must not displace those that are still to be used.
        return min(self.runtime.slices_at_once, self.cache.max_bytes // self._embedding_bytes // 2)

    def embed_ahead(self, images: Sequence[np.ndarray], part: InputPart | None = None) -> None:
        """Start to encode slices in the background. Slices in the cache are skipped.

        Args:
            images: uint8 (rows, columns) or (rows, columns, 3) slices, at most `room_ahead`.
            part: part of each to encode; None for the whole slices.
        """
        missing = [image for image in images if self._cached(image, part) is None]
        if missing:
            self._ahead.start(lambda: self._encode_many(missing, part))

    def _cached(self, image: np.ndarray, part: InputPart | None) -> np.ndarray | None:
        """Embedding of the slice from the cache, also one that was computed on a device used before; None if missing."""
        found = (self.cache.get(self._key(tag, image, part)) for tag in self._fallback.cache_tags)
        return next((embedding for embedding in found if embedding is not None), None)

    def _encode(self, image: np.ndarray, part: InputPart | None) -> np.ndarray:
        begin = time.perf_counter()
        ((key, embedding),) = self._encode_many([image], part)
        self.timings.encode += time.perf_counter() - begin
        self.timings.encoder_calls += 1
        self.cache.put(key, embedding)
        return embedding

    def _encode_many(self, images: Sequence[np.ndarray], part: InputPart | None) -> list[tuple[str, np.ndarray]]:
        """Cache keys and embeddings of slices; only of the first ones if the runtime takes fewer at once."""
        prepared = [self.family.prepare(image) for image in images]
        if part is not None:
            prepared = [part.cut_input(one) for one in prepared]
        embeddings, tag = self._fallback.run(
            lambda runtime: runtime.encode_many(prepared[: max(1, runtime.slices_at_once)])
        )
        return [(self._key(tag, image, part), one) for image, one in zip(images, embeddings, strict=False)]

    def _key(self, cache_tag: str, image: np.ndarray, part: InputPart | None) -> str:
        return self.cache.key(f"{self._identity}|{cache_tag}|{part or ''}", image)

    def check_prompt(self, prompt: SlicePrompt) -> None:
        """Check that the model was trained with prompts of this kind.

        Raises:
            InputError: it was not; the message names the model and the kinds that it accepts. Or the prompt is a key mask.
        """
        if prompt.key_mask is not None:
            raise InputError(_("a key mask is final: nothing is predicted on its slice"))
        check_kinds(prompt.kinds, self.title, self.prompts)

    def predict(self, image: np.ndarray, box: Box) -> Prediction:
        """Predict the mask of the object in a box; see `predict_prompts`."""
        return self.predict_many(image, [box])[0]

    def predict_many(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Prediction]:
        """Predict one mask for each box on the same slice, in one run of the decoder; see `predict_prompts`."""
        return self.predict_prompts(image, [SlicePrompt(box=box) for box in boxes])

    def predict_prompt(
        self,
        image: np.ndarray,
        prompt: SlicePrompt,
        multimask: bool | None = None,
        part: InputPart | None = None,
        surroundings: np.ndarray | None = None,
    ) -> Prediction:
        """Predict the mask of one object; see `predict_prompts`."""
        return self.predict_prompts(image, [prompt], multimask, part, surroundings)[0]

    def predict_prompts(
        self,
        image: np.ndarray,
        prompts: Sequence[SlicePrompt],
        multimask: bool | None = None,
        part: InputPart | None = None,
        surroundings: np.ndarray | None = None,
    ) -> list[Prediction]:
        """Predict one mask for each prompt on the same slice.

        Prompts of the same composition (`NetworkPrompt.composition`) share a run of the decoder. A model that was not
        trained for points sees the box alone, enlarged to the positive points, and its answer is corrected to agree with
        all of them (`point_corrections`).

        Args:
            image: uint8 (rows, columns) or (rows, columns, 3) slice.
            prompts: prompts in slice pixels.
            multimask: if True, the decoder predicts three masks per prompt. The one with the highest predicted IoU is
                returned, and all of them are its `Prediction.candidates`. If False, the decoder predicts one mask. If
                None, as the model's authors do: SAM predicts several masks for a single point, SAM-Med2D always, the
                other models never.
            part: part of the slice around the objects, see `part_around`; None for the whole slice.
            surroundings: another slice of the stack, near to this one and as large, uint8. Then only the part is
                encoded, and the embedding of `surroundings` takes the place of the rest of the slice. If it is None,
                the whole slice is encoded and only the part decoded, outside of which everything is background.

        Returns:
            One prediction per prompt, in the order of `prompts`.

        Raises:
            InputError: the model was not trained with prompts of this kind, or the logits of a mask prompt have the
                wrong size.
        """
        rows, columns = image.shape[:2]
        groups: dict[tuple[bool, tuple[bool, int, bool]], list[int]] = {}
        # Points that the model does not see.
        corrected = {
            n for n, prompt in enumerate(prompts) if prompt.points is not None and "points" not in self.prompts
        }
        network_prompts = []
        for n, prompt in enumerate(prompts):
            self.check_prompt(prompt)
            network_prompt = self.family.network_prompt(box_alone(prompt) if n in corrected else prompt, rows, columns)
            several = self.family.is_ambiguous(prompt) if multimask is None else multimask
            groups.setdefault((several, network_prompt.composition), []).append(n)
            network_prompts.append(network_prompt)
        answers: dict[int, Prediction] = {}
        for (several, _composition), members in groups.items():
            asked = [network_prompts[n] for n in members]
            logits, ious = self.decode_prompts(image, asked, several, part, surroundings)
            if corrected.intersection(members):
                logits = logits.copy()
            for row, n in enumerate(members):
                if n in corrected:
                    logits[row] = correct(logits[row], prompts[n], self.family, rows, columns)
            masks = self.family.slice_masks(logits.reshape(-1, *logits.shape[2:]), rows, columns)
            masks = masks.reshape(*logits.shape[:2], rows, columns)
            for n, *answer in zip(members, masks, ious, logits, strict=True):
                if n in corrected:
                    mark_points(answer[0], prompts[n])
                answers[n] = _best(*answer)
        return [answers[n] for n in range(len(prompts))]

    def mask_of(self, logits: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """Convert float32 (h, w) logits at the decoder's resolution to the bool (rows, columns) mask of a slice."""
        return self.family.slice_masks(logits[None], rows, columns)[0]

    def decode(self, image: np.ndarray, network_boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Run the decoder for n boxes in pixels of the network's input.

        Returns:
            float32 (n, 1, h, w) logits and (n,) predicted IoU.
        """
        logits, ious = self.decode_prompts(image, [NetworkPrompt(box) for box in network_boxes])
        return logits, ious[:, 0]

    def decode_prompts(
        self,
        image: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        part: InputPart | None = None,
        surroundings: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the decoder for n prompts of the same composition; see `Runtime.decode` and `predict_prompts`.

        Returns:
            float32 (n, m, h, w) logits of the whole slice and (n, m) predicted IoU, with m masks per prompt.
        """
        origin: tuple[tuple[int, int], ...] = ()
        if part is None:
            embedding = self.embed(image)
        elif surroundings is None:
            embedding, origin = part.cut_embedding(self.embed(image)), ((part.row, part.column),)
        else:
            embedding = part.paste_embedding(self.embed(image, part), self.embed(surroundings))
        begin = time.perf_counter()
        answer, _tag = self._fallback.run(lambda runtime: runtime.decode(embedding, prompts, multimask, *origin))
        logits, ious = answer
        self.timings.decode += time.perf_counter() - begin
        self.timings.decoder_calls += len(prompts)
        if part is not None and origin:
            logits = part.paste_logits(logits, self.family.input_size, _OUTSIDE)
        return logits, ious


def _best(masks: np.ndarray, ious: np.ndarray, logits: np.ndarray) -> Prediction:
    """The mask with the highest predicted IoU, with all masks as its candidates if there are several."""
    candidates = tuple(Prediction(mask, float(iou), low) for mask, iou, low in zip(masks, ious, logits, strict=True))
    best = candidates[int(np.argmax(ious))]
    return best if len(candidates) == 1 else replace(best, candidates=candidates)


def load_predictor(choice: ModelChoice, cache: EmbeddingCache | None = None) -> tuple[Predictor, LoadedModel]:
    """Find, verify and load a model.

    Args:
        choice: model, device and runtime.
        cache: cache of embeddings for the predictor; None for a new one.

    Raises:
        InputError: the model, device or runtime is not available.
        WeightsError: the weights are missing, damaged, or those of another model.
    """
    spec = find_model(choice.model)
    device = choose_device(choice.device)
    check_runtime(choice.runtime, device)
    begin = time.perf_counter()
    network = verified_files(spec, choice.weights)
    adapter = network.adapter
    cache = EmbeddingCache() if cache is None else cache

    def load(files: NetworkFile, **of_adapter: Any) -> Predictor:
        runtime = runtime_with_fallback(choice.runtime, device, files)
        title, prompts = files.spec.title, files.spec.prompts
        return Predictor(
            files.family, runtime, files.encoder_identity, cache, title=title, prompts=prompts, **of_adapter
        )

    if adapter is None:
        predictor = load(network)
    else:
        without = replace(network, spec=spec.base_spec, adapter=None)
        predictor = load(network, changed_settings=adapter.metadata.settings, load_base=lambda: load(without))
    predictor.timings.load = time.perf_counter() - begin
    loaded = LoadedModel(
        spec.key,
        network.sha256,
        predictor.runtime.device,
        predictor.runtime.name,
        "" if adapter is None else adapter.sha256,
    )
    _log.info(
        "model loaded: %s on %s with %s %s in %.2f s, weights sha256 %.16s%s",
        loaded.model,
        loaded.device,
        loaded.runtime,
        predictor.runtime.version,
        predictor.timings.load,
        network.sha256,
        f", adapter sha256 {loaded.adapter_sha256:.16}" if loaded.adapter_sha256 else "",
    )
    return predictor, loaded
