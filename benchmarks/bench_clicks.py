#!/usr/bin/env python3
"""Measures what clicks beside a rectangle bring: the Dice coefficient of a slice after each of them.

    python benchmarks/bench_clicks.py CASES.csv [--model KEY] [--clicks N] [--reach SHARE ...] [--seed N]

Two slices of each case, a quarter and three quarters through the object. Edges of the rectangle lie from 12 % of the
object's size inside of it to 20 % outside. Each click is made at the deepest place of the larger error, what is missing
or what is too much, unless no error is deeper than 1.5 pixels. `--reach` tries other values of `point_corrections.REACH`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

from MedSAMSlicerLib.engine.inference import point_corrections  # noqa: E402
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor  # noqa: E402
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window  # noqa: E402
from MedSAMSlicerLib.engine.masks import dice, occupied_slices  # noqa: E402
from MedSAMSlicerLib.engine.model_choice import ModelChoice  # noqa: E402
from MedSAMSlicerLib.engine.prompts import Box, Points, SlicePrompt  # noqa: E402
from MedSAMSlicerLib.engine.stack import ArrayStack, array_axis, default_axis  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import Case, read_cases  # noqa: E402
from MedSAMSlicerLib.io.image_files import read_image  # noqa: E402
from MedSAMSlicerLib.io.segmentations import read_label  # noqa: E402

LEAST_PIXELS = 60
LEAST_DEPTH = 1.5
INSIDE, OUTSIDE = 0.12, 0.2


def slices_of(case: Case) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Index, image and truth of two slices."""
    image = read_image(case.image)
    truth = read_label(case.label, case.value, like=image)
    axis = case.axis or default_axis(image.spacing_ijk, image.ijk_to_ras, image.dimensions)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
    source = WindowedStack(stack, choose_window(case.window, stack, image.modality or case.modality))
    masks = np.moveaxis(truth, array_axis(axis), 0)
    large = [index for index in occupied_slices(masks) if masks[index].sum() >= LEAST_PIXELS]
    for index in sorted({large[len(large) // 4], large[3 * len(large) // 4]} if large else ()):
        yield index, source.slice_uint8(index), masks[index]


def rough_box(truth: np.ndarray, generator: np.random.Generator) -> Box:
    """Box with moved edges around an object."""
    tight = Box.from_mask(truth)
    assert tight is not None
    x0, y0, x1, y1 = generator.uniform(-INSIDE, OUTSIDE, 4) * ([tight.width, tight.height] * 2)
    moved = Box(tight.x0 - x0, tight.y0 - y0, tight.x1 + x1, tight.y1 + y1)
    return moved.intersection(Box.of_slice(*truth.shape)) or tight


def next_click(mask: np.ndarray, truth: np.ndarray) -> tuple[float, float, bool] | None:
    """x, y and sign of the click that the user would make; None if there is no error to speak of."""
    depth = {positive: _depth(truth & ~mask if positive else mask & ~truth) for positive in (True, False)}
    positive = bool(depth[True].max() >= depth[False].max())
    if depth[positive].max() < LEAST_DEPTH:
        return None
    y, x = np.unravel_index(depth[positive].argmax(), mask.shape)
    return float(x), float(y), positive


def _depth(error: np.ndarray) -> np.ndarray:
    return distance_transform_edt(np.pad(error, 1))[1:-1, 1:-1]


def scores(predictor: Predictor, image: np.ndarray, truth: np.ndarray, box: Box, clicks: int) -> list[float]:
    """Dice coefficient without a click, and after each."""
    box, points = predictor.family.with_margin(box, *truth.shape), None
    mask = predictor.predict_prompt(image, SlicePrompt(box)).mask
    found = [dice(mask, truth)]
    for _ in range(clicks):
        click = next_click(mask, truth)
        if click is not None:
            x, y, positive = click
            points = Points(((x, y),), (positive,)) if points is None else points.with_point(x, y, positive)
            mask = predictor.predict_prompt(image, SlicePrompt(box, points)).mask
        found.append(dice(mask, truth))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="CASES.csv")
    parser.add_argument("--model", default="litemedsam", metavar="KEY")
    parser.add_argument("--clicks", type=int, default=3, metavar="N")
    parser.add_argument("--reach", type=float, nargs="+", default=[point_corrections.REACH], metavar="SHARE")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    predictor, _ = load_predictor(ModelChoice(options.model, device="cpu"))
    found: dict[float, list[list[float]]] = {reach: [] for reach in options.reach}
    generator = np.random.default_rng(options.seed)
    for case in read_cases(options.cases):
        for index, image, truth in slices_of(case):
            box = rough_box(truth, generator)
            for reach in options.reach:
                point_corrections.REACH = reach
                found[reach].append(scores(predictor, image, truth, box, options.clicks))
                shown = " ".join(f"{one:.3f}" for one in found[reach][-1])
                print(f"{case.id} slice {index} reach {reach}: {shown}", flush=True)
    for reach, rows in found.items():
        table = np.array(rows)
        for clicks, column in enumerate(table.T):
            change = column - table[:, 0]
            print(
                f"reach {reach}, {clicks} clicks, {len(column)} slices: mean {column.mean():.3f}, median "
                f"{np.median(column):.3f}, {int((change < -0.005).sum())} slices worse, by up to {-change.min():.3f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
