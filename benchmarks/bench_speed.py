#!/usr/bin/env python3
"""Speed of the default model on the processor of this computer, compared with the authors' code in PyTorch float32.

    python benchmarks/bench_speed.py [--slices 10 40 160] [--repeats N] [--only PART ...] [--without-mlas]

Parts: ``slice`` times encoder and decoder on one slice with each runtime, and the product of two large matrices as the peak of
the processor; ``plane`` times slices of several sizes; ``boxes`` times whole 3D boxes, and a second prompt in each;
``thin`` does so for 40 slices at a distance of 1.25 mm, ``int8`` for 40 slices with the encoder in int8, where the processor
has VNNI; ``length`` compares the time per slice in a long box and in boxes of 10 slices; ``outside`` compares the same box in volumes of 30 and 300 slices;
``preview`` times previews through the pipes of the inference process; ``start`` and ``memory`` measure new processes.

Variants run alternately, and ratios are computed within a round, so that other load on the computer affects all of them
alike. In a box of 160 slices the authors' code is timed on 40 slices and extrapolated. All parts together take about a
quarter of an hour on two cores. Writes speed.json and speed.png to benchmarks/results/ and prints a table of targets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import replace
from typing import Any

# Before torch is loaded, as the command line does: see engine/environment.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import openvino.opset13 as ops  # noqa: E402
from speed import ROOT  # noqa: E402
from speed.boxes import CACHE_BYTES, THIN_MM, demo_dice, time_box, time_box_lengths, time_volume_lengths  # noqa: E402
from speed.cases import CHOICE, reference_predictor  # noqa: E402
from speed.plot import draw  # noqa: E402
from speed.previews import time_previews  # noqa: E402
from speed.slices import OPENVINO, load_predictors, time_slice, time_slice_sizes  # noqa: E402
from speed.start import cold_starts, peak_memory  # noqa: E402
from speed.targets import as_text, profile, targets  # noqa: E402

from MedSAMSlicerLib.engine.environment import computing_threads  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import INT8_CPU  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.openvino_int8 import adds_exactly  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.openvino_layers import Weights  # noqa: E402
from MedSAMSlicerLib.engine.serving.service import SegmentationService  # noqa: E402

PARTS = ("slice", "plane", "boxes", "thin", "int8", "length", "outside", "preview", "start", "memory")


def measure(parts: list[str], counts: list[int], repeats: int) -> dict[str, Any]:
    """Run the parts and return the table of results. Each part is printed when it is done."""
    table: dict[str, Any] = {"processor": _processor(), "threads": computing_threads()}

    def keep(name: str, found: Any) -> None:
        table[name] = found
        print(f"{name} ({time.perf_counter() - begin:.0f} s)\n{json.dumps(found, indent=1)}", flush=True)

    begin = time.perf_counter()
    # New processes first, while this one takes little memory.
    if "memory" in parts:
        keep("memory", peak_memory())
    if "start" in parts:
        keep("start", cold_starts(max(1, repeats // 2)))
    if "preview" in parts:
        keep("preview", time_previews(repeats * 10))
    if {"slice", "plane"} & set(parts):
        predictors = load_predictors(reference_predictor())
        if "slice" in parts:
            keep("slice", time_slice(predictors, repeats))
        if "plane" in parts:
            keep("in plane", time_slice_sizes(predictors[OPENVINO], repeats))
    if {"boxes", "thin", "int8", "length", "outside"} & set(parts):
        service, reference = SegmentationService(CACHE_BYTES), reference_predictor()
        service.load(CHOICE)
        if "boxes" in parts:
            keep("agreement", demo_dice(service, reference))
            found: dict[str, Any] = {}
            for count in counts:
                found[str(count)] = time_box(service, reference, count)
                keep("boxes", found)
        if "thin" in parts:
            keep("thin", time_box(service, reference, 40, THIN_MM))
        if "int8" in parts and adds_exactly():
            keep("int8", time_box(service, reference, 40, choice=replace(CHOICE, device=INT8_CPU)))
            service.load(CHOICE)
        if "length" in parts:
            other = SegmentationService(CACHE_BYTES)
            other.load(CHOICE)
            keep("length", time_box_lengths(service, other, max(counts)))
            del other
        if "outside" in parts:
            keep("outside", time_volume_lengths(service, repeats))
    table["seconds"] = time.perf_counter() - begin
    return table


def _processor() -> str:
    """Name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _keep_from_mlas() -> None:
    """Put behind each linear layer a clamp that changes nothing: MLAS multiplies only what nothing is fused with."""
    product = Weights.product
    Weights.product = lambda *of: ops.clamp(product(*of), -1e30, 1e30)  # type: ignore[method-assign]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[10, 40, 160], metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--without-mlas",
        action="store_true",
        help="keep OpenVINO in this process from its MLAS, which does not heed ONEDNN_MAX_CPU_ISA",
    )
    options = parser.parse_args()

    if options.without_mlas:
        _keep_from_mlas()
    table = measure(options.only, options.slices, options.repeats)
    rows = targets(table)
    table["targets"] = [dict(zip(("what", "target", "measured", "met"), row, strict=True)) for row in rows]
    table["profile"] = profile(table)
    print("\n".join(table["profile"]), as_text(rows), sep="\n\n")
    if set(options.only) != set(PARTS):
        print("Nothing is written, because not all parts were run.")
        return 0
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "speed.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    draw(table, results / "speed.png")
    print(f"Written: {results / 'speed.json'}, {results / 'speed.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
