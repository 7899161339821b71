"""The JSON report of a run: input, model, prompts, timings, and the result on each slice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..engine.intensity import Window
from ..engine.model_choice import RunInfo
from ..engine.prompts import SlicePrompt, StackPrompt
from ..engine.results import SliceResult
from .image import Image
from .output_files import write_atomically

if TYPE_CHECKING:
    from ..engine.propagation.prompt_jitter import JitterAgreement


def build_report(
    *,
    image: Image,
    axis: str,
    prompt: StackPrompt,
    window: Window,
    info: RunInfo,
    results: list[SliceResult],
    consensus: Mapping[int, JitterAgreement] | None = None,
    volume_ml: float,
    total_seconds: float,
) -> dict[str, Any]:
    """Build the report as JSON values.

    Slices are counted along `axis`, areas are in mm2; boxes (x0, y0, x1, y1) and points (x, y) are in slice pixels.

    Args:
        results: slices, lowest index first.
        consensus: slice index -> agreement of jittered rectangles, if requested.
        volume_ml: volume of the result in millilitres.
        total_seconds: wall time of the whole run, which includes the seconds in `info`.

    Raises:
        ValueError: no model was loaded in the run that `info` describes.
    """
    if info.loaded is None:
        raise ValueError("a report needs a run that has loaded its model")
    in_plane = [mm for name, mm in zip("IJK", image.spacing_ijk, strict=True) if name != axis]
    pixel_mm2 = float(np.prod(in_plane))
    return {
        "version": __version__,
        "image": str(image.path),
        "model": info.loaded.model,
        "weights_sha256": info.loaded.weights_sha256,
        "adapter_sha256": info.loaded.adapter_sha256 or None,
        "device": info.loaded.device,
        "runtime": info.loaded.runtime,
        "window": {"name": window.name, "lower": window.lower, "upper": window.upper},
        "axis": axis,
        "prompts": {
            "keys": [_key(index, given) for index, given in prompt.slices.items()],
            "reach": list(prompt.slice_range) if prompt.slice_range else None,
            "bounds": list(prompt.box3d.xyxy) if prompt.box3d else None,
        },
        "volume_ml": float(volume_ml),
        "seconds": {
            "load": info.timings.load,
            "first_result": info.timings.first_result,
            "encode": info.timings.encode,
            "decode": info.timings.decode,
            "total": total_seconds,
        },
        "encoder_calls": info.timings.encoder_calls,
        "decoder_calls": info.timings.decoder_calls,
        "notes": list(info.notes),
        "slices": [
            {
                "index": result.index,
                "area_mm2": int(result.mask.sum()) * pixel_mm2,
                "predicted_iou": _number(result.predicted_iou),
                "confidence": _number(result.confidence),
                "flagged": bool(result.needs_review),
                "interpolated": bool(result.interpolated),
                **_consensus_of((consensus or {}).get(result.index), pixel_mm2),
            }
            for result in results
        ],
    }


def _key(index: int, given: SlicePrompt) -> dict[str, Any]:
    entry: dict[str, Any] = {"slice": index}
    if given.box is not None:
        entry["box"] = list(given.box.xyxy)
    if given.points is not None:
        signed = zip(given.points.coordinates, given.points.positive, strict=True)
        entry["points"] = [{"x": x, "y": y, "positive": positive} for (x, y), positive in signed]
    if given.mask is not None and given.mask.mask is not None:
        entry["mask_pixels"] = int(given.mask.mask.sum())
    if given.key_mask is not None:
        entry["key_mask_pixels"] = int(given.key_mask.mask.sum())
    return entry


def _consensus_of(found: JitterAgreement | None, pixel_mm2: float) -> dict[str, float]:
    if found is None:
        return {}
    return {"consensus": found.agreement, "disputed_mm2": int(found.disputed.sum()) * pixel_mm2}


def _number(value: float) -> float | None:
    """A JSON number; None for NaN and infinity, which JSON cannot represent."""
    return float(value) if math.isfinite(value) else None


def write_report(path: Path | str, report: dict[str, Any]) -> None:
    """Write the report, whole or not at all. Raises InputError if it cannot be written."""
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
