#!/usr/bin/env python3
"""Peak memory and time of `medsam-slicer segment` on large volumes.

Repeats the demo's CT along K to 40 and to 300 slices of 512 x 512 (int16), segments the same box of 20 slices in both with
the command line, and prints peak memory and the ratio of the times. Writes benchmarks/results/large_volume.json.
Returns exit status 1 if a run takes more than `MOST_MB`, or the large volume more than `HIGHEST_RATIO` times as long as
the small one. A first run on the small volume, which may convert the model for OpenVINO, is reported separately.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "MedSAMSlicer"
sys.path[:0] = [str(ROOT / "tools"), str(MODULE)]
from demo_data import demo_case  # noqa: E402

BOX = ["318", "404", "333", "398", "10", "29"]
REPEATS = 2
SMALL, LARGE = 40, 300
MOST_MB = 1500.0
HIGHEST_RATIO = 1.2
# ru_maxrss is in KiB on Linux, in bytes on macOS.
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measurement:
    """Time and memory of one run, or of several.

    Attributes:
        seconds: duration of the command.
        inference_seconds: time spent in encoder and decoder.
        peak_mb: peak memory in 10^6 bytes.
    """

    seconds: float
    inference_seconds: float
    peak_mb: float

    @classmethod
    def combine(cls, runs: Sequence[Measurement]) -> Measurement:
        """Median times and highest peak of several runs."""
        seconds, inference = (float(np.median([getattr(one, name) for one in runs])) for name in TIMES)
        return cls(seconds, inference, max(one.peak_mb for one in runs))


TIMES = ("seconds", "inference_seconds")


def write_repeated(source: sitk.Image, slices: int, path: Path) -> None:
    """Write a volume of `slices` slices, which repeat those of the source."""
    voxels = sitk.GetArrayViewFromImage(source)
    image = sitk.GetImageFromArray(voxels[np.arange(slices) % len(voxels)].astype(np.int16))
    image.SetSpacing(source.GetSpacing())
    sitk.WriteImage(image, str(path), useCompression=True)


def peak_mb_of(command: Sequence[str]) -> float:
    """Run a command and return the peak memory of its process in 10^6 bytes."""
    paths = os.pathsep.join(filter(None, [str(MODULE), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss * _MAXRSS_BYTES / 1e6


def run(path: Path, folder: Path) -> Measurement:
    """Segment one volume with the command line."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "MedSAMSlicerLib.cli", "segment", str(path), "--box", *BOX, "--window", "lung"]
    command += ["--output", str(folder / "out.seg.nrrd"), "--report", str(report), "--quiet"]
    before = time.perf_counter()
    peak = peak_mb_of(command)
    seconds = time.perf_counter() - before
    timings = json.loads(report.read_text())["seconds"]
    return Measurement(seconds, timings["encode"] + timings["decode"], peak)


def ratio_of(small: Measurement, large: Measurement) -> float:
    return large.seconds / small.seconds


def exceeded_limits(small: Measurement, large: Measurement) -> list[str]:
    """A sentence for each limit that is exceeded."""
    found = []
    for slices, measured in ((SMALL, small), (LARGE, large)):
        if measured.peak_mb > MOST_MB:
            found.append(f"{slices} slices took {measured.peak_mb:.0f} MB, more than {MOST_MB:.0f} MB")
    if ratio_of(small, large) > HIGHEST_RATIO:
        found.append(f"{LARGE} slices took {ratio_of(small, large):.2f} times as long as {SMALL}, over {HIGHEST_RATIO}")
    return found


def main() -> int:
    source = sitk.ReadImage(str(demo_case().image))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = {slices: folder / f"{slices}.nrrd" for slices in (SMALL, LARGE)}
        for slices, path in paths.items():
            write_repeated(source, slices, path)
        first = run(paths[SMALL], folder)
        print(f"first run: {asdict(first)}", flush=True)
        # Alternately, so that other load on the computer affects both alike.
        runs: dict[int, list[Measurement]] = {slices: [] for slices in paths}
        for _ in range(REPEATS):
            for slices, path in paths.items():
                runs[slices].append(run(path, folder))
    small, large = Measurement.combine(runs[SMALL]), Measurement.combine(runs[LARGE])
    for slices, measured in ((SMALL, small), (LARGE, large)):
        print(f"{slices:>4} slices: {asdict(measured)}")
    print(f"whole command, {LARGE} / {SMALL} slices: {ratio_of(small, large):.3f}; peak memory {large.peak_mb:.0f} MB")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    table = {"first_run": asdict(first), str(SMALL): asdict(small), str(LARGE): asdict(large)}
    table_text = json.dumps({**table, "ratio": ratio_of(small, large)}, indent=2)
    (results / "large_volume.json").write_text(table_text + "\n")
    exceeded = exceeded_limits(small, large)
    for sentence in exceeded:
        print(sentence, file=sys.stderr)
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
