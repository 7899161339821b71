#!/usr/bin/env python3
"""Peak memory and time of `medsam-slicer segment` on large volumes.

Repeats the demo's CT along K to 40 and to 300 slices of 512 x 512 (int16), segments the same 20-slice box in both with
the command line, and prints peak memory and the ratio of the times. Writes benchmarks/results/large_volume.json.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from demo_data import demo_case  # noqa: E402

BOX = ["318", "404", "333", "398", "10", "29"]
REPEATS = 2


def repeated(source: sitk.Image, slices: int, path: Path) -> None:
    voxels = sitk.GetArrayViewFromImage(source)
    image = sitk.GetImageFromArray(voxels[np.arange(slices) % len(voxels)].astype(np.int16))
    image.SetSpacing(source.GetSpacing())
    sitk.WriteImage(image, str(path), useCompression=True)


def run(path: Path, folder: Path) -> tuple[float, float, float]:
    """(seconds of the whole command, seconds of the segmentation alone, peak memory in MB)."""
    program = shutil.which("medsam-slicer", path=str(Path(sys.executable).parent))
    assert program is not None, "run 'make env' first"
    report = folder / "report.json"
    command = [program, "segment", str(path), "--output", str(folder / "out.seg.nrrd"), "--box", *BOX]
    command += ["--window", "lung", "--report", str(report), "--quiet"]
    before = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - before
    told = json.loads(report.read_text())["seconds"]
    # The largest child so far: runs go from the small volume to the large one.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds, told["encode"] + told["decode"], peak


def main() -> None:
    source = sitk.ReadImage(str(demo_case().image))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for slices in (40, 300):
            path = folder / f"{slices}.nrrd"
            repeated(source, slices, path)
            runs = [run(path, folder) for _ in range(REPEATS)]
            found[str(slices)] = {
                "seconds": float(np.median([one[0] for one in runs])),
                "inference_seconds": float(np.median([one[1] for one in runs])),
                "peak_mb": max(one[2] for one in runs),
            }
            print(f"{slices:>4} slices: {found[str(slices)]}", flush=True)
    ratio = found["300"]["seconds"] / found["40"]["seconds"]
    print(f"whole command, 300 slices / 40 slices: {ratio:.3f}; peak memory {found['300']['peak_mb']:.0f} MB")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "large_volume.json").write_text(json.dumps({**found, "ratio": ratio}, indent=2) + "\n")


if __name__ == "__main__":
    main()
