"""Answers prompts on slices: each slice is encoded once, however many prompts follow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from .embedding_cache import EmbeddingCache
from .errors import WeightsError
from .models.catalogue import ModelSpec, find_model
from .models.family import Family, NetworkPrompt
from .models.weights import find_weights, how_to_get, load_state, verify_weights
from .prompts import Box
from .results import Prediction
from .runtimes.runtime import Runtime
from .runtimes.torch_runtime import TorchRuntime, choose_device
from .service_types import LoadedModel, ModelChoice, Timings


class Predictor:
    """A loaded model with its embedding cache.

    Args:
        family: how slices and prompts enter the network and come back.
        runtime: the network, ready to run.
        identity: names model, weights, device and runtime; embeddings are kept under it.
        cache: may be shared with other predictors.
    """

    def __init__(self, family: Family, runtime: Runtime, identity: str, cache: EmbeddingCache | None = None) -> None:
        self.family = family
        self.runtime = runtime
        self.cache = EmbeddingCache() if cache is None else cache
        self.timings = Timings()
        self._identity = identity

    def embed(self, image: np.ndarray) -> np.ndarray:
        """float32 (channels, h, w) embedding of a uint8 (rows, columns[, 3]) slice, from the cache if it is there."""
        return self.cache.get_or_make(self.cache.key(self._identity, image), lambda: self._encode(image))

    def _encode(self, image: np.ndarray) -> np.ndarray:
        begin = time.perf_counter()
        embedding = self.runtime.encode(self.family.prepare(image))
        self.timings.encode += time.perf_counter() - begin
        self.timings.encoder_calls += 1
        return embedding

    def predict(self, image: np.ndarray, box: Box) -> Prediction:
        """Mask of the object in `box` on a uint8 (rows, columns[, 3]) slice."""
        return self.predict_many(image, [box])[0]

    def predict_many(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Prediction]:
        """One mask for each box on the same slice; the decoder runs once for all of them."""
        rows, columns = image.shape[:2]
        logits, ious = self.decode(image, [self.family.network_box(box, rows, columns) for box in boxes])
        scores = self.family.slice_scores(torch.from_numpy(logits), rows, columns).numpy()
        return [
            Prediction(mask=score > 0, predicted_iou=float(iou), low_res_logits=low_res[0])
            for score, iou, low_res in zip(scores, ious, logits, strict=True)
        ]

    def decode(self, image: np.ndarray, network_boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, 1, H, W) and predicted IoU (n,) for boxes in the pixels of the network's input."""
        embedding = self.embed(image)
        begin = time.perf_counter()
        answer = self.runtime.decode(embedding, [NetworkPrompt(box) for box in network_boxes])
        self.timings.decode += time.perf_counter() - begin
        self.timings.decoder_calls += len(network_boxes)
        return answer


def load_predictor(choice: ModelChoice, cache: EmbeddingCache | None = None) -> tuple[Predictor, LoadedModel]:
    """Find, verify and load what `choice` asks for.

    Raises:
        InputError: unknown model, device or runtime.
        WeightsError: weights missing, wrong, or of another model.
    """
    spec = find_model(choice.model)
    runtime_name = _choose_runtime(choice.runtime)
    device = choose_device(choice.device)
    begin = time.perf_counter()
    path = find_weights(spec, choice.weights)
    sha256 = verify_weights(spec, path)
    family = spec.load_family()
    runtime = TorchRuntime(_network_with_weights(spec, family, path), device)
    loaded = LoadedModel(model=spec.key, weights_sha256=sha256, device=device, runtime=runtime_name)
    predictor = Predictor(family, runtime, f"{spec.key}|{sha256}|{device}|{runtime_name}", cache)
    predictor.timings.load = time.perf_counter() - begin
    return predictor, loaded


def _choose_runtime(wanted: str) -> str:
    from .errors import InputError

    if wanted not in ("auto", "torch"):
        raise InputError(f"runtime {wanted!r} is not available: choose auto or torch")
    return "torch"


def _network_with_weights(spec: ModelSpec, family: Family, path: Path):  # type: ignore[no-untyped-def]
    network = family.build_network()
    try:
        network.load_state_dict(load_state(spec, path))
    except RuntimeError as error:
        raise WeightsError(f"{path} holds another network than {spec.title}: {how_to_get(spec)}") from error
    family.fold(network)
    return network
