#!/usr/bin/env python3
"""Draws the project's icon: an axial CT slice with a contoured lesion inside its box.

Run it after a change and commit what it writes: `MedSAMSlicer.png` (extension) and
`MedSAMSlicer/Resources/Icons/MedSAMSlicer.png` (module), both 128x128 with transparent corners.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyBboxPatch, Polygon

ROOT = Path(__file__).resolve().parents[1]
SIZE = 128
BACKGROUND = "#10202f"
BODY, MUSCLE, LUNG, BONE, HEART = "#8b97a3", "#5f6c79", "#1b2936", "#e8ebee", "#a9b3bd"
LESION, CONTOUR, BOX = "#c3ccd4", "#3ddc84", "#ffd54a"


def blob(
    cx: float, cy: float, rx: float, ry: float, power: float, wobble: list[tuple[int, float, float]]
) -> np.ndarray:
    """(n, 2) points of a closed smooth outline: a superellipse whose radius varies by (frequency, share, phase)."""
    t = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    radius = 1 + sum(share * np.sin(frequency * t + phase) for frequency, share, phase in wobble)
    x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** (2 / power)
    y = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** (2 / power)
    return np.column_stack([cx + rx * radius * x, cy + ry * radius * y])


def draw() -> Figure:
    figure = Figure(figsize=(1, 1), dpi=SIZE)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, SIZE)
    axes.set_ylim(SIZE, 0)  # as in an image, rows run downwards
    axes.axis("off")

    def fill(points: np.ndarray, color: str) -> None:
        axes.add_patch(Polygon(points, closed=True, facecolor=color, edgecolor="none"))

    frame = FancyBboxPatch((2, 2), SIZE - 4, SIZE - 4, boxstyle="round,pad=0,rounding_size=22")
    frame.set(facecolor=BACKGROUND, edgecolor="none")
    axes.add_patch(frame)

    fill(blob(64, 66, 55, 42, 2.4, [(2, 0.015, 0.5)]), BODY)
    fill(blob(64, 66, 50, 37.5, 2.4, [(2, 0.015, 0.5)]), MUSCLE)
    fill(blob(38, 64, 20, 29, 2.2, [(2, 0.05, 2.2), (3, 0.04, 0.4)]), LUNG)
    fill(blob(91, 64, 19, 29, 2.2, [(2, 0.05, 1.0), (3, 0.04, 2.6)]), LUNG)
    fill(blob(68, 56, 15, 17, 2.0, [(2, 0.06, 0.8)]), HEART)
    fill(blob(64, 88, 9, 7, 2.2, []), BONE)
    fill(blob(64, 96.5, 3, 7, 2.0, []), BONE)
    for angle in (205, 232, 308, 335, 25, 155):
        x, y = 64 + 50 * np.cos(np.radians(angle)), 66 + 37 * np.sin(np.radians(angle))
        axes.add_patch(Ellipse((x, y), 12, 4, angle=float(angle) + 90, facecolor=BONE, edgecolor="none"))

    lesion = blob(37, 69, 11, 10, 2.0, [(3, 0.09, 0.3), (5, 0.05, 1.2)])
    fill(lesion, LESION)
    axes.add_patch(Polygon(lesion, closed=True, facecolor=CONTOUR + "55", edgecolor=CONTOUR, linewidth=2.0))
    axes.add_patch(
        FancyBboxPatch(
            (21, 54), 32, 30, boxstyle="round,pad=0,rounding_size=1", facecolor="none", edgecolor=BOX, linewidth=1.9
        )
    )
    return figure


def main() -> None:
    figure = draw()
    for path in (ROOT / "MedSAMSlicer.png", ROOT / "MedSAMSlicer" / "Resources" / "Icons" / "MedSAMSlicer.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=SIZE, transparent=True, metadata={"Software": None})


if __name__ == "__main__":
    main()
