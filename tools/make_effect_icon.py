#!/usr/bin/env python3
"""Draws the effect's icon, for light and for dark windows: a lesion's contour inside the rectangle that marks it.

Run it after a change and commit what it writes under `MedSAMSlicer/Resources/Icons`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

ICONS = Path(__file__).resolve().parents[1] / "MedSAMSlicer" / "Resources" / "Icons"
SIZE = 42  # twice the size at which Slicer shows it
CONTOUR = "#1a9850"


def draw(rectangle: str, contour: str) -> Figure:
    figure = Figure(figsize=(1, 1), dpi=SIZE)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, SIZE)
    axes.set_ylim(SIZE, 0)
    axes.axis("off")
    t = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radius = 1 + 0.12 * np.sin(3 * t + 0.4) + 0.05 * np.sin(5 * t + 1.3)
    lesion = np.column_stack([21 + 11.5 * radius * np.cos(t), 21 + 10 * radius * np.sin(t)])
    axes.add_patch(Polygon(lesion, closed=True, facecolor=contour + "66", edgecolor=contour, linewidth=2.2))
    axes.add_patch(Rectangle((4.5, 6.5), 33, 29, facecolor="none", edgecolor=rectangle, linewidth=1.6))
    for x, y in ((4.5, 6.5), (37.5, 6.5), (4.5, 35.5), (37.5, 35.5)):
        axes.add_patch(Rectangle((x - 2.5, y - 2.5), 5, 5, facecolor=rectangle, edgecolor="none"))
    return figure


def main() -> None:
    ICONS.mkdir(parents=True, exist_ok=True)
    for name, rectangle, contour in (
        ("SegmentEditorEffect.png", "#333333", CONTOUR),
        ("SegmentEditorEffect-dark.png", "#e8e8e8", "#5fd38d"),
    ):
        draw(rectangle, contour).savefig(ICONS / name, dpi=SIZE, transparent=True, metadata={"Software": None})


if __name__ == "__main__":
    main()
