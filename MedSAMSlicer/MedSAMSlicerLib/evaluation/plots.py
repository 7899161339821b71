"""Plots of an evaluation: agreement per modality, and confidence as a detector of poor slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .evaluate_case import CaseScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Slices with a lower Dice coefficient have to be redrawn.
POOR_SLICE_DSC = 0.7


PLOTS = ("agreement.png", "confidence.png")


def plot_writers(scores: Sequence[CaseScore]) -> dict[str, Callable[[Path], object]]:
    """Functions that draw the plots: file name, one of `PLOTS` -> function that writes it to a path as PNG."""
    figures = (_agreement_figure(scores), _confidence_figure(scores))
    return {name: partial(figure.savefig, format="png", dpi=110) for name, figure in zip(PLOTS, figures, strict=True)}


def poor_slice_auc(scores: Sequence[CaseScore]) -> float | None:
    """Area under the ROC curve of confidence as a detector of slices with a DSC below `POOR_SLICE_DSC`.

    Slices that are empty in both truth and segmentation are left out.

    Returns:
        The area, 0..1; None if there are no poor or no good slices.
    """
    from scipy.stats import mannwhitneyu

    _dsc, confidence, poor = _slice_arrays(scores)
    if not poor.any() or poor.all():
        return None
    statistic = mannwhitneyu(confidence[~poor], confidence[poor]).statistic
    return float(statistic / (poor.sum() * (~poor).sum()))


def _slice_arrays(scores: Sequence[CaseScore]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DSC, confidence and whether it is poor, of all slices that are not empty in both truth and segmentation."""
    slices = [one for score in scores for one in score.slices if one.in_truth or one.dsc < 1]
    dsc = np.array([one.dsc for one in slices])
    return dsc, np.array([one.confidence for one in slices]), dsc < POOR_SLICE_DSC


def new_figure(columns: int, rows: int = 1) -> Figure:
    """A figure with room for so many plots, drawn without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * columns, 4.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _agreement_figure(scores: Sequence[CaseScore]) -> Figure:
    figure = new_figure(3)
    modalities = sorted({score.case.modality for score in scores})
    panels = (("dsc", "DSC"), ("nsd_2mm", "NSD at 2 mm"), ("hd95_mm", "HD95 (mm)"))
    for axes, (attribute, label) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        values = [
            [getattr(score.agreement, attribute) for score in scores if score.case.modality == name]
            for name in modalities
        ]
        groups = [[value for value in group if np.isfinite(value)] for group in values]
        axes.boxplot(groups, showfliers=False, medianprops={"color": "black"})
        for position, group in enumerate(groups, start=1):
            # Spread sideways by rank: equal values stay visible, and the plot is reproducible.
            offsets = np.linspace(-0.15, 0.15, len(group)) if len(group) > 1 else np.zeros(len(group))
            axes.plot(np.add(position, offsets), group, "o", color="tab:blue", alpha=0.7, markersize=5)
        names = [f"{name} ({len(group)})" for name, group in zip(modalities, values, strict=True)]
        lost = [len(all_of) - len(shown) for all_of, shown in zip(values, groups, strict=True)]
        # The distance of an empty result is infinite: it cannot be drawn, so the label counts it.
        told = [f"{name}\n{n} infinite" if n else name for name, n in zip(names, lost, strict=True)]
        axes.set_xticks(range(1, len(modalities) + 1), told)
        axes.set_ylabel(label)
        if attribute != "hd95_mm":
            axes.set_ylim(0, 1.02)
        axes.grid(axis="y", alpha=0.3)
    return figure


def _confidence_figure(scores: Sequence[CaseScore]) -> Figure:
    figure = new_figure(2)
    scatter, calibration = figure.subplots(1, 2)
    dsc, confidence, poor = _slice_arrays(scores)
    review = np.array(
        [one.needs_review for score in scores for one in score.slices if one.in_truth or one.dsc < 1], bool
    )
    scatter.plot(confidence[~review], dsc[~review], "o", color="tab:blue", alpha=0.4, label="no review needed")
    scatter.plot(confidence[review], dsc[review], "o", color="tab:red", alpha=0.4, label="needs review")
    scatter.axhline(POOR_SLICE_DSC, color="black", linestyle=":", linewidth=1)
    scatter.set(xlabel="confidence", ylabel="DSC of the slice", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    auc = poor_slice_auc(scores)
    scatter.set_title("one dot a slice" + ("" if auc is None else f"; finds DSC < {POOR_SLICE_DSC} with AUC {auc:.2f}"))
    scatter.legend(loc="lower right")

    edges = np.linspace(0, 1, 6)
    centres, medians, lows, highs = [], [], [], []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        chosen = dsc[(confidence >= low) & ((confidence < high) | (high == 1))]
        if chosen.size:
            centres.append((low + high) / 2)
            quartiles = np.percentile(chosen, (25, 50, 75))
            lows.append(quartiles[1] - quartiles[0])
            medians.append(quartiles[1])
            highs.append(quartiles[2] - quartiles[1])
    calibration.errorbar(centres, medians, yerr=[lows, highs], fmt="o-", capsize=4)
    calibration.set(xlabel="confidence", ylabel="DSC: median and quartiles", xlim=(0, 1), ylim=(0, 1.02))
    missed = f"{int((poor & ~review).sum())} of {int(poor.sum())} poor ones do not"
    calibration.set_title(f"{int(review.sum())} of {len(dsc)} slices need review, {missed}")
    for axes in (scatter, calibration):
        axes.grid(alpha=0.3)
    return figure
