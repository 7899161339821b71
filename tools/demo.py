#!/usr/bin/env python3
"""Segments a lung tumour on a CT with the command line and compares the result with a reference mask.

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
from typing import Any

import numpy as np
import SimpleITK as sitk

from demo_data import DemoCase, demo_case
from MedSAMSlicerLib.engine.errors import MedSAMError
from MedSAMSlicerLib.engine.intensity import choose_window
from MedSAMSlicerLib.engine.masks import bounding_box, dice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.stack import ArrayStack, array_axis
from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.image_files import read_image
from MedSAMSlicerLib.io.preview import write_preview
from MedSAMSlicerLib.io.segmentations import read_label

WINDOW = "lung"


def box_around(mask: np.ndarray) -> list[int]:
    """Bounding box I0 I1 J0 J1 K0 K1, inclusive, of a (k, j, i) mask that is not empty."""
    box = bounding_box(mask)
    assert box is not None
    return [edge for side in reversed(box) for edge in (side.start, side.stop - 1)]


def read_segment(path: Path, like: Path) -> np.ndarray:
    """Read a segmentation, which may cover a part of the volume, as a bool (k, j, i) mask on the voxels of an image."""
    mask, reference = sitk.ReadImage(str(path)), sitk.ReadImage(str(like))
    resampled = sitk.Resample(mask, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resampled) != 0


def segment_command(image: Path, box: list[int], output: Path) -> list[str]:
    """Command line that a user would type."""
    program = shutil.which("medsam-slicer", path=str(Path(sys.executable).parent))
    if program is None:
        raise MedSAMError(f"medsam-slicer is not installed next to {sys.executable}: run 'make env'")
    command = [program, "segment", str(image), "--output", str(output / "tumour.seg.nrrd")]
    command += ["--box", *map(str, box), "--window", WINDOW, "--segment-name", "Lung tumour"]
    return [*command, "--report", str(output / "report.json")]


def draw(path: Path, image: Image, mask: np.ndarray, truth: np.ndarray, report: dict[str, Any]) -> None:
    """Draw the picture of `--preview` together with the reference contour.

    Args:
        path: file to write.
        image: CT.
        mask: bool (k, j, i) result.
        truth: bool (k, j, i) reference.
        report: report of the run, with prompts and confidences.
    """
    axis = report["axis"]
    given = report["prompts"]
    prompt = StackPrompt(
        {entry["slice"]: Box(*entry["box"]) for entry in given["keys"]},
        slice_range=tuple(given["reach"]),
        box3d=Box(*given["bounds"]),
    )
    slices = np.moveaxis(mask, array_axis(axis), 0)
    results = [
        SliceResult(
            index=entry["index"],
            mask=slices[entry["index"]],
            box=prompt.box3d if entry["index"] in prompt.slices else None,
            predicted_iou=entry["predicted_iou"],
            confidence=entry["confidence"],
            needs_review=entry["flagged"],
            key=entry["index"] in prompt.slices,
        )
        for entry in report["slices"]
    ]
    window = choose_window(WINDOW, ArrayStack(image.voxels, image.spacing_ijk, axis), image.modality)
    write_preview(path, image, axis, window, prompt, results, truth)


def run(case: DemoCase, output: Path) -> None:
    """Segment a case, draw the preview, and print volume, DSC and time."""
    output.mkdir(parents=True, exist_ok=True)
    image = read_image(case.image)
    truth = read_label(case.label, "1", like=image)
    command = segment_command(case.image, box_around(truth), output)
    print(shlex.join(command), flush=True)
    subprocess.run(command, check=True)

    mask = read_segment(output / "tumour.seg.nrrd", case.image)
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    draw(output / "preview.png", image, mask, truth, report)
    print(f"volume   {report['volume_ml']:.1f} ml")
    print(f"DSC      {dice(mask, truth):.3f} with the reference mask")
    print(f"seconds  {report['seconds']['total']:.1f}")
    print(f"written  {', '.join(str(output / name) for name in ('tumour.seg.nrrd', 'preview.png', 'report.json'))}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    options = parser.parse_args(arguments)
    try:
        run(demo_case(), options.output)
    except MedSAMError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_status
    except subprocess.CalledProcessError as error:  # The command line has written the reason to standard error.
        return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
