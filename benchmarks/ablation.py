#!/usr/bin/env python3
"""Measures what each setting of the propagation does: the Dice coefficient if that setting alone is changed.

    python benchmarks/ablation.py CASES.csv --prompt box3d|midslice|keyslices:N [--processes N] [--output TABLE.csv]

Each case is encoded once, and each distinct prompt is decoded once for all variants. Set
$MEDSAM_SLICER_EMBEDDINGS_DISK_MB to keep the embeddings for the next run. The first line of the table has the settings of
the default model. A second table leaves out one data set at a time. The output file has each case's Dice coefficient too.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

from MedSAMSlicerLib.engine.environment import THREADS_VARIABLE, embeddings_disk_megabytes  # noqa: E402
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache  # noqa: E402
from MedSAMSlicerLib.engine.inference.embedding_store import open_embedding_store  # noqa: E402
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor  # noqa: E402
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window  # noqa: E402
from MedSAMSlicerLib.engine.masks import dice  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import ModelChoice, Timings  # noqa: E402
from MedSAMSlicerLib.engine.models.family import NetworkPrompt  # noqa: E402
from MedSAMSlicerLib.engine.propagation.adapted_settings import adapted_settings  # noqa: E402
from MedSAMSlicerLib.engine.propagation.propagate import propagate  # noqa: E402
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.runtime import Runtime  # noqa: E402
from MedSAMSlicerLib.engine.stack import ArrayStack, array_axis, default_axis  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import Case, read_cases  # noqa: E402
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind, prompt_from_truth  # noqa: E402
from MedSAMSlicerLib.io.image_files import read_image  # noqa: E402
from MedSAMSlicerLib.io.segmentations import read_label  # noqa: E402

# Large enough for all embeddings of a case, because predictions are cached by embedding.
CACHE_BYTES = 8 << 30

Changes = dict[str, tuple[float, ...]]
"""Path of a setting in `PropagationSettings` -> values to try: about half and twice its default, or its neighbours."""

SMOOTHING: Changes = {
    "smoothing.spread_mm": (2.0, 4.0),
    "smoothing.largest_spread": (0.05, 0.2),
    "smoothing.truncate": (2.0, 4.0),
    "smoothing.largest_logit": (5.0, 20.0),
    "smoothing.smallest_trust": (0.001, 0.1),
}
# Without influence on models without an adapter that switches the classifier on.
PIXELS: Changes = {
    "pixels.logits_weight": (0.5, 1.0),
    "pixels.grey_weight": (0.25, 0.75),
    "pixels.embedding_weight": (0.15, 0.45),
    "pixels.bias": (-0.9, 0.0),
    "pixels.sure_logit": (1.0, 4.0),
    "pixels.surroundings": (0.1, 0.5),
    "pixels.shrinkage": (0.1, 2.0),
}
CHANGES: dict[str, Changes] = {
    "midslice": {
        "outward.close_margin": (0.5, 1.5),
        "outward.loose_margin": (2.0, 3.5),
        "outward.sure_predicted_iou": (0.85, 0.95),
        "outward.sure_dice": (0.85, 0.95),
        "outward.newest_weight": (0.1, 0.6),
        "outward.smallest_spread": (6.0, 24.0),
        "outward.spread_per_contrast": (0.1, 0.5),
        "outward.largest_change": (1.0, 3.0),
        "outward.smallest_contrast": (0.1, 0.4),
        "outward.smallest_predicted_iou": (0.4, 0.7),
        "outward.smallest_area": (0.02, 0.1),
        "outward.smallest_dice": (0.15, 0.5),
        "outward.visible_contrast": (0.25, 1.0),
        "outward.clearly_visible": (1.1, 1.5),
        "outward.half_length": (0.4, 0.9),
        "outward.ring_step": (1 / 256, 1 / 64),
        "confidence.stability_offset": (0.5, 2.0),
        **PIXELS,
    },
    "box3d": {
        "in_box.expected_width": (0.8, 1.0),
        "in_box.generous_width": (1.05, 1.4),
        "in_box.median_box.tolerance": (0.05, 0.1),
        "in_box.median_box.first_weight": (0.0, 0.5),
        "in_box.upright_weight": (0.02, 0.15),
        "in_box.largest_shear": (0.8, 0.99),
        "skipping.largest_gap_mm": (0.0, 16.0),
        "skipping.fewest_predicted": (6, 25),
        # 1 means the same as 2.
        "skipping.largest_step": (1, 3),
        "skipping.long_gap_mm": (10.0, 30.0),
        "skipping.fewest_of_long": (9, 25),
        "confidence.stability_offset": (0.5, 2.0),
        **PIXELS,
        **SMOOTHING,
    },
    "keyslices": {
        "between_keys.bulge": (0.5, 1.0),
        "between_keys.median_box.tolerance": (0.05, 0.1),
        "between_keys.median_box.first_weight": (0.0, 0.5),
        "between_keys.low_predicted_iou": (0.5, 0.7),
        "between_keys.smallest_gain": (0.0, 0.1),
        **PIXELS,
        **SMOOTHING,
    },
    "keymasks": {
        "between_keys.bulge": (0.5, 1.0),
        "key_masks.slope": (0.75, 3.0),
        "key_masks.doubt_weight": (1.0, 2.0),
        "key_masks.least_agreement": (0.1, 0.5),
        "key_masks.full_agreement": (0.4, 0.8),
        **PIXELS,
        **SMOOTHING,
    },
}
COLUMNS = [
    "setting",
    "value",
    "mean_dsc",
    "median_dsc",
    "largest_loss",
    "largest_gain",
    "end_error",
    "calls_per_slice",
]


@dataclass(frozen=True)
class Variant:
    """The model's settings, or one of them changed.

    Attributes:
        path: the setting that is changed, for example "in_box.expected_width"; "" for the model's settings.
        value: its value.
    """

    path: str = ""
    value: float = 0.0

    def settings(self, defaults: PropagationSettings) -> PropagationSettings:
        """The settings, from those of the model."""
        return with_setting(defaults, self.path, self.value) if self.path else defaults


def with_setting(settings: Any, path: str, value: float) -> Any:
    """Settings, or a group of them, with the value at a dotted path replaced."""
    name, _, rest = path.partition(".")
    return replace(settings, **{name: with_setting(getattr(settings, name), rest, value) if rest else value})


@dataclass(frozen=True)
class Score:
    """Result of one case under one variant.

    Attributes:
        dsc: Dice coefficient of the whole object, without the slices of key masks.
        end_error: distance of its first and last slice from those of the truth, on average, in slices.
        calls: number of decoded prompts.
        slices: number of segmented slices.
    """

    dsc: float
    end_error: float
    calls: int
    slices: int


def cache_predictions(runtime: Runtime) -> None:
    """Make a runtime decode each box once per embedding. Embeddings are distinguished by `id` and must stay alive."""
    decode = runtime.decode
    cached: dict[tuple[int, bytes, tuple[int, int]], tuple[np.ndarray, np.ndarray]] = {}

    def decode_cached(
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        if multimask or not all(prompt.only_box for prompt in prompts):
            return decode(embedding, prompts, multimask, origin)
        found = []
        for prompt in prompts:
            assert prompt.box is not None
            key = (id(embedding), prompt.box.tobytes(), origin)
            if key not in cached:
                cached[key] = decode(embedding, [prompt], origin=origin)
            found.append(cached[key])
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    runtime.decode = decode_cached  # type: ignore[method-assign]


def variants_of(kind: PromptKind) -> list[Variant]:
    """The model's settings, then every change that concerns prompts of this kind."""
    return [Variant(), *(Variant(path, value) for path, values in CHANGES[kind.name].items() for value in values)]


