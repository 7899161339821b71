#!/usr/bin/env python3
"""Time and peak memory of writing a result into a segment of 512 x 512 x 600 voxels, as *Apply* and scripts do.

Runs on Slicer's own MRML (slicer-core), without its application: what drawing the segment anew takes is not in it. Each mode is
measured in processes of its own, without masking and inside another segment. Writes benchmarks/results/apply.json. The peak
is measured on Linux only.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer" / "Testing" / "Python"), str(ROOT / "MedSAMSlicer")]
RESULTS = ROOT / "benchmarks" / "results" / "apply.json"
SHAPE = (600, 512, 512)
OBJECT = (slice(280, 340), slice(200, 280), slice(220, 300))
REPEATS = 3
MODES = ("add", "replace", "remove")


def peak_bytes() -> int:
    """Peak memory of this process since the last `reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not tell the peak")


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def ball() -> np.ndarray:
    """bool (k, j, i): an ellipsoid that fills `OBJECT`."""
    mask = np.zeros(SHAPE, bool)
    size = [part.stop - part.start for part in OBJECT]
    places = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in size]
    squares = np.add.outer(np.add.outer(places[0] ** 2, places[1] ** 2), places[2] ** 2)
    mask[OBJECT] = squares <= 1
    return mask


def measure(mode: str, masked: bool) -> dict[str, float]:
    """Seconds and peak in megabytes of one write into a segment that holds the lower half of the object already."""
    import slicer

    from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter
    from support.scene_builder import SceneBuilder, new_scene
    from support.segment_writer_fixture import logic_editor

    builder = SceneBuilder(new_scene())
    volume = builder.volume(np.zeros(SHAPE, np.int16))
    segmentation = builder.segmentation(volume, "tumour", "organ")
    mask = ball()
    before = mask.copy()
    before[310:] = False
    for name, content in (("organ", ball()), ("tumour", before)):
        editor, _logic = logic_editor(segmentation, volume)
        editor.node.SetSelectedSegmentID(name)
        SegmentWriter(segmentation, name, editor).write(content, volume, "add")
    if masked:
        editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
        editor.node.SetMaskSegmentID("organ")
    writer = SegmentWriter(segmentation, "tumour", editor)
    linux = sys.platform == "linux"
    start = 0
    if linux:
        reset_peak()
        start = peak_bytes()
    begin = time.perf_counter()
    written = writer.write(before if mode == "remove" else mask, volume, mode)  # type: ignore[arg-type]
    seconds = time.perf_counter() - begin
    peak = (peak_bytes() - start) / 1e6 if linux else float("nan")
    assert written.voxels
    return {"seconds": seconds, "peak_mb": peak}


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], sys.argv[2] == "masked")))
        return
    table: dict[str, dict[str, object]] = {}
    for masked in ("free", "masked"):
        for mode in MODES:
            command = [sys.executable, __file__, mode, masked]
            runs = [
                json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
                for _ in range(REPEATS)
            ]
            seconds = [run["seconds"] for run in runs]
            entry = {
                "seconds": [round(value, 3) for value in (min(seconds), statistics.median(seconds), max(seconds))],
                "peak_mb": round(max(run["peak_mb"] for run in runs), 1),
            }
            table[f"{mode}, {masked}"] = entry
            print(f"{mode:8} {masked:7} {entry['seconds']} s  +{entry['peak_mb']} MB", flush=True)
    RESULTS.write_text(json.dumps({"size": SHAPE[::-1], "min_median_max": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
