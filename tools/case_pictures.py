#!/usr/bin/env python3
"""Pictures of cases that `medsam-slicer evaluate` measures: image, prompt, result and the contour drawn by hand.

    python tools/case_pictures.py CASES.csv FOLDER --prompt box3d --case ID [--case ID ...]

Writes FOLDER/ID.png. The cases to look at first are the worst ones of RESULTS.csv.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

from MedSAMSlicerLib.engine.environment import embeddings_disk_megabytes  # noqa: E402
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache  # noqa: E402
from MedSAMSlicerLib.engine.inference.embedding_store import open_embedding_store  # noqa: E402
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor  # noqa: E402
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import ModelChoice  # noqa: E402
from MedSAMSlicerLib.engine.propagation.propagate import propagate  # noqa: E402
from MedSAMSlicerLib.engine.stack import ArrayStack, array_axis, default_axis, from_slices_first  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import Case, read_cases  # noqa: E402
from MedSAMSlicerLib.evaluation.metrics import agreement  # noqa: E402
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind, prompt_from_truth  # noqa: E402
from MedSAMSlicerLib.io.image_files import read_image  # noqa: E402
from MedSAMSlicerLib.io.preview import write_preview  # noqa: E402
from MedSAMSlicerLib.io.segmentations import read_label  # noqa: E402


def draw(case: Case, kind: PromptKind, predictor: Predictor, path: Path) -> float:
    """Segment a case and draw it; returns its DSC."""
    image = read_image(case.image)
    truth = read_label(case.label, case.value, like=image)
    axis = case.axis or default_axis(image.spacing_ijk, image.ijk_to_ras)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
    window = choose_window(case.window, stack, image.modality or case.modality)
    prompt = prompt_from_truth(np.moveaxis(truth, array_axis(axis), 0), kind)
    found = sorted(propagate(WindowedStack(stack, window), prompt, predictor), key=lambda result: result.index)
    mask = np.zeros(stack.shape, bool)
    for result in found:
        mask[result.index] = result.mask
    dsc = agreement(from_slices_first(mask, axis), truth, image.spacing_ijk[::-1]).dsc
    write_preview(path, image, axis, window, prompt, found, truth, f"{case.id}, {kind}: DSC {dsc:.2f}")
    return dsc


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="CASES.csv")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--prompt", default="box3d", metavar="KIND")
    parser.add_argument("--case", action="append", required=True, metavar="ID")
    parser.add_argument("--model", default="litemedsam", metavar="KEY")
    options = parser.parse_args()
    cases = {case.id: case for case in read_cases(options.cases)}
    predictor, _ = load_predictor(
        ModelChoice(options.model), EmbeddingCache(files=open_embedding_store(embeddings_disk_megabytes()))
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.case:
        if name not in cases:
            parser.error(f"{options.cases} has no case {name!r}: it has {', '.join(cases)}")
        path = options.folder / f"{name}.png"
        print(f"{name}: DSC {draw(cases[name], PromptKind.parse(options.prompt), predictor, path):.3f}, {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
