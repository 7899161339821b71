#!/usr/bin/env python3
"""The demo: contours a lung tumour on a real CT with the command line and compares it with the mask that came with it.

python tools/demo.py [--output demo]
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from demo_data import DemoCase, demo_case
from MedSAMSlicerLib.engine.errors import MedSAMError


def truth_box(label: sitk.Image) -> list[int]:
    """I0 I1 J0 J1 K0 K1 of the smallest box around the voxels that are not 0, ends included."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(label != 0, sitk.sitkUInt8))
    start_and_size = statistics.GetBoundingBox(1)
    return [edge for lo, n in zip(start_and_size[:3], start_and_size[3:], strict=True) for edge in (lo, lo + n - 1)]


def on_grid_of(reference: sitk.Image, mask: sitk.Image) -> np.ndarray:
    """Bool (k, j, i) of a mask on the reference's voxels; a .seg.nrrd may cover only a part of the volume."""
    resampled = sitk.Resample(mask, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    return sitk.GetArrayViewFromImage(resampled) != 0


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice similarity coefficient of two boolean arrays of the same shape; 1 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def segment_command(case: DemoCase, box: list[int], output: Path) -> list[str]:
    """The command that a user would type."""
    program = shutil.which("medsam-slicer", path=str(Path(sys.executable).parent))
    if program is None:
        raise MedSAMError(f"medsam-slicer is not installed beside {sys.executable}: run 'make env'")
    command = [program, "segment", str(case.image), "--output", str(output / "tumour.seg.nrrd")]
    command += ["--box", *map(str, box), "--window", "lung", "--segment-name", "Lung tumour"]
    return [*command, "--report", str(output / "report.json"), "--preview", str(output / "preview.png")]


def run(output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    case = demo_case()
    truth = sitk.ReadImage(str(case.label))
    command = segment_command(case, truth_box(truth), output)
    print(shlex.join(command), flush=True)
    subprocess.run(command, check=True)

    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    result = sitk.ReadImage(str(output / "tumour.seg.nrrd"))
    score = dice(on_grid_of(truth, result), on_grid_of(truth, truth))
    print(f"volume   {report['volume_ml']:.1f} ml")
    print(f"DSC      {score:.3f} against the mask that came with the image")
    print(f"seconds  {report['seconds']['total']:.1f}")
    print(f"written  {', '.join(str(output / name) for name in ('tumour.seg.nrrd', 'preview.png', 'report.json'))}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    options = parser.parse_args(arguments)
    try:
        run(options.output)
    except MedSAMError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_status
    except subprocess.CalledProcessError as error:  # the command line has said why on standard error
        return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
