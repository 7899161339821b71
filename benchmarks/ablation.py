#!/usr/bin/env python3
"""What each named constant of the propagation does: agreement with the truth when it alone is changed.

    python benchmarks/ablation.py CASES.csv --prompt box3d|midslice|keyslices:N [--processes N] [--output TABLE.csv]

Every case is encoded once and every question put to the model once, however many variants ask it: set
$MEDSAM_SLICER_EMBEDDINGS_DISK_MB to keep the encodings for the next run. The first line of the table is the code as it is. A second table leaves one data set
out at a time; a file gets each case's DSC too.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

from MedSAMSlicerLib.engine.environment import THREADS_VARIABLE, embeddings_disk_megabytes  # noqa: E402
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache  # noqa: E402
from MedSAMSlicerLib.engine.inference.embedding_store import open_embedding_store  # noqa: E402
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor  # noqa: E402
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import ModelChoice, Timings  # noqa: E402
from MedSAMSlicerLib.engine.models.family import NetworkPrompt  # noqa: E402
from MedSAMSlicerLib.engine.propagation.propagate import propagate  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.runtime import Runtime  # noqa: E402
from MedSAMSlicerLib.engine.stack import ArrayStack, array_axis, default_axis  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import Case, read_cases  # noqa: E402
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind, prompt_from_truth  # noqa: E402
from MedSAMSlicerLib.io.image_files import read_image  # noqa: E402
from MedSAMSlicerLib.io.segmentations import read_label  # noqa: E402

# No embedding of a case may be let go: answers are remembered by it.
CACHE_BYTES = 8 << 30
OPEN, IN_BOX, BETWEEN = "open_propagation", "box_propagation", "key_propagation"
SMOOTHING, SECTION, THIN = "stack_smoothing", "expected_section", "thin_slices"
ASKER = "slice_asker"
# (module of the engine, constant, values to try): half and twice, or the neighbours that would make sense.
OPEN_CONSTANTS: list[tuple[str, str, tuple[float, ...]]] = [
    (OPEN, "CLOSE", (0.5, 1.5)),
    (OPEN, "LOOSE", (2.0, 3.5)),
    (OPEN, "SURE_PREDICTED_IOU", (0.85, 0.95)),
    (OPEN, "SURE_OVERLAP", (0.85, 0.95)),
    (OPEN, "NEWEST_SHARE", (0.1, 0.6)),
    (OPEN, "SMALLEST_SPREAD", (6.0, 24.0)),
    (OPEN, "SPREAD_OF_CONTRAST", (0.1, 0.5)),
    (OPEN, "LARGEST_CHANGE", (1.0, 3.0)),
    (OPEN, "SMALLEST_CONTRAST", (0.1, 0.4)),
    (OPEN, "SMALLEST_PREDICTED_IOU", (0.4, 0.7)),
    (OPEN, "SMALLEST_AREA", (0.02, 0.1)),
    (OPEN, "SMALLEST_OVERLAP", (0.15, 0.5)),
    (OPEN, "TELLING_CONTRAST", (0.25, 1.0)),
    (OPEN, "HALF_LENGTH", (0.4, 0.9)),
    (ASKER, "RING_STEP", (1 / 256, 1 / 64)),
    (ASKER, "STABILITY_OFFSET", (0.5, 2.0)),
]
SMOOTHING_CONSTANTS: list[tuple[str, str, tuple[float, ...]]] = [
    (SMOOTHING, "SPREAD_MM", (2.0, 4.0)),
    (SMOOTHING, "LARGEST_SHARE", (0.05, 0.2)),
    (SMOOTHING, "REACH", (2.0, 4.0)),
    (SMOOTHING, "SUREST", (5.0, 20.0)),
    (SMOOTHING, "SMALLEST_TRUST", (0.001, 0.1)),
]
CONSTANTS = {
    "midslice": OPEN_CONSTANTS,
    "box3d": [
        (IN_BOX, "EXPECTED_WIDTH", (0.8, 1.0)),
        (IN_BOX, "GENEROUS_WIDTH", (1.05, 1.4)),
        (IN_BOX, "AGREEMENT", (0.05, 0.1)),
        (IN_BOX, "FIRST_SHARE", (0.0, 0.5)),
        (SECTION, "UPRIGHT_WEIGHT", (0.02, 0.15)),
        (SECTION, "LARGEST_LEAN", (0.8, 0.99)),
        (THIN, "FURTHEST_MM", (0.0, 7.0)),
        (THIN, "LEAST_ASKED", (10.0, 25.0)),
        (ASKER, "STABILITY_OFFSET", (0.5, 2.0)),
        *SMOOTHING_CONSTANTS,
    ],
    "keyslices": [
        (BETWEEN, "BULGE", (0.5, 1.0)),
        (BETWEEN, "AGREEMENT", (0.05, 0.1)),
        (BETWEEN, "FIRST_SHARE", (0.0, 0.5)),
        (BETWEEN, "DOUBTED", (0.5, 0.7)),
        (BETWEEN, "CLEARLY_BETTER", (0.0, 0.1)),
        *SMOOTHING_CONSTANTS,
    ],
}
COLUMNS = [
    "constant",
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
    """The code as it is, or with one constant changed."""

    module: str = ""
    constant: str = ""
    value: float = 0.0

    @contextmanager
    def in_force(self) -> Iterator[None]:
        if not self.constant:
            yield
            return
        module = importlib.import_module(f"MedSAMSlicerLib.engine.{self.module}")
        kept = getattr(module, self.constant)
        setattr(module, self.constant, self.value)
        try:
            yield
        finally:
            setattr(module, self.constant, kept)


@dataclass(frozen=True)
class Found:
    """One case under one variant.

    Attributes:
        dsc: of the whole object.
        end_error: slices by which its first and last slice are missed, on average.
        calls, slices: of the decoder, and answered.
    """

    dsc: float
    end_error: float
    calls: int
    slices: int


def remember_answers(runtime: Runtime) -> None:
    """Have a runtime put each question about a box once; the embeddings must stay the same objects."""
    decode = runtime.decode
    answers: dict[tuple[int, bytes], tuple[np.ndarray, np.ndarray]] = {}

    def remembered(
        embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        if multimask or not all(prompt.only_box for prompt in prompts):
            return decode(embedding, prompts, multimask)
        found = []
        for prompt in prompts:
            assert prompt.box is not None
            key = (id(embedding), prompt.box.tobytes())
            if key not in answers:
                answers[key] = decode(embedding, [prompt])
            found.append(answers[key])
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    runtime.decode = remembered  # type: ignore[method-assign]


def variants_of(kind: PromptKind) -> list[Variant]:
    changed = [Variant(module, name, value) for module, name, values in CONSTANTS[kind.name] for value in values]
    return [Variant(), *changed]


def run_case(case: Case, kind: PromptKind) -> list[Found]:
    """The case under every variant, in the order of `variants_of`."""
    os.environ[THREADS_VARIABLE] = "1"
    predictor = load_predictor(
        ModelChoice(), EmbeddingCache(CACHE_BYTES, open_embedding_store(embeddings_disk_megabytes()))
    )[0]
    remember_answers(predictor.runtime)
    image = read_image(case.image)
    truth = read_label(case.label, case.value, like=image)
    axis = case.axis or default_axis(image.spacing_ijk, image.ijk_to_ras)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
    source = WindowedStack(stack, choose_window(case.window, stack, image.modality or case.modality))
    truth = np.moveaxis(truth, array_axis(axis), 0)
    prompt = prompt_from_truth(truth, kind, case=case.id)
    found = []
    for variant in variants_of(kind):
        with variant.in_force():
            predictor.timings = Timings()
            masks = {result.index: result.mask for result in propagate(source, prompt, predictor)}
            found.append(_found(predictor, masks, truth))
    return found


def _found(predictor: Predictor, masks: dict[int, np.ndarray], truth: np.ndarray) -> Found:
    mask = np.zeros(truth.shape, bool)
    for index, one in masks.items():
        mask[index] = one
    held, true = (np.flatnonzero(one.any(axis=(1, 2))) for one in (mask, truth))
    ends = np.abs(held[[0, -1]] - true[[0, -1]]).mean() if held.size else len(true)
    dsc = 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))
    return Found(float(dsc), float(ends), predictor.timings.decoder_calls, len(masks))


def data_set(case: Case) -> str:
    """What the case's name begins with, before any number: one organ or disease of one source."""
    return re.split(r"[\d_]", case.id)[0]