def run_case(case: Case, kind: PromptKind) -> list[Score]:
    """Segment a case with every variant, in the order of `variants_of`."""
    os.environ[THREADS_VARIABLE] = "1"
    predictor = load_predictor(
        ModelChoice(), EmbeddingCache(CACHE_BYTES, open_embedding_store(embeddings_disk_megabytes()))
    )[0]
    cache_predictions(predictor.runtime)
    image = read_image(case.image)
    truth = read_label(case.label, case.value, like=image)
    axis = case.axis or default_axis(image.spacing_ijk, image.ijk_to_ras)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
    source = WindowedStack(stack, choose_window(case.window, stack, image.modality or case.modality))
    truth = np.moveaxis(truth, array_axis(axis), 0)
    prompt = prompt_from_truth(truth, kind, case=case.id)
    scores = []
    defaults = adapted_settings(predictor.changed_settings)
    for variant in variants_of(kind):
        predictor.timings = Timings()
        masks = {
            result.index: result.mask for result in propagate(source, prompt, predictor, variant.settings(defaults))
        }
        scores.append(_score(predictor, masks, truth, list(prompt.key_masks)))
    return scores


def _score(predictor: Predictor, masks: dict[int, np.ndarray], truth: np.ndarray, given: list[int]) -> Score:
    mask = np.zeros(truth.shape, bool)
    for index, one in masks.items():
        mask[index] = one
    held, true = (np.flatnonzero(one.any(axis=(1, 2))) for one in (mask, truth))
    ends = np.abs(held[[0, -1]] - true[[0, -1]]).mean() if held.size else len(true)
    # The slices of key masks would only tell what was given.
    found, wanted = np.delete(mask, given, axis=0), np.delete(truth, given, axis=0)
    return Score(dice(found, wanted), float(ends), predictor.timings.decoder_calls, len(masks))


