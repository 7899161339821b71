"""Comparison of the measurements with their targets, and the profile of a box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .slices import AUTHORS, OPENVINO

Table = dict[str, Any]
Row = tuple[str, str, str, str]


def targets(table: Table) -> list[Row]:
    """Rows of quantity, target, measured value (median and quartiles), and whether the target is met.

    Quantities that were not measured in this run are left out.
    """
    rows: list[Row] = []

    def add(
        what: str, limit: str, met: Callable[[float], bool], measured: Any, unit: str = "", scale: float = 1
    ) -> None:
        middle = measured["median"] if isinstance(measured, dict) else float(measured)
        text = f"{middle * scale:.3g}{unit}"
        if isinstance(measured, dict) and measured["runs"] > 1:
            text += f" ({measured['q25'] * scale:.3g} to {measured['q75'] * scale:.3g})"
        rows.append((what, limit, text, "yes" if met(middle) else "no"))

    boxes, slices, start = table.get("boxes", {}), table.get("slice", {}), table.get("start", {})
    # Int8 is timed where the processor has VNNI.
    most = 0.15 if "int8" in table else 0.25
    if "40" in boxes:
        forty = boxes["40"]
        add(
            "3D box of 40 slices, of the authors' time",
            f"<= {most}",
            lambda x: x <= most,
            forty["ours of the authors'"],
        )
        add("its object is 1/6 of a full-field CT wide", "<= 0.12", lambda x: x <= 0.12, forty["ours of the authors'"])
        add("second prompt, of the first's time", "<= 1/4", lambda x: x <= 1 / 4, forty["second of first"])
    if "thin" in table:
        ours = table["thin"]["ours of the authors'"]
        add("3D box of 40 slices 1.25 mm apart, of the authors' time", f"<= {most}", lambda x: x <= most, ours)
    if "int8" in table:
        ours = table["int8"]["ours of the authors'"]
        add("3D box of 40 slices in int8, of the authors' time", "<= 0.15", lambda x: x <= 0.15, ours)
        add("its object is 1/6 of a full-field CT wide", "<= 0.12", lambda x: x <= 0.12, ours)
    if "agreement" in table:
        found = table["agreement"]
        least = found["authors"]
        add("DSC of the demo's tumour", f">= {least:.3f}, the authors'", lambda x: x >= least, found["ours"])
    if "preview" in table:
        found = table["preview"]
        add(
            "preview, prompt to mask through the pipes (effect: bench_effect.py)",
            "<= 35 ms",
            lambda x: x <= 0.035,
            found["mouse to mask"],
            " ms",
            1000,
        )
        add("pipes, a preview", "<= 5 ms", lambda x: x <= 0.005, found["pipes alone"], " ms", 1000)
    if slices:
        share = slices[f"encode {OPENVINO}"]["share of peak"]
        add("encoder, share of the float32 peak", ">= 55 %", lambda x: x >= 0.55, share, " %", 100)
    if table.get("memory"):
        for runtime, found in table["memory"].items():
            most = found["above the volume"]
            add(f"peak memory above the volume, {runtime}", "<= 600 MB", lambda x: x <= 600, most, " MB")
    if "length" in table:
        found = table["length"]
        what = f"a slice in a box of {found['slices']}, of one in a box of 10"
        add(what, "0.90 to 1.10", lambda x: 0.9 <= x <= 1.1, found["long of short"])
    if "outside" in table:
        outside = table["outside"]["long of short"]
        add("the same box in 300 slices, of 30", "<= 1.10", lambda x: x <= 1.1, outside)
    for runtime in ("openvino", "torch"):
        name = f"ready with {runtime}, beyond importing torch"
        if name in start:
            add(f"model ready from a cold process, {runtime}", "<= 3 s", lambda x: x <= 3, start[name], " s")
    return rows


def as_text(rows: list[Row]) -> str:
    """Rows as a table with a heading."""
    lines: list[Row] = [("what", "target", "measured", "met"), *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(4)]
    texts = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "-+-".join("-" * width for width in widths), *texts[1:]])


def profile(table: Table) -> list[str]:
    """Times of encoder, decoder and the rest for each box, and the speed of the authors' encoder."""
    lines = []
    slices, boxes = table.get("slice", {}), table.get("boxes", {})
    for count, box in boxes.items():
        spent = box["profile"]
        whole = spent["encode"] + spent["decode"] + spent["rest"]
        parts = ", ".join(
            f"{name} {spent[name]:.2f} s ({spent[name] / whole:.0%})" for name in ("encode", "decode", "rest")
        )
        lines.append(
            f"{count} slices: {parts}; {spent['encoder calls']} encoder calls, {spent['decoder calls']} decoder calls"
        )
    if slices:
        authors = slices[f"encode {AUTHORS}"]
        lines.append(
            f"authors' encoder: {authors['GFLOP/s']:.0f} GFLOP/s, {authors['share of peak']['median']:.0%} of the peak"
        )
    return lines
