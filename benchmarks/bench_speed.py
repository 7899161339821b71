#!/usr/bin/env python3
"""Seconds of LiteMedSAM on this computer's processor, beside the authors' own steps in PyTorch float32, in one run.

    python benchmarks/bench_speed.py [--slices 10 40 160] [--repeats N]

Per slice: encoding and decoding with each runtime. Whole boxes: ours beside the authors' algorithm, and a second prompt
on the same volume. Preview from a cached embedding, without its way through the process. Cost against the slice's size.
Share of the processor's peak, which a product of two large float32 matrices measures. The ways take turns, so that what
else the computer does falls on all of them. Writes speed.json and speed.png to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "MedSAMSlicer")]
from demo_data import demo_case  # noqa: E402
from MedSAMSlicerLib.engine.embedding_cache import EmbeddingCache  # noqa: E402
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window  # noqa: E402
from MedSAMSlicerLib.engine.models.catalogue import find_model  # noqa: E402
from MedSAMSlicerLib.engine.models.weights import find_weights, load_state  # noqa: E402
from MedSAMSlicerLib.engine.predictor import Predictor, load_predictor  # noqa: E402
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt  # noqa: E402
from MedSAMSlicerLib.engine.reference import segment_as_authors  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime  # noqa: E402
from MedSAMSlicerLib.engine.service import SegmentationService  # noqa: E402
from MedSAMSlicerLib.engine.service_types import ModelChoice, RunInfo  # noqa: E402
from MedSAMSlicerLib.engine.stack import ArrayStack  # noqa: E402
from MedSAMSlicerLib.engine.threads import computing_threads  # noqa: E402

MODEL = "litemedsam"
BOX = Box(318, 333, 404, 398)
# Of one slice, counted by torch's FLOP counter: multiplications and additions.
ENCODER_GFLOP, DECODER_GFLOP = 74.9, 3.6
MATRIX = 3072
SIDES = (256, 512, 1024)
KEPT_BYTES = 1 << 30

Seconds = list[float]


def stack_of(slices: int, side: int | None = None) -> WindowedStack:
    """The demo's CT through its lung window, its slices again and again until there are enough of them.

    Args:
        side: of square slices, made of the CT's by repeating or leaving out pixels; None: as they are.
    """
    image = sitk.ReadImage(str(demo_case().image))
    voxels = sitk.GetArrayViewFromImage(image)
    voxels = voxels[np.arange(slices) % len(voxels)]
    if side is not None:
        pixels = np.arange(side) * voxels.shape[1] // side
        voxels = voxels[:, pixels][:, :, pixels]
    stack = ArrayStack(np.ascontiguousarray(voxels), image.GetSpacing(), "K")
    return WindowedStack(stack, choose_window("lung", stack, "CT"))


def reference_predictor() -> Predictor:
    """The authors' network as they run it: PyTorch, float32, nothing merged, nothing kept."""
    spec = find_model(MODEL)
    family = spec.load_family()
    network = family.build_network()
    network.load_state_dict(load_state(spec, find_weights(spec)))
    torch.set_num_threads(computing_threads())
    return Predictor(family, TorchRuntime(network, "cpu"), "reference", EmbeddingCache(0))


def by_turns(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Seconds]:
    """Seconds of each way, which take turns; the first turn does not count."""
    found: dict[str, Seconds] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn:
                found[name].append(time.perf_counter() - begin)
    return found


def spread(seconds: Seconds) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(seconds, (25, 50, 75))
    return {"median": float(middle), "q25": float(low), "q75": float(high), "runs": len(seconds)}


def per_slice(ways: Mapping[str, Predictor], repeats: int) -> dict[str, Any]:
    """Encoding and decoding of one slice with each runtime, and the matrix product that shows the processor's peak."""
    image = stack_of(30).slice_uint8(20)
    prepared = {name: predictor.family.prepare(image) for name, predictor in ways.items()}
    embeddings = {name: predictor.runtime.encode(prepared[name]) for name, predictor in ways.items()}
    keeping = {name: Predictor(one.family, one.runtime, name, EmbeddingCache(KEPT_BYTES)) for name, one in ways.items()}
    for predictor in keeping.values():
        predictor.embed(image)
    a, b = (torch.rand(MATRIX, MATRIX) for _ in range(2))
    encode: dict[str, Callable[[], Any]] = {
        f"encode {name}": lambda one=one, name=name: one.runtime.encode(prepared[name]) for name, one in ways.items()
    }
    decode: dict[str, Callable[[], Any]] = {
        f"decode {name}": lambda one=one: one.predict(image, BOX) for name, one in keeping.items()
    }
    assert all(np.isfinite(embedding).all() for embedding in embeddings.values())
    seconds = by_turns({"matrix product": lambda: a @ b, **encode, **decode}, repeats)
    peak = 2 * MATRIX**3 / 1e9 / min(seconds["matrix product"])
    table: dict[str, Any] = {name: spread(found) for name, found in seconds.items()}
    table["peak GFLOP/s"] = peak
    for name in ways:
        table[f"encode {name}"]["share of peak"] = ENCODER_GFLOP / min(seconds[f"encode {name}"]) / peak
        table[f"decode {name}"]["share of peak"] = DECODER_GFLOP / min(seconds[f"decode {name}"]) / peak
    return table