def data_set(case: Case) -> str:
    """Data set of a case: its id up to the first digit or underscore."""
    return re.split(r"[\d_]", case.id)[0]


def chosen_without(
    scores: np.ndarray, sets: np.ndarray, variants: Sequence[Variant]
) -> Iterator[tuple[str, float, list[str]]]:
    """Choose each setting by cross-validation over the data sets.

    For each data set, a setting gets the value that is best on all other data sets.

    Args:
        scores: Dice coefficients (cases, variants); the default settings first.
        sets: data set of each case.
        variants: variants in the order of `scores`.

    Yields:
        Path of the setting, mean Dice coefficient over the data sets that were left out, and the data sets for which
        another value than the default was chosen, with that value.
    """
    for path in dict.fromkeys(variant.path for variant in variants if variant.path):
        tried = [0, *(n for n, variant in enumerate(variants) if variant.path == path)]
        held_out, others = np.zeros(len(scores)), []
        for name in dict.fromkeys(sets.tolist()):
            inside = sets == name
            best = tried[int(scores[~inside][:, tried].mean(axis=0).argmax())]
            held_out[inside] = scores[inside, best]
            if best:
                others.append(f"{name} {variants[best].value:g}")
        yield path, float(held_out.mean()), others


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--prompt", type=PromptKind.parse, default="midslice")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    cases = read_cases(options.cases)
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        found = list(pool.map(run_case, cases, [options.prompt] * len(cases)))
    rows = []
    for n, variant in enumerate(variants_of(options.prompt)):
        dsc = np.array([one[n].dsc for one in found])
        change = dsc - np.array([one[0].dsc for one in found])
        lost, gained = int(change.argmin()), int(change.argmax())
        calls = sum(one[n].calls for one in found) / sum(one[n].slices for one in found)
        ends = float(np.median([one[n].end_error for one in found]))
        extremes = [f"{change[i]:+.3f} {cases[i].id}" if change[i] else "" for i in (lost, gained)]
        value = f"{variant.value:g}" if variant.path else ""
        rows.append(
            [
                variant.path or "defaults",
                value,
                f"{dsc.mean():.4f}",
                f"{np.median(dsc):.4f}",
                *extremes,
                f"{ends:g}",
                f"{calls:.2f}",
            ]
        )
        print("  ".join(f"{cell:<40}" if i < 1 else f"{cell:<10}" for i, cell in enumerate(rows[-1])), flush=True)
    sets = np.array([data_set(case) for case in cases])
    scores = np.array([[one.dsc for one in of_case] for of_case in found])
    print(
        "\nEach setting chosen without the data set that it is then used on: mean DSC, and other values that were chosen"
    )
    for name, held_out, others in chosen_without(scores, sets, variants_of(options.prompt)):
        print(f"{name:<48}{held_out:.4f}  {', '.join(others)}")
    if options.output:
        with options.output.open("w", newline="", encoding="utf-8") as file:
            header = [*COLUMNS, *(case.id for case in cases)]
            table = [[*row, *(f"{one[n].dsc:.6f}" for one in found)] for n, row in enumerate(rows)]
            csv.writer(file, lineterminator="\n").writerows([header, *table])
    return 0


if __name__ == "__main__":
    sys.exit(main())