def chosen_without(
    scores: np.ndarray, sets: np.ndarray, variants: Sequence[Variant]
) -> Iterator[tuple[str, float, list[str]]]:
    """For each constant its name, the mean DSC with the value that is best on all other data sets, and the sets for which
    that is not the value it has.

    Args:
        scores: DSC (cases, variants), the code as it is first.
        sets: data set of each case.
    """
    for constant in dict.fromkeys((one.module, one.constant) for one in variants if one.constant):
        tried = [0, *(n for n, one in enumerate(variants) if (one.module, one.constant) == constant)]
        held_out, others = np.zeros(len(scores)), []
        for name in dict.fromkeys(sets.tolist()):
            inside = sets == name
            best = tried[int(scores[~inside][:, tried].mean(axis=0).argmax())]
            held_out[inside] = scores[inside, best]
            if best:
                others.append(f"{name} {variants[best].value:g}")
        yield ".".join(constant), float(held_out.mean()), others


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
        name = f"{variant.module}.{variant.constant}" if variant.constant else "as it is"
        calls = sum(one[n].calls for one in found) / sum(one[n].slices for one in found)
        ends = float(np.median([one[n].end_error for one in found]))
        extremes = [f"{change[i]:+.3f} {cases[i].id}" if change[i] else "" for i in (lost, gained)]
        value = f"{variant.value:g}" if variant.constant else ""
        rows.append([name, value, f"{dsc.mean():.4f}", f"{np.median(dsc):.4f}", *extremes, f"{ends:g}", f"{calls:.2f}"])
        print("  ".join(f"{cell:<24}" if i < 1 else f"{cell:<10}" for i, cell in enumerate(rows[-1])), flush=True)
    sets = np.array([data_set(case) for case in cases])
    scores = np.array([[one.dsc for one in of_case] for of_case in found])
    print(
        "\nEach constant chosen without the data set that it is then used on: mean DSC, and for which sets it is another value"
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
