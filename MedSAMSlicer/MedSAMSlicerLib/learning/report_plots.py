"""Plots of the report: agreement before and after, and the course of the training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.plots import new_figure
from .course import Course
from .judgement import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEFORE, _AFTER = "tab:gray", "tab:blue"


def agreement_plot(comparisons: Sequence[Comparison]) -> bytes:
    """PNG: DSC and NSD of each case before and after, by structure and modality, a row for each kind of prompt."""
    figure = new_figure(2, len(comparisons))
    rows = figure.subplots(len(comparisons), 2, squeeze=False)
    for comparison, axes in zip(comparisons, rows, strict=True):
        for one, (attribute, label) in zip(axes, (("dsc", "DSC"), ("nsd_2mm", "NSD at 2 mm")), strict=True):
            _draw_pairs(one, comparison, attribute)
            one.set(ylabel=label, title=comparison.prompt, ylim=(0, 1.02))
            one.grid(axis="y", alpha=0.3)
    return _png(figure)


def _draw_pairs(axes: Axes, comparison: Comparison, attribute: str) -> None:
    names = []
    for place, ((structure, modality), group) in enumerate(comparison.groups.items()):
        pairs = [
            [getattr(score.agreement, attribute) for score in pair]
            for pair in zip(group.before, group.after, strict=True)
        ]
        shifts = np.linspace(-0.05, 0.05, len(pairs)) if len(pairs) > 1 else np.zeros(1)
        for shift, pair in zip(shifts, pairs, strict=True):
            x = (place - 0.2 + shift, place + 0.2 + shift)
            axes.plot(x, pair, "-", color="lightgray", zorder=1)
            for side, value, colour in zip(x, pair, (_BEFORE, _AFTER), strict=True):
                axes.plot([side], [value], "o", color=colour, alpha=0.8, zorder=2)
        for side, means, colour in zip((-0.2, 0.2), zip(*pairs, strict=True), (_BEFORE, _AFTER), strict=True):
            axes.hlines(np.mean(means), place + side - 0.12, place + side + 0.12, color=colour, linewidth=3)
        names.append(f"{structure} {modality} ({len(pairs)})\nbefore   after")
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)


def course_plot(course: Course) -> bytes:
    """PNG: loss, and Dice coefficient of watched patients, by step."""
    figure = new_figure(2)
    loss, watched = figure.subplots(1, 2)
    loss.plot(*zip(*course.loss, strict=True) if course.loss else ([], []), "o-", color=_AFTER)
    loss.set(xlabel="step", ylabel="loss on taught patients")
    watched.set(xlabel="step", ylabel="Dice coefficient on watched patients")
    if course.watched:
        watched.plot(*zip(*course.watched, strict=True), "o-", color=_AFTER)
        watched.axvline(course.best_step, color="black", linestyle=":", label=f"kept: step {course.best_step}")
        watched.legend(loc="lower right")
    for axes in (loss, watched):
        axes.grid(alpha=0.3)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
