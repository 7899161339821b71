"""Draws a preview of a result: slices with image, prompt, contour and, if known, the reference contour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.intensity import Window
from ..engine.masks import occupied_slices
from ..engine.prompts import Box, Points, SlicePrompt, StackPrompt
from ..engine.results import SliceResult
from ..engine.stack import ArrayStack, array_axis
from .display import Display, display_of
from .image import Image
from .output_files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 6
COLUMNS = 3
# Margin of anatomy around the object, for orientation.
SURROUNDINGS_MM = 25.0
SMALLEST_VIEW_MM = 90.0
RESULT, TRUTH, BOX, REVIEW, POINT = "#ffc000", "#35d0ff", "#ffffff", "#ff5a4d", "#7dff6a"


def write_preview(
    path: Path | str,
    image: Image,
    axis: str,
    window: Window,
    prompt: StackPrompt,
    results: list[SliceResult],
    truth: np.ndarray | None = None,
    title: str | None = None,
) -> None:
    """Write a PNG, whole or not at all.

    Args:
        window: intensity window through which the model saw the image.
        results: slices of the result along `axis`, lowest index first.
        truth: bool (k, j, i) reference mask, drawn as a second contour.
        title: heading; None: name of the image, plane and window.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truth_stack = None if truth is None else np.moveaxis(truth, array_axis(axis), 0)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
    display = display_of(image.ijk_to_lps, axis)
    view = _view(results, prompt, truth_stack, stack)
    by_index = {result.index: result for result in results}
    shown = _slices_to_show(results, prompt, truth_stack)

    figure = Figure(figsize=(4 * COLUMNS, 4.15 * -(-len(shown) // COLUMNS) + 0.9), dpi=110, facecolor="black")
    FigureCanvasAgg(figure)
    grid = figure.subplots(-(-len(shown) // COLUMNS), COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, index in zip(grid.flat, shown, strict=False):
        truth_slice = None if truth_stack is None else truth_stack[index]
        _draw(
            axes,
            window.apply(stack.slice_values(index)),
            by_index.get(index),
            truth_slice,
            prompt,
            index,
            view,
            display,
        )
    _write_key(figure, truth is not None, prompt)
    heading = title or f"{image.path.name}: {display.title}, {window.describe()}"
    figure.suptitle(heading, color="white", fontsize=14, y=0.985)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.06, top=0.9, wspace=0.03, hspace=0.12)
    write_atomically(path, lambda temporary: figure.savefig(temporary, facecolor="black", format="png"))


def _slices_to_show(results: list[SliceResult], prompt: StackPrompt, truth: np.ndarray | None) -> list[int]:
    """Indices evenly spaced over the extent of the object, its ends and the first key slice included."""
    held = [result.index for result in results if result.mask.any()] or [result.index for result in results]
    if truth is not None:
        held += occupied_slices(truth).tolist()
    chosen = {int(round(index)) for index in np.linspace(min(held), max(held), PANELS)}
    key = min(prompt.slices)
    if key not in chosen:
        inner = chosen - {min(chosen), max(chosen)} or chosen
        chosen.discard(min(inner, key=lambda index: abs(index - key)))
        chosen.add(key)
    return sorted(chosen)


def _view(results: list[SliceResult], prompt: StackPrompt, truth: np.ndarray | None, stack: ArrayStack) -> Box:
    """The part of every slice that is shown: object, prompts and surroundings, in slice pixels."""
    _slices, rows, columns = stack.shape
    held = np.zeros((rows, columns), bool)
    for result in results:
        held |= result.mask
    if truth is not None:
        held |= truth.any(axis=0)
    given = list(prompt.slices.values())
    clicked = [Box(x, y, x, y) for one in given if one.points for x, y in one.points.coordinates]
    boxes = [
        box for box in (Box.from_mask(held), *(one.box for one in given), *clicked, prompt.box3d) if box is not None
    ]
    _mm, row_mm, column_mm = stack.spacing
    x0, x1 = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    y0, y1 = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
    side = max((x1 - x0) * column_mm, (y1 - y0) * row_mm, SMALLEST_VIEW_MM - 2 * SURROUNDINGS_MM) + 2 * SURROUNDINGS_MM
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    view = Box(
        middle_x - side / column_mm / 2,
        middle_y - side / row_mm / 2,
        middle_x + side / column_mm / 2,
        middle_y + side / row_mm / 2,
    )
    return view.intersection(Box.of_slice(rows, columns)) or Box.of_slice(rows, columns)


def _draw(
    axes: Axes,
    grey: np.ndarray,
    result: SliceResult | None,
    truth: np.ndarray | None,
    prompt: StackPrompt,
    index: int,
    view: Box,
    display: Display,
) -> None:
    x0, y0, x1, y1 = (int(round(edge)) for edge in view.xyxy)
    cut = (slice(y0, y1 + 1), slice(x0, x1 + 1))
    row_mm, column_mm = display.pixel_mm
    shown = display.turn(grey[cut])
    # Colour images have a third dimension, for which the colour map does not count.
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, aspect=row_mm / column_mm, interpolation="bilinear")
    if truth is not None:
        _outline(axes, display.turn(truth[cut]), TRUTH, "--", 1.4)
    if result is not None:
        _outline(axes, display.turn(result.mask[cut]), RESULT, "-", 1.8)
    here = prompt.slices.get(index)
    box = here.box if here is not None and here.box is not None else prompt.box3d
    if box is not None and (prompt.slice_range is None or prompt.slice_range[0] <= index <= prompt.slice_range[1]):
        frame = np.zeros(grey.shape[:2], bool)
        frame[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
        _outline(axes, display.turn(frame[cut]), BOX, "-" if here is not None and here.box == box else ":", 1.1)
    if here is not None and here.points is not None:
        _draw_points(axes, here.points, grey.shape[:2], cut, display)
    _write_texts(axes, index, result, here, display)
    axes.set_xlim(-0.5, shown.shape[1] - 0.5)
    axes.set_ylim(shown.shape[0] - 0.5, -0.5)


def _outline(axes: Axes, mask: np.ndarray, colour: str, style: str, width: float) -> None:
    """Draw the outline of the mask along pixel edges, exactly as it is written."""
    if not mask.any():
        return
    padded = np.pad(mask, 1)
    down = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    across = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    segments = [((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)) for y, x in down]
    segments += [((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)) for y, x in across]
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(segments, colors=colour, linestyles=style, linewidths=width))


def _draw_points(
    axes: Axes, points: Points, shape: tuple[int, ...], cut: tuple[slice, slice], display: Display
) -> None:
    """Draw a plus at points in the object and a minus at points outside."""
    for (x, y), positive in zip(points.coordinates, points.positive, strict=True):
        spot = np.zeros(shape, bool)
        spot[min(max(round(y), 0), shape[0] - 1), min(max(round(x), 0), shape[1] - 1)] = True
        ((row, column),) = np.argwhere(display.turn(spot[cut]))
        axes.plot(column, row, "+" if positive else "_", color=POINT, markersize=11, markeredgewidth=2.2)


def _write_texts(
    axes: Axes, index: int, result: SliceResult | None, given: SlicePrompt | None, display: Display
) -> None:
    from matplotlib.patheffects import withStroke

    def write(x: float, y: float, text: str, colour: str = "white", **options: Any) -> None:
        # A dark outline keeps text readable on bright tissue.
        rim = [withStroke(linewidth=2.5, foreground="black")]
        axes.text(x, y, text, color=colour, transform=axes.transAxes, fontsize=10, path_effects=rim, **options)

    left, right, top, bottom = display.letters
    write(0.01, 0.5, left, va="center")
    write(0.99, 0.5, right, va="center", ha="right")
    write(0.5, 0.99, top, va="top", ha="center")
    write(0.5, 0.01, bottom, va="bottom", ha="center")
    kinds = (
        ""
        if given is None
        else " and ".join(kind for kind in ("box", "points", "mask", "key mask") if kind in given.kinds)
    )
    write(0.02, 1.02, f"slice {index}" + (f", {kinds} given" if kinds else ""), va="bottom")
    if result is None or not result.mask.any():
        write(
            0.98,
            1.02,
            "no result here",
            REVIEW if result is not None and result.needs_review else "white",
            ha="right",
            va="bottom",
        )
    elif result.needs_review:
        write(0.98, 1.02, f"review (confidence {result.confidence:.2f})", REVIEW, ha="right", va="bottom")
    else:
        write(0.98, 1.02, f"confidence {result.confidence:.2f}", ha="right", va="bottom")


def _write_key(figure: object, truth: bool, prompt: StackPrompt) -> None:
    """Write a legend along the lower edge, each entry in its own colour."""
    entries = [("result: orange line", RESULT)]
    if truth:
        entries.append(("reference contour: blue line", TRUTH))
    kinds = prompt.kinds
    if "box" in kinds or prompt.box3d:
        entries.append(("box: white line" + (", dotted where it only limits" if prompt.box3d else ""), BOX))
    if "points" in kinds:
        entries.append(("points: + inside, - outside", POINT))
    for n, (text, colour) in enumerate(entries):
        figure.text((n + 0.5) / len(entries), 0.015, text, color=colour, fontsize=12, ha="center")  # type: ignore[attr-defined]
