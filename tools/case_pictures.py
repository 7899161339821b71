#!/usr/bin/env python3
"""Draws cases of `medsam-slicer evaluate`: image, prompt, result and reference contour.

    python tools/case_pictures.py CASES.csv FOLDER --prompt box3d --case ID [--case ID ...]

Writes FOLDER/ID.png. Begin with the cases that have the lowest DSC in RESULTS.csv.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

import MedSAMSlicerLib.api as medsam  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import DEFAULT_MODEL  # noqa: E402
from MedSAMSlicerLib.engine.stack import array_axis, default_axis  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import Case, read_cases  # noqa: E402
from MedSAMSlicerLib.evaluation.metrics import agreement  # noqa: E402
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind, prompt_from_truth  # noqa: E402
from MedSAMSlicerLib.io.preview import write_preview  # noqa: E402
from MedSAMSlicerLib.io.segmentations import read_label  # noqa: E402


def draw(case: Case, kind: PromptKind, model: medsam.Model, path: Path) -> float:
    """Segment a case, draw it, and return its DSC."""
    image = medsam.read_image(case.image)
    image = replace(image, modality=image.modality or case.modality)
    truth = read_label(case.label, case.value, like=image)
    axis = case.axis or default_axis(image.spacing_ijk, image.ijk_to_ras)
    prompt = medsam.VolumePrompt(axis, prompt_from_truth(np.moveaxis(truth, array_axis(axis), 0), kind))
    found = medsam.segment(image, prompt=prompt, window=case.window, model=model)
    dsc = agreement(found.mask, truth, image.spacing_ijk[::-1]).dsc
    title = f"{case.id}, {kind}: DSC {dsc:.2f}"
    write_preview(path, image, axis, found.window, prompt.stack, list(found.slices), truth, title)
    return dsc


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="CASES.csv")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--prompt", default="box3d", metavar="KIND")
    parser.add_argument("--case", action="append", required=True, metavar="ID")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="KEY")
    options = parser.parse_args()
    cases = {case.id: case for case in read_cases(options.cases)}
    model = medsam.load_model(options.model)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.case:
        if name not in cases:
            parser.error(f"{options.cases} has no case {name!r}: it has {', '.join(cases)}")
        path = options.folder / f"{name}.png"
        print(f"{name}: DSC {draw(cases[name], PromptKind.parse(options.prompt), model, path):.3f}, {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