def whole_boxes(reference: Predictor, slices: list[int]) -> dict[str, Any]:
    """A 3D box through so many slices: ours after the start, ours again with another box, and the authors' way."""
    return {str(count): whole_box(reference, count) for count in slices}


def whole_box(reference: Predictor, count: int) -> dict[str, Any]:
    """A box through `count` slices; see `whole_boxes`."""
    source = stack_of(count + 20)
    prompt = StackPrompt.from_box3d(10, 9 + count, BOX)
    moved = StackPrompt.from_box3d(10, 9 + count, Box(BOX.x0 + 6, BOX.y0 - 4, BOX.x1 + 6, BOX.y1 - 4))
    service, choice, info = SegmentationService(KEPT_BYTES), ModelChoice(MODEL, device="cpu"), RunInfo()
    service.load(choice)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: list(service.segment(choice, source, prompt, info)),
        "ours, second prompt": lambda: list(service.segment(choice, source, moved, RunInfo())),
        "authors": lambda: list(segment_as_authors(source, reference, 10, 9 + count, BOX)),
    }
    seconds = {}
    for name, way in ways.items():
        begin = time.perf_counter()
        way()
        seconds[name] = time.perf_counter() - begin
        print(f"  {count} slices, {name}: {seconds[name]:.1f} s", flush=True)
    return {
        **seconds,
        "ours / authors": seconds["ours"] / seconds["authors"],
        "second / first": seconds["ours, second prompt"] / seconds["ours"],
        "ours, seconds a slice": seconds["ours"] / count,
        "encoder calls": info.timings.encoder_calls,
        "decoder calls": info.timings.decoder_calls,
    }


def previews(repeats: int) -> dict[str, float]:
    """From a box to its mask on a slice whose embedding is there."""
    image = stack_of(30).slice_uint8(20)
    service, choice = SegmentationService(), ModelChoice(MODEL, device="cpu")
    boxes = [Box(BOX.x0 + n, BOX.y0, BOX.x1, BOX.y1 + n) for n in range(8)]
    service.preview(choice, image, BOX)
    seconds = []
    for n in range(repeats * 8):
        begin = time.perf_counter()
        service.preview(choice, image, boxes[n % len(boxes)])
        seconds.append(time.perf_counter() - begin)
    return {**spread(seconds), "p95": float(np.percentile(seconds, 95))}


def in_plane(predictor: Predictor, repeats: int) -> dict[str, Any]:
    """What a slice costs beside the encoder: preparing it, and making a mask of its size, for several sizes."""
    table = {}
    for side in SIDES:
        image = stack_of(21, side).slice_uint8(20)
        box = Box(*(edge * side / 512 for edge in BOX.xyxy))
        (logits,) = (one.low_res_logits for one in predictor.predict_many(image, [box]))
        seconds = by_turns(
            {
                "prepare": lambda image=image: predictor.family.prepare(image),
                "mask": lambda logits=logits, side=side: predictor.mask_of(logits, side, side),
            },
            repeats,
        )
        table[str(side)] = {name: spread(found) for name, found in seconds.items()}
    return table


def draw(table: dict[str, Any], path: Path) -> None:
    """Two panels: a slice with each runtime, and whole boxes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=110)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for step, colour in (("encode", "#35689b"), ("decode", "#d08a2e")):
        names = [name for name in table["slice"] if name.startswith(step)]
        found = [table["slice"][name] for name in names]
        middle = [one["median"] for one in found]
        error = [[one["median"] - one["q25"] for one in found], [one["q75"] - one["median"] for one in found]]
        left.barh(names, middle, xerr=error, color=colour)
    left.set_xlabel("seconds a slice (median, quartiles)")
    counts = [int(count) for count in table["boxes"]]
    for name, style in (("authors", "s--"), ("ours", "o-"), ("ours, second prompt", "^-")):
        right.plot(counts, [table["boxes"][str(count)][name] for count in counts], style, label=name)
    right.set_xlabel("slices in the box")
    right.set_ylabel("seconds")
    right.set_ylim(bottom=0)
    right.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[10, 40, 160], metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    options = parser.parse_args()

    reference = reference_predictor()
    ways = {"authors (PyTorch float32)": reference}
    for runtime in ("torch", "openvino"):
        ways[f"ours, {runtime}"] = load_predictor(ModelChoice(MODEL, device="cpu", runtime=runtime), EmbeddingCache(0))[
            0
        ]
    table: dict[str, Any] = {"processor": platform.processor() or platform.machine(), "threads": computing_threads()}
    table["slice"] = per_slice(ways, options.repeats)
    print(json.dumps(table, indent=1), flush=True)
    table["preview"] = previews(options.repeats)
    table["in plane"] = in_plane(ways["ours, openvino"], options.repeats)
    print(json.dumps({name: table[name] for name in ("preview", "in plane")}, indent=1), flush=True)
    table["boxes"] = whole_boxes(reference, options.slices)
    print(json.dumps(table["boxes"], indent=1))
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "speed.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    draw(table, results / "speed.png")
    print(f"Written: {results / 'speed.json'}, {results / 'speed.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
