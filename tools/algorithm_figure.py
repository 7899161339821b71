#!/usr/bin/env python3
"""Draws the figure of docs/algorithm.md from a run on the demo's CT.

    python tools/algorithm_figure.py [--output docs/pictures/algorithm.png]

Above, one slice that is predicted twice; below, the whole stack and the confidence of its slices.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

import MedSAMSlicerLib.api as medsam
from demo_data import demo_case
from MedSAMSlicerLib.engine.masks import bounding_box, dice
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation import in_box
from MedSAMSlicerLib.engine.propagation.ellipsoid_prior import EllipsoidPrior
from MedSAMSlicerLib.engine.propagation.median_box import median_box
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings
from MedSAMSlicerLib.engine.propagation.slice_predictor import SliceMask, SlicePredictor
from MedSAMSlicerLib.io.segmentations import read_label

SETTINGS = PropagationSettings()
RESULT, TRUTH, BOX, EXPECTED, NEIGHBOUR, FOUND = "#ffc000", "#35d0ff", "#ffffff", "#d98cff", "#7dff6a", "#ff8a5c"
MARGIN = 30  # pixels of anatomy around the 3D box


def segment_and_record(image: medsam.Image, box: Any) -> tuple[medsam.Segmentation, dict[int, dict[str, Any]]]:
    """Segment in a 3D box; of each slice, record the boxes that `predict_with_median_box` chose from."""
    steps: dict[int, dict[str, Any]] = {}
    predict = in_box.predict_with_median_box

    def recording(
        predictor: SlicePredictor, index: int, generous: Box, expected: Box, neighbour: Any, *rest: Any, **named: Any
    ) -> SliceMask:
        first = predictor.predict_box(index, generous, 0)
        chosen = predict(predictor, index, generous, expected, neighbour, *rest, **named)
        steps[index] = {"generous": generous, "expected": expected, "first": first.mask}
        steps[index]["neighbour"] = None if neighbour is None else Box.from_mask(neighbour)
        steps[index]["twice"] = not np.array_equal(chosen.logits, first.logits)
        return chosen

    in_box.predict_with_median_box = recording
    try:
        return medsam.segment(image, box=box, window="lung"), steps
    finally:
        in_box.predict_with_median_box = predict


def rectangle(axes: Any, box: Box, colour: str, style: str = "-") -> None:
    corner = (box.x0 - 0.5, box.y0 - 0.5)
    axes.add_patch(Rectangle(corner, box.width, box.height, fill=False, edgecolor=colour, linestyle=style, linewidth=2))


def show(axes: Any, grey: np.ndarray, view: tuple[float, float, float, float], title: str, aspect: float = 1) -> None:
    """Draw a slice, cut to `view` (left, right, bottom, top)."""
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=aspect, interpolation="bilinear")
    axes.set(xlim=view[:2], ylim=view[2:], xticks=[], yticks=[])
    axes.set_title(title, fontsize=11, loc="left")


def key(axes: Any, entries: dict[str, str]) -> None:
    """Name the colours below a picture."""
    lines = [Line2D([], [], color=colour, linewidth=3) for colour in entries.values()]
    place: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0.01),
        "handlelength": 1.2,
        "columnspacing": 1,
    }
    axes.legend(lines, entries, ncols=len(lines), fontsize=10, facecolor="#404040", labelcolor="white", **place)


def draw(output: Path) -> None:
    case = demo_case()
    image = medsam.read_image(case.image)
    truth = read_label(case.label, "1", like=image)
    sides = bounding_box(truth)
    assert sides is not None
    k, j, i = ((side.start, side.stop - 1) for side in sides)
    result, steps = segment_and_record(image, (i, j, k))
    box3d = Box(i[0], j[0], i[1], j[1])
    grey = result.window.apply(image.voxels)
    twice = [index for index, step in steps.items() if step["twice"] and step["neighbour"] is not None]
    shown = max(twice, key=lambda index: int((steps[index]["first"] ^ result.mask[index]).sum()))
    step = steps[shown]
    found = Box.from_mask(step["first"])
    assert found is not None

    figure = Figure(figsize=(12, 8.6), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    grid: dict[str, Any] = figure.subplot_mosaic([["a", "b", "c"], ["d", "e", "e"]])
    figure.subplots_adjust(left=0.01, right=0.99, top=0.96, bottom=0.1, wspace=0.1, hspace=0.18)
    view = (i[0] - MARGIN, i[1] + MARGIN, j[1] + MARGIN, j[0] - MARGIN)

    show(grid["a"], grey[shown], view, f"a  Slice {shown}: first prediction")
    rectangle(grid["a"], step["generous"], BOX, "--")
    grid["a"].contour(step["first"], [0.5], colors=FOUND, linewidths=2)
    key(grid["a"], {"box prompted": BOX, "mask found": FOUND})

    show(grid["b"], grey[shown], view, "b  Three boxes vote")
    for box, colour in ((found, FOUND), (step["neighbour"], NEIGHBOUR), (step["expected"], EXPECTED)):
        rectangle(grid["b"], box, colour)
    rectangle(grid["b"], median_box([step["neighbour"], found, step["expected"]]), BOX, "--")
    key(grid["b"], {"found": FOUND, "neighbour": NEIGHBOUR, "expected": EXPECTED, "median": BOX})

    show(grid["c"], grey[shown], view, f"c  Result (DSC {dice(result.mask[shown], truth[shown]):.2f} on this slice)")
    grid["c"].contour(result.mask[shown], [0.5], colors=RESULT, linewidths=2)
    grid["c"].contour(truth[shown], [0.5], colors=TRUTH, linewidths=1.5, linestyles="--")
    key(grid["c"], {"result": RESULT, "drawn by hand": TRUTH})

    middle = (j[0] + j[1]) // 2
    spacing = image.spacing_ijk
    view = (i[0] - MARGIN, i[1] + MARGIN, k[0] - 3.5, k[1] + 3.5)
    show(grid["d"], grey[:, middle], view, "d  The same, seen from the front", aspect=spacing[2] / spacing[0])
    rectangle(grid["d"], Box(i[0], k[0], i[1], k[1]), BOX, "--")
    prior = EllipsoidPrior(box3d, *k, SETTINGS.in_box)
    for one in result.slices:
        if (seen := Box.from_mask(one.mask)) is not None:
            prior.observe(one.index, seen, one.predicted_iou)
    for index in range(k[0], k[1] + 1):
        section = prior.section(index, SETTINGS.in_box.expected_width)
        rectangle(grid["d"], Box(section.x0, index, section.x1, index), EXPECTED)
    grid["d"].contour(result.mask[:, middle], [0.5], colors=RESULT, linewidths=2)
    key(grid["d"], {"3D box": BOX, "expected": EXPECTED, "result": RESULT})

    chart = grid["e"]
    limit = SETTINGS.confidence.review_below
    for review, colour, text in ((False, "#5c9bd1", "confidence"), (True, "#d9534f", "confidence, needs review")):
        bars = [one for one in result.slices if one.needs_review == review]
        chart.bar([one.index for one in bars], [one.confidence for one in bars], color=colour, label=text)
    indices = [one.index for one in result.slices]
    chart.plot(
        indices, [dice(result.mask[n], truth[n]) for n in indices], "ko", label="DSC with the contour drawn by hand"
    )
    chart.axhline(limit, color="#d9534f", linestyle="--")
    chart.set(xlabel="slice", ylim=(0, 1.05), xticks=indices)
    chart.set_title("e  Confidence of each slice, estimated without the hand-drawn contour", fontsize=11, loc="left")
    chart.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=3, fontsize=10)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output)
    print(f"slice {shown} of {k}, predicted twice: {sorted(twice)}; DSC {dice(result.mask, truth):.3f}; {output}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/pictures/algorithm.png"))
    draw(parser.parse_args().output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
