#!/usr/bin/env python3
"""Speed of LiteMedSAM on this computer's processor, beside the authors' own steps in PyTorch float32, in one run.

    python benchmarks/bench_speed.py [--slices 10 40 160] [--repeats N] [--only PART ...]

Parts: ``slice`` encodes and decodes one slice with each runtime, beside the product of two large matrices that shows the
processor's peak; ``plane`` does so at several sizes; ``boxes`` contours whole 3D boxes, and once more with another
prompt; ``thin`` does so with 40 slices that are said to be 1.25 mm apart, of which not all are encoded; ``length``
compares what a slice costs in a long box and in boxes of ten; ``outside`` puts one box into volumes of 30 and 300 slices;
``preview`` goes through the pipes of the inference process; ``start`` and ``memory`` begin processes of their own.

Ways take turns, and ratios are taken within a turn, so that what else the computer does falls on all of them. Through 160
slices the authors' way is timed on 40 of them, spread over our run, and scaled: it encodes each slice anew. Everything
together takes about a quarter of an hour on two cores. Writes speed.json and speed.png to benchmarks/results/ and ends with a
table of what was aimed at.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from typing import Any

# Before torch is loaded, as the command line does: see engine/environment.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from speed import ROOT  # noqa: E402
from speed.boxes import KEPT_BYTES, THIN_MM, agreement, by_length, outside_the_reach, whole_box  # noqa: E402
from speed.cases import CHOICE, reference_predictor  # noqa: E402
from speed.plot import draw  # noqa: E402
from speed.previews import preview_times  # noqa: E402
from speed.slices import OPENVINO, in_plane, per_slice, predictors  # noqa: E402
from speed.start import cold_starts, peak_memory  # noqa: E402
from speed.targets import as_text, profile, targets  # noqa: E402

from MedSAMSlicerLib.engine.environment import computing_threads  # noqa: E402
from MedSAMSlicerLib.engine.serving.service import SegmentationService  # noqa: E402

PARTS = ("slice", "plane", "boxes", "thin", "length", "outside", "preview", "start", "memory")


def measure(parts: list[str], counts: list[int], repeats: int) -> dict[str, Any]:
    """The table of everything that is asked for; printed as it grows."""
    table: dict[str, Any] = {"processor": _processor(), "threads": computing_threads()}

    def keep(name: str, found: Any) -> None:
        table[name] = found
        print(f"{name} ({time.perf_counter() - begin:.0f} s)\n{json.dumps(found, indent=1)}", flush=True)

    begin = time.perf_counter()
    # Processes of their own first: here nothing is loaded yet that would take memory and time from them.
    if "memory" in parts:
        keep("memory", peak_memory())
    if "start" in parts:
        keep("start", cold_starts(max(1, repeats // 2)))
    if "preview" in parts:
        keep("preview", preview_times(repeats * 10))
    if {"slice", "plane"} & set(parts):
        ways = predictors(reference_predictor())
        if "slice" in parts:
            keep("slice", per_slice(ways, repeats))
        if "plane" in parts:
            keep("in plane", in_plane(ways[OPENVINO], repeats))
    if {"boxes", "thin", "length", "outside"} & set(parts):
        service, reference = SegmentationService(KEPT_BYTES), reference_predictor()
        service.load(CHOICE)
        if "boxes" in parts:
            keep("agreement", agreement(service, reference))
            found: dict[str, Any] = {}
            for count in counts:
                found[str(count)] = whole_box(service, reference, count)
                keep("boxes", found)
        if "thin" in parts:
            keep("thin", whole_box(service, reference, 40, THIN_MM))
        if "length" in parts:
            other = SegmentationService(KEPT_BYTES)
            other.load(CHOICE)
            keep("length", by_length(service, other, max(counts)))
            del other
        if "outside" in parts:
            keep("outside", outside_the_reach(service, repeats))
    table["seconds"] = time.perf_counter() - begin
    return table


def _processor() -> str:
    """What the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[10, 40, 160], metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()

    table = measure(options.only, options.slices, options.repeats)
    rows = targets(table)
    table["targets"] = [dict(zip(("what", "target", "measured", "met"), row, strict=True)) for row in rows]
    table["profile"] = profile(table)
    print("\n".join(table["profile"]), as_text(rows), sep="\n\n")
    if set(options.only) != set(PARTS):
        print("Not all parts were run: nothing is written.")
        return 0
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "speed.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    draw(table, results / "speed.png")
    print(f"Written: {results / 'speed.json'}, {results / 'speed.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
