#!/usr/bin/env python3
"""LiteMedSAM on a graphics card: parity with the processor, precisions, batches, and behaviour without enough memory.

    python benchmarks/bench_gpu.py [--device cuda] [--slices FILE.npz] [--repeats N]
    python benchmarks/bench_gpu.py --write-slices FILE.npz      the windowed slices of the demo's CT, for a computer without SimpleITK

The processor of the same computer is measured in the same run. Times are medians, minima and maxima of `repeats` calls; the
copy of each result to the processor synchronises the device. Takes about two minutes with a recent card. Writes
benchmarks/results/gpu.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

# An empty cache, so that half precision is checked again. Set before the engine is imported.
if "--keep-cache" not in sys.argv:
    os.environ["MEDSAM_SLICER_CACHE"] = tempfile.mkdtemp(prefix="medsam-gpu-")

import torch  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer"), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from MedSAMSlicerLib.engine.inference.predictor import load_predictor  # noqa: E402
from MedSAMSlicerLib.engine.masks import dice  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo  # noqa: E402
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt, StackPrompt  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.devices import name_of_device  # noqa: E402
from MedSAMSlicerLib.engine.serving.service import SegmentationService  # noqa: E402

CHOICE = ModelChoice("litemedsam", device="cpu", runtime="torch")
BOX, FIRST, LAST = Box(318, 333, 404, 398), 15, 25
"""The tumour of the demo's CT: rectangle in slice pixels, first and last slice."""
LONG_BOX_SLICES = 40


class RepeatedStack:
    """A `SliceSource` of uint8 (slices, rows, columns), repeated up to `count` slices."""

    def __init__(self, images: np.ndarray, spacing: tuple[float, float, float], count: int | None = None) -> None:
        self._images = images
        self.spacing = spacing
        self.shape = (count or len(images), *images.shape[1:])

    def slice_uint8(self, index: int) -> np.ndarray:
        image = self._images[index % len(self._images)]
        if index < len(self._images):
            return image
        # Make repeated slices differ, so that each is encoded.
        image = image.copy()
        image[0, 0] = index % 256
        return image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "mps", "cpu"))
    parser.add_argument(
        "--slices", type=Path, metavar="FILE.npz", help="windowed slices to use instead of the demo's CT"
    )
    parser.add_argument("--write-slices", type=Path, metavar="FILE.npz")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep-cache", action="store_true", help="use the stored verdicts on half precision")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "gpu.json")
    options = parser.parse_args()
    images, spacing = _slices(options.slices)
    if options.write_slices:
        np.savez_compressed(options.write_slices, images=images, spacing=spacing)
        return 0

    table: dict[str, Any] = {
        "device": name_of_device(options.device),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    chosen = replace(CHOICE, device=options.device)
    for name, measure in (
        ("parity", lambda: parity(images, chosen)),
        ("whole_box", lambda: whole_box(RepeatedStack(images, spacing), chosen)),
        ("encoder", lambda: encoder(images, chosen, options.repeats)),
        ("decoder", lambda: decoder(images[20], chosen, options.repeats)),
        ("long_box", lambda: long_box(images, spacing, chosen)),
        ("memory", lambda: out_of_memory(RepeatedStack(images, spacing), chosen)),
    ):
        begin = time.perf_counter()
        table[name] = measure()
        print(f"{name} ({time.perf_counter() - begin:.0f} s)\n{json.dumps(table[name], indent=1)}", flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


def parity(images: np.ndarray, chosen: ModelChoice) -> dict[str, Any]:
    """Differences of embedding, logits, predicted IoU and mask from those of the processor, in each precision."""
    reference, _ = load_predictor(CHOICE)
    expected = {
        index: (reference.embed(images[index]), reference.predict(images[index], BOX)) for index in (16, 20, 24)
    }
    found: dict[str, Any] = {}
    for precision in ("float32", "float16", "bfloat16"):
        runtime = _runtime(chosen.device, precision)
        rows = []
        for index, (embedding, prediction) in expected.items():
            family = reference.family
            made = runtime.encode(family.prepare(images[index]))
            prompts = [family.network_prompt(SlicePrompt(box=BOX), *images[index].shape)]
            logits, ious = runtime.decode(made, prompts)
            mask = family.slice_masks(logits[:, 0], *images[index].shape)[0]
            rows.append(
                {
                    "embedding": float(np.abs(made - embedding).max()),
                    "embedding_largest": float(np.abs(embedding).max()),
                    "logits": float(np.abs(logits[0, 0] - prediction.low_res_logits).max()),
                    "iou": float(abs(ious[0, 0] - prediction.predicted_iou)),
                    "pixels": int((mask != prediction.mask).sum()),
                }
            )
        found[precision] = {name: max(row[name] for row in rows) for name in rows[0]}
    return found


def whole_box(stack: RepeatedStack, chosen: ModelChoice) -> dict[str, Any]:
    """Segment the demo's tumour in a 3D box on both: Dice coefficient of the masks, seconds, and notes for the user."""
    prompt = StackPrompt.from_box3d(FIRST, LAST, BOX)
    on_processor, seconds, _ = _run(CHOICE, stack, prompt)
    on_device, device_seconds, info = _run(chosen, stack, prompt)
    return {
        "dice": dice(on_processor, on_device),
        "seconds": {"cpu": seconds, "device_with_load": device_seconds},
        "notes": info.notes,
        "ran_on": None if info.loaded is None else info.loaded.device,
    }


def encoder(images: np.ndarray, chosen: ModelChoice, repeats: int) -> dict[str, Any]:
    """Encoder: seconds per slice on the processor, and on the device for each precision and batch size."""
    predictor, _ = load_predictor(CHOICE)
    prepared = [predictor.family.prepare(image) for image in images[:16]]
    found: dict[str, Any] = {"cpu": _time(lambda: predictor.runtime.encode(prepared[0]), 3)}
    for precision in ("float32", "float16", "bfloat16"):
        runtime = _runtime(chosen.device, precision)
        for count in (1, 2, 4, 8):
            found[f"{precision}, {count} at once"] = _time(partial(runtime._encode, prepared[:count]), repeats, count)
    batched, _ = load_predictor(chosen)
    batched.runtime.encode_many(prepared)
    found["as used"] = {
        **_time(lambda: batched.runtime.encode_many(prepared), repeats, len(prepared)),
        "slices_at_once": batched.runtime.slices_at_once,
        "runtime": batched.runtime.version,
    }
    return found


def decoder(image: np.ndarray, chosen: ModelChoice, repeats: int) -> dict[str, Any]:
    """Decoder: seconds of one prompt, and of 32 at once, on a slice with a cached embedding."""
    found = {}
    for name, choice in (("cpu", CHOICE), (chosen.device, chosen)):
        predictor, _ = load_predictor(choice)
        predictor.predict(image, BOX)
        prompts = [SlicePrompt(box=BOX.padded(n % 6, n % 5)) for n in range(32)]
        found[name] = _time(partial(predictor.predict, image, BOX), repeats)
        found[f"{name}, 32 prompts"] = _time(partial(predictor.predict_prompts, image, prompts), repeats)
    return found


def long_box(images: np.ndarray, spacing: tuple[float, float, float], chosen: ModelChoice) -> dict[str, Any]:
    """A 3D box of 40 slices with a loaded model and an empty cache, then a second box on the same slices."""
    stack = RepeatedStack(images, spacing, LONG_BOX_SLICES + 10)
    prompts = [StackPrompt.from_box3d(5, 4 + LONG_BOX_SLICES, box) for box in (BOX, BOX.padded(6, 4))]
    found: dict[str, Any] = {"slices": LONG_BOX_SLICES}
    for name, choice in (("cpu", CHOICE), (chosen.device, chosen)):
        service = SegmentationService(1 << 30)
        # Warm up: the first call on a device compiles and allocates.
        service.preview(choice, images[0], BOX)
        seconds = []
        for prompt in prompts:
            begin = time.perf_counter()
            info = RunInfo()
            assert len(list(service.segment(choice, stack, prompt, info))) == LONG_BOX_SLICES
            seconds.append(time.perf_counter() - begin)
        found[name] = {"first": seconds[0], "second_prompt": seconds[1], "encoder_calls": info.timings.encoder_calls}
    found["first_of_cpu"] = found[chosen.device]["first"] / found["cpu"]["first"]
    return found


def out_of_memory(stack: RepeatedStack, chosen: ModelChoice) -> dict[str, Any]:
    """Segment the same box with less and less memory: Dice coefficient of the masks, device at the end, and notes."""
    if chosen.device != "cuda":
        return {"skipped": "memory can be limited on CUDA only"}
    prompt = StackPrompt.from_box3d(FIRST, LAST, BOX)
    expected, _, _ = _run(chosen, stack, prompt)
    total = torch.cuda.get_device_properties(0).total_memory
    found = {}
    for megabytes in (2000, 600, 300, 100):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, (megabytes << 20) / total))
        try:
            masks, seconds, info = _run(chosen, stack, prompt)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        found[f"{megabytes} MB"] = {
            "dice": dice(expected, masks),
            "seconds": seconds,
            "ended_on": None if info.loaded is None else info.loaded.device,
            "notes": info.notes,
        }
    return found


