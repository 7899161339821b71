"""Time of one slice: encoder and decoder with each runtime and with the authors' code, and the influence of its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box

from .alternation import quartiles, ratios, time_alternately
from .cases import AUTHORS_DECODER_GFLOP, BOX, CHOICE, DECODER_GFLOP, ENCODER_GFLOP, demo_stack

MATRIX_SIDE = 3072
MATRIX_GFLOP = 2 * MATRIX_SIDE**3 / 1e9
MATRIX_PRODUCT = "matrix product float32"
SIDES = (256, 512, 1024)
AUTHORS = "authors, torch float32"
OPENVINO = "ours, openvino float32"


def load_predictors(reference: Predictor) -> dict[str, Predictor]:
    """The authors' predictor and ours with each runtime. None of them caches embeddings."""
    predictors = {AUTHORS: reference}
    for runtime, name in (("torch", "ours, torch float32"), ("openvino", OPENVINO)):
        choice = ModelChoice(CHOICE.model, device="cpu", runtime=runtime)
        predictors[name] = load_predictor(choice, EmbeddingCache(0))[0]
    return predictors


def time_slice(predictors: Mapping[str, Predictor], repeats: int) -> dict[str, Any]:
    """Seconds to encode and to decode a slice, relative to the authors' code and to the peak of the processor.

    The product of two large matrices, computed in the same round, measures the peak.
    """
    image = demo_stack(30).slice_uint8(20)
    prepared = {name: one.family.prepare(image) for name, one in predictors.items()}
    caching = {name: Predictor(one.family, one.runtime, name, EmbeddingCache()) for name, one in predictors.items()}
    for one in caching.values():
        assert np.isfinite(one.embed(image)).all()
    a, b = (torch.rand(MATRIX_SIDE, MATRIX_SIDE) for _ in range(2))
    steps: dict[str, Callable[[], Any]] = {MATRIX_PRODUCT: lambda: a @ b}
    for name, one in predictors.items():
        steps[f"encode {name}"] = lambda one=one, name=name: one.runtime.encode(prepared[name])
    for name, one in caching.items():
        steps[f"decode {name}"] = lambda one=one: one.predict(image, BOX)
    seconds = time_alternately(steps, repeats)

    table: dict[str, Any] = {name: quartiles(values) for name, values in seconds.items()}
    table[MATRIX_PRODUCT]["GFLOP/s"] = MATRIX_GFLOP / table[MATRIX_PRODUCT]["median"]
    for step in ("encode", "decode"):
        for name in predictors:
            gflop = ENCODER_GFLOP
            if step == "decode":
                gflop = AUTHORS_DECODER_GFLOP if name == AUTHORS else DECODER_GFLOP
            row = table[f"{step} {name}"]
            seconds_at_peak = [gflop / MATRIX_GFLOP * one for one in seconds[MATRIX_PRODUCT]]
            row["GFLOP/s"] = gflop / row["median"]
            row["share of peak"] = ratios(seconds_at_peak, seconds[f"{step} {name}"])
            row["of the authors'"] = ratios(seconds[f"{step} {name}"], seconds[f"{step} {AUTHORS}"])
    return table


def time_slice_sizes(predictor: Predictor, repeats: int) -> dict[str, Any]:
    """Seconds of a slice at several sizes: in all, and for the steps outside the network."""
    caching = Predictor(predictor.family, predictor.runtime, "slice sizes", EmbeddingCache())
    steps: dict[str, Callable[[], Any]] = {}
    for side in SIDES:
        image = demo_stack(21, side).slice_uint8(20)
        box = Box(*(edge * side / 512 for edge in BOX.xyxy))
        logits = caching.predict(image, box).low_res_logits
        steps[f"{side}: whole slice"] = lambda image=image, box=box: predictor.predict(image, box)
        steps[f"{side}: prepare"] = lambda image=image: predictor.family.prepare(image)
        steps[f"{side}: mask"] = lambda logits=logits, side=side: predictor.mask_of(logits, side, side)
    seconds = time_alternately(steps, repeats)
    table: dict[str, Any] = {name: quartiles(values) for name, values in seconds.items()}
    smallest = f"{SIDES[0]}: whole slice"
    for side in SIDES[1:]:
        name = f"{side}: whole slice"
        table[name][f"of {SIDES[0]}"] = ratios(seconds[name], seconds[smallest])
    return table
