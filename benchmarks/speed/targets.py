"""What was aimed at beside what was measured, and where the time of a whole box goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .cases import DECODER_GFLOP, ENCODER_GFLOP
from .slices import AUTHORS, BFLOAT16, OPENVINO

Table = dict[str, Any]
Row = tuple[str, str, str, str]


def targets(table: Table) -> list[Row]:
    """Rows of what, target, measured (median, quartiles where there are some), and whether it was met.

    What was not measured in this run is left out.
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
    if "40" in boxes:
        forty = boxes["40"]
        add("3D box of 40 slices, of the authors' time", "<= 1/6", lambda x: x <= 1 / 6, forty["ours of the authors'"])
        add("second prompt, of the first's time", "<= 1/4", lambda x: x <= 1 / 4, forty["second of first"])
    if "thin" in table:
        ours = table["thin"]["ours of the authors'"]
        add("3D box of 40 slices 1.25 mm apart, of the authors' time", "<= 1/6", lambda x: x <= 1 / 6, ours)
    if "agreement" in table:
        found = table["agreement"]
        least = found["authors"]
        add("DSC of the demo's tumour", f">= {least:.3f}, the authors'", lambda x: x >= least, found["ours"])
    if "preview" in table:
        found = table["preview"]
        add(
            "preview, prompt to mask through the pipes (effect: bench_effect.py)",
            "<= 60 ms",
            lambda x: x <= 0.06,
            found["mouse to mask"],
            " ms",
            1000,
        )
        add("pipes, a preview", "<= 5 ms", lambda x: x <= 0.005, found["pipes alone"], " ms", 1000)
    if slices:
        share = slices[f"encode {OPENVINO}"]["share of peak"]
        add("encoder, share of the float32 peak", ">= 55 %", lambda x: x >= 0.55, share, " %", 100)
        if BFLOAT16 in " ".join(slices):
            faster = slices["bfloat16 times as fast"]
            add("bfloat16 encoder, times float32 (not used: DSC)", ">= 2", lambda x: x >= 2, faster)
    if table.get("memory"):
        for runtime, found in table["memory"].items():
            most = found["above the volume"]
            add(f"peak memory above the volume, {runtime}", "<= 900 MB", lambda x: x <= 900, most, " MB")
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
    """The rows in columns, under a heading."""
    lines: list[Row] = [("what", "target", "measured", "met"), *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(4)]
    texts = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "-+-".join("-" * width for width in widths), *texts[1:]])


def profile(table: Table) -> list[str]:
    """Where the time of a box goes, and how fast this processor could be at all."""
    lines = []
    slices, boxes = table.get("slice", {}), table.get("boxes", {})
    for count, box in boxes.items():
        spent = box["profile"]
        whole = spent["encode"] + spent["decode"] + spent["rest"]
        parts = ", ".join(
            f"{name} {spent[name]:.2f} s ({spent[name] / whole:.0%})" for name in ("encode", "decode", "rest")
        )
        lines.append(f"{count} slices: {parts}; {spent['encoder calls']} encodings, {spent['decoder calls']} answers")
        if slices:
            gflop = ENCODER_GFLOP * spent["encoder calls"] + DECODER_GFLOP * spent["decoder calls"]
            least = gflop / slices["matrix product float32"]["GFLOP/s"]
            share = least / box["authors"]["median"]
            lines.append(
                f"  at the float32 peak: {least:.1f} s, {share:.2f} of the authors' {box['authors']['median']:.1f} s"
            )
    if slices:
        authors = slices[f"encode {AUTHORS}"]
        lines.append(
            f"authors' encoder: {authors['GFLOP/s']:.0f} GFLOP/s, {authors['share of peak']['median']:.0%} of the peak"
        )
    return lines