def _slices(path: Path | None) -> tuple[np.ndarray, tuple[float, float, float]]:
    """uint8 (slices, rows, columns) and their spacing in mm, slices first."""
    if path is not None:
        with np.load(path) as file:
            across, rows, columns = (float(mm) for mm in file["spacing"])
            return file["images"], (across, rows, columns)
    from speed.cases import demo_stack

    stack = demo_stack(50)
    return np.stack([stack.slice_uint8(index) for index in range(stack.shape[0])]), stack.spacing


def _runtime(device: str, precision: str) -> Any:
    """A new runtime of LiteMedSAM in this precision, without its check."""
    from MedSAMSlicerLib.engine.models.catalogue import find_model
    from MedSAMSlicerLib.engine.models.checkpoints import load_state
    from MedSAMSlicerLib.engine.models.weights import find_weights
    from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime

    torch.backends.cudnn.allow_tf32 = False
    spec = find_model(CHOICE.model)
    network = spec.load_family().build_network()
    network.load_state_dict(load_state(spec, find_weights(spec)))
    return TorchRuntime(network, device, precision)


def _run(choice: ModelChoice, stack: RepeatedStack, prompt: StackPrompt) -> tuple[np.ndarray, float, RunInfo]:
    """bool (slices, rows, columns) mask, seconds including loading, and information about the run."""
    masks, info = np.zeros(stack.shape, bool), RunInfo()
    begin = time.perf_counter()
    for result in SegmentationService(1 << 30).segment(choice, stack, prompt, info):
        masks[result.index] = result.mask
    return masks, time.perf_counter() - begin, info


def _time(work: Callable[[], object], repeats: int, items: int = 1) -> dict[str, float]:
    """Median, minimum and maximum seconds of `work`, divided by `items`, after one call that is not timed."""
    work()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append((time.perf_counter() - begin) / items)
    return {"median": statistics.median(seconds), "lowest": min(seconds), "highest": max(seconds)}


if __name__ == "__main__":
    sys.exit(main())
