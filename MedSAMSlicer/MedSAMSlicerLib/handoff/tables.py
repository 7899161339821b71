"""Tables and JSON of measurements and comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .measure import PERCENTILES, Measurements
from .recist import Response

if TYPE_CHECKING:
    # Needs surface-distance, which Slicer lacks.
    from .compare import Comparison

MEASURE_COLUMNS = [
    "segment",
    "volume_ml",
    "surface_mm2",
    "parts",
    "longest_mm",
    "perpendicular_mm",
    "axis",
    "slice",
    "slice_mm",
    "unit",
    "mean",
    "sd",
    "min",
    "max",
    *(f"p{percent}" for percent in PERCENTILES),
    "notes",
]
COMPARE_COLUMNS = [
    "segment",
    "dsc",
    "nsd_2mm",
    "hd95_mm",
    "volume_ml_1",
    "volume_ml_2",
    "volume_change_pct",
    "diameter_mm_1",
    "diameter_mm_2",
    "diameter_change_pct",
    "response",
    "notes",
]
TARGETS = "all targets"
"""Name of the row with the sums of diameters."""


def measurement_json(measured: Measurements) -> dict[str, Any]:
    """Measurements of one segment as JSON values; numbers are not rounded."""
    values = measured.values
    entry: dict[str, Any] = {
        "segment": measured.name,
        "volume_ml": measured.volume_ml,
        "surface_mm2": measured.surface_mm2,
        "parts": measured.parts,
        "longest_mm": measured.longest_mm,
        "perpendicular_mm": measured.perpendicular_mm,
        "axis": measured.axis,
        "slice": measured.slice,
        "slice_mm": measured.slice_mm,
        "notes": list(measured.notes),
    }
    if values is not None:
        entry |= {
            "unit": values.unit,
            "mean": values.mean,
            "sd": values.sd,
            "min": values.minimum,
            "max": values.maximum,
            **{f"p{percent}": value for percent, value in values.percentiles.items()},
        }
    return entry


def measurement_row(measured: Measurements) -> dict[str, str]:
    """Measurements of one segment as a row of a table: `MEASURE_COLUMNS` -> text."""
    return _row(measurement_json(measured))


def comparison_json(compared: Comparison) -> dict[str, Any]:
    """Comparison of one segment as JSON values; what was not computed is None."""
    first, second = compared.first, compared.second
    gone = 0.0 if compared.gone else None
    return {
        "segment": compared.name,
        "dsc": compared.dsc,
        "nsd_2mm": compared.nsd,
        "hd95_mm": compared.hd95_mm,
        "volume_ml_1": first and first.volume_ml,
        "volume_ml_2": second.volume_ml if second else gone,
        "volume_change_pct": _number(compared.volume_change_pct),
        "diameter_mm_1": first and first.recist_mm,
        "diameter_mm_2": second.recist_mm if second else gone,
        "diameter_change_pct": _number(compared.diameter_change_pct),
        "notes": list(compared.notes),
    }


def response_json(found: Response) -> dict[str, Any]:
    """Response of all targets as JSON values."""
    return {
        "segment": TARGETS,
        "diameter_mm_1": found.baseline_mm,
        "diameter_mm_2": found.sum_mm,
        "diameter_change_pct": found.change_pct,
        "response": found.category,
        "smallest_sum_mm": found.reference_mm,
        "notes": list(found.notes),
    }


def comparison_rows(compared: Sequence[Comparison], found: Response | None) -> list[dict[str, str]]:
    """Rows of a table, `COMPARE_COLUMNS` -> text: one for each segment, and one for all targets."""
    rows = [_row(comparison_json(one)) for one in compared]
    if found is not None:
        total = response_json(found)
        del total["smallest_sum_mm"]
        rows.append(_row(total))
    return rows


def text_table(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    """A table for a terminal: one line for each column, one column for each row, without what is empty everywhere."""
    lines = []
    for column in columns:
        cells = [row.get(column, "") for row in rows]
        if any(cells):
            lines.append((column, cells))
    widths = [max(len(cells[n]) for _, cells in lines) for n in range(len(rows))]
    name_width = max(len(column) for column, _ in lines)
    return "\n".join(
        "  ".join([f"{column:<{name_width}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))])
        for column, cells in lines
    )


def _row(entry: dict[str, Any]) -> dict[str, str]:
    return {key: _text(value) for key, value in entry.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(value: float) -> float | None:
    """A JSON number; None for NaN and infinity, which JSON cannot represent."""
    return value if math.isfinite(value) else None
