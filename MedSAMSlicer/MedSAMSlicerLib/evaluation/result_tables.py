"""Tables of an evaluation: one row per case, one row per slice, and a summary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .evaluate_case import CaseScore, Task

RESULT_COLUMNS = [
    "id",
    "modality",
    "prompt",
    "method",
    "model",
    "dsc",
    "nsd_2mm",
    "hd95_mm",
    "volume_error_pct",
    "slices",
    "seconds",
    "seconds_per_slice",
    "flagged_slices",
]
SLICE_COLUMNS = ["id", "modality", "index", "dsc", "predicted_iou", "confidence", "flagged", "key", "in_truth"]


def result_row(score: CaseScore, task: Task) -> dict[str, str]:
    """Row of the results table, `RESULT_COLUMNS` -> text."""
    count = len(score.slices)
    return {
        "id": score.case.id,
        "modality": score.case.modality,
        "prompt": str(task.kind),
        "method": task.method,
        "model": score.model,
        "dsc": f"{score.agreement.dsc:.6f}",
        "nsd_2mm": f"{score.agreement.nsd_2mm:.6f}",
        "hd95_mm": f"{score.agreement.hd95_mm:.4f}",
        "volume_error_pct": f"{score.agreement.volume_error_pct:.4f}",
        "slices": str(count),
        "seconds": f"{score.seconds:.2f}",
        "seconds_per_slice": f"{score.seconds / max(count, 1):.3f}",
        "flagged_slices": str(sum(one.needs_review for one in score.slices)),
    }


def slice_rows(score: CaseScore) -> list[dict[str, str]]:
    """Rows of the slice table for one case, `SLICE_COLUMNS` -> text."""
    return [
        {
            "id": score.case.id,
            "modality": score.case.modality,
            "index": str(one.index),
            "dsc": f"{one.dsc:.6f}",
            "predicted_iou": f"{one.predicted_iou:.6f}",
            "confidence": f"{one.confidence:.6f}",
            "flagged": str(int(one.needs_review)),
            "key": str(int(one.key)),
            "in_truth": str(int(one.in_truth)),
        }
        for one in score.slices
    ]


def summary(scores: Sequence[CaseScore]) -> str:
    """Summary for the terminal: median, quartiles and mean per modality and over all cases, and the cost per slice."""
    lines = [f"{'modality':<10}{'cases':>6}  {'DSC':<30}{'NSD 2 mm':<30}{'HD95 mm':<32}{'volume error %'}"]
    modalities = sorted({score.case.modality for score in scores})
    groups = [(name, [score for score in scores if score.case.modality == name]) for name in modalities]
    for name, group in [*groups, ("all", list(scores))]:
        cells = []
        for attribute in ("dsc", "nsd_2mm", "hd95_mm", "volume_error_pct"):
            cells.append(_spread([getattr(score.agreement, attribute) for score in group]))
        lines.append(f"{name:<10}{len(group):>6}  {cells[0]:<30}{cells[1]:<30}{cells[2]:<32}{cells[3]}")
    lines.append("median [25th percentile, 75th percentile], mean")
    slices = max(1, sum(len(score.slices) for score in scores))
    encoded, decoded = (
        sum(getattr(score.timings, name) for score in scores) / slices for name in ("encoder_calls", "decoder_calls")
    )
    lines.append(f"{slices} slices, of each on average {encoded:.2f} encoder calls and {decoded:.2f} decoder calls")
    missed = sum(score.not_reached for score in scores)
    if missed:
        told = "slice that holds the object was" if missed == 1 else "slices that hold the object were"
        lines.append(
            f"{missed} {told} not reached: {'it is' if missed == 1 else 'they are'} in no figure of confidence"
        )
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    # "lower": interpolation between a number and infinity, the distance of an empty result, is not defined.
    low, middle, high = (float(np.percentile(values, q, method="lower")) for q in (25, 50, 75))
    if np.isfinite(values).all():
        low, middle, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return f"{middle:.3f} [{low:.3f}, {high:.3f}], {np.mean(values):.3f}"
