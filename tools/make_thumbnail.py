#!/usr/bin/env python3
"""Draws the picture of the lung tumour CT for Slicer's Sample Data module, 260 x 280 pixels.

Run it after a change and commit what it writes: `MedSAMSlicer/Resources/Icons/LungTumourCT.png`. Its CT is the demo's.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

from demo_data import DemoCase, demo_case
from MedSAMSlicerLib.panel.setup.sample_data import THUMBNAIL

WIDTH, HEIGHT = 260, 280
LEVEL, WINDOW_WIDTH = -600, 1500
SHARE = 0.72
"""How much of the slice's side is shown."""


def draw(case: DemoCase) -> Figure:
    """The slice on which the tumour is largest, with its contour."""
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(case.image)))
    tumour = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label))) == 1
    k = int(np.argmax(tumour.sum(axis=(1, 2))))
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="black")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(image[k], cmap="gray", vmin=LEVEL - WINDOW_WIDTH / 2, vmax=LEVEL + WINDOW_WIDTH / 2)
    axes.contour(tumour[k], levels=[0.5], colors=["#3ddc84"], linewidths=1.6)
    rows, columns = image.shape[1:]
    half = rows * SHARE / 2
    axes.set_ylim(rows / 2 + half, rows / 2 - half)
    axes.set_xlim(columns / 2 - half * WIDTH / HEIGHT, columns / 2 + half * WIDTH / HEIGHT)
    axes.axis("off")
    return figure


def main(target: Path = THUMBNAIL) -> None:
    """Fetch the CT if it is not here yet, and write the picture."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draw(demo_case()).savefig(target, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
