"""Plots of the measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .slices import SIDES

STYLES = {"authors": "s--", "ours": "o-", "second prompt": "^-"}


def draw(table: dict[str, Any], path: Path) -> None:
    """Plot times of a slice with each runtime, shares of the peak, times of boxes, and times per slice in boxes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), dpi=100)
    FigureCanvasAgg(figure)
    (runtimes, peak), (boxes, growth) = figure.subplots(2, 2)
    steps = [name for name in table["slice"] if name.startswith(("encode ", "decode "))]
    colours = ["#35689b" if name.startswith("encode") else "#d08a2e" for name in steps]
    _bars(runtimes, steps, [table["slice"][name] for name in steps], colours)
    runtimes.set_xlabel("seconds per slice (median, quartiles)")
    encoders = [name for name in steps if name.startswith("encode")]
    _bars(peak, encoders, [table["slice"][name]["share of peak"] for name in encoders], colours[: len(encoders)])
    peak.set_xlabel("GFLOP/s relative to a matrix product")
    peak.set_xlim(left=0)

    counts = sorted(int(count) for count in table["boxes"])
    found = [table["boxes"][str(count)] for count in counts]
    for name, style in STYLES.items():
        boxes.plot(counts, [one[name]["median"] for one in found], style, label=name)
        growth.plot(
            counts, [one[name]["median"] / count for one, count in zip(found, counts, strict=True)], style, label=name
        )
    boxes.set_ylabel("seconds")
    growth.set_ylabel("seconds per slice")
    whole = " ".join(f"{side}$^2$: {table['in plane'][f'{side}: whole slice']['median']:.2f} s" for side in SIDES)
    growth.set_title(f"one slice by size: {whole}", fontsize=9)
    for axes in (boxes, growth):
        axes.set_xlabel("slices in the box")
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def _bars(axes: Any, names: list[str], found: list[dict[str, float]], colours: list[str]) -> None:
    middle = [one["median"] for one in found]
    error = [[one["median"] - one["q25"] for one in found], [one["q75"] - one["median"] for one in found]]
    axes.barh(names, middle, xerr=error, color=colours)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
