"""One slice: encoder and decoder with each runtime beside the authors' way, and what a slice's size costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from MedSAMSlicerLib.engine.environment import computing_threads
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import find_model
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.weights import find_weights, verify_weights
from MedSAMSlicerLib.engine.prompts import Box

from .cases import AUTHORS_DECODER_GFLOP, BOX, CHOICE, DECODER_GFLOP, ENCODER_GFLOP, stack_of
from .turns import by_turns, ratios, spread

MATRIX = 3072
SIDES = (256, 512, 1024)
AUTHORS = "authors, torch float32"
OPENVINO, BFLOAT16 = "ours, openvino float32", "ours, openvino bfloat16"


def predictors(reference: Predictor) -> dict[str, Predictor]:
    """The authors' way and ours with each runtime, none of which keeps embeddings."""
    found = {AUTHORS: reference}
    for runtime, name in (("torch", "ours, torch float32"), ("openvino", OPENVINO)):
        choice = ModelChoice(CHOICE.model, device="cpu", runtime=runtime)
        found[name] = load_predictor(choice, EmbeddingCache(0))[0]
    if has_bfloat16():
        found[BFLOAT16] = _in_bfloat16()
    return found


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16, as OpenVINO finds."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _in_bfloat16() -> Predictor:
    """The encoder in bfloat16, which is measured but not used (docs/models.md)."""
    from MedSAMSlicerLib.engine.runtimes.openvino_models import convert_in_process
    from MedSAMSlicerLib.engine.runtimes.openvino_runtime import OpenVINORuntime

    spec = find_model(CHOICE.model)
    path = find_weights(spec)
    file = NetworkFile(spec, spec.load_family(), path, verify_weights(spec, path))

    def no_fallback() -> Any:
        raise AssertionError("only boxes are asked")

    runtime = OpenVINORuntime(
        file.identity, partial(convert_in_process, file), no_fallback, computing_threads(), "bfloat16"
    )
    return Predictor(file.family, runtime, "bfloat16", EmbeddingCache(0))


def per_slice(ways: Mapping[str, Predictor], repeats: int) -> dict[str, Any]:
    """Seconds to encode and to decode, beside the authors' and as a share of the processor's peak.

    A product of two large matrices in the same turn shows the peak.
    """
    image = stack_of(30).slice_uint8(20)
    prepared = {name: one.family.prepare(image) for name, one in ways.items()}
    keeping = {name: Predictor(one.family, one.runtime, name, EmbeddingCache()) for name, one in ways.items()}
    for one in keeping.values():
        assert np.isfinite(one.embed(image)).all()
    a, b = (torch.rand(MATRIX, MATRIX) for _ in range(2))
    steps: dict[str, Callable[[], Any]] = {"matrix product float32": lambda: a @ b}
    if BFLOAT16 in ways:
        c, d = a.bfloat16(), b.bfloat16()
        steps["matrix product bfloat16"] = lambda: c @ d
    for name, one in ways.items():
        steps[f"encode {name}"] = lambda one=one, name=name: one.runtime.encode(prepared[name])
    for name, one in keeping.items():
        steps[f"decode {name}"] = lambda one=one: one.predict(image, BOX)
    seconds = by_turns(steps, repeats)

    table: dict[str, Any] = {name: spread(found) for name, found in seconds.items()}
    for precision in ("float32", "bfloat16"):
        product = f"matrix product {precision}"
        if product in seconds:
            table[product]["GFLOP/s"] = 2 * MATRIX**3 / 1e9 / table[product]["median"]
    for step in ("encode", "decode"):
        for name in ways:
            gflop = ENCODER_GFLOP
            if step == "decode":
                gflop = AUTHORS_DECODER_GFLOP if name == AUTHORS else DECODER_GFLOP
            row = table[f"{step} {name}"]
            # The decoder computes in float32 whatever the encoder does.
            product = f"matrix product {'bfloat16' if name == BFLOAT16 and step == 'encode' else 'float32'}"
            at_peak = [gflop * one / (2 * MATRIX**3 / 1e9) for one in seconds[product]]
            row["GFLOP/s"] = gflop / row["median"]
            row["share of peak"] = ratios(at_peak, seconds[f"{step} {name}"])
            row["of the authors'"] = ratios(seconds[f"{step} {name}"], seconds[f"{step} {AUTHORS}"])
    if BFLOAT16 in ways:
        table["bfloat16 times as fast"] = ratios(seconds[f"encode {OPENVINO}"], seconds[f"encode {BFLOAT16}"])
    return table


def in_plane(predictor: Predictor, repeats: int) -> dict[str, Any]:
    """What a slice costs at several sizes: all of it, and the parts beside the networks."""
    keeping = Predictor(predictor.family, predictor.runtime, "in plane", EmbeddingCache())
    steps: dict[str, Callable[[], Any]] = {}
    for side in SIDES:
        image = stack_of(21, side).slice_uint8(20)
        box = Box(*(edge * side / 512 for edge in BOX.xyxy))
        logits = keeping.predict(image, box).low_res_logits
        steps[f"{side}: whole slice"] = lambda image=image, box=box: predictor.predict(image, box)
        steps[f"{side}: prepare"] = lambda image=image: predictor.family.prepare(image)
        steps[f"{side}: mask"] = lambda logits=logits, side=side: predictor.mask_of(logits, side, side)
    seconds = by_turns(steps, repeats)
    table: dict[str, Any] = {name: spread(found) for name, found in seconds.items()}
    smallest = f"{SIDES[0]}: whole slice"
    for side in SIDES[1:]:
        name = f"{side}: whole slice"
        table[name][f"of {SIDES[0]}"] = ratios(seconds[name], seconds[smallest])
    return table
