"""The report of a run: areas, volume and prompts in the units that it promises, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib import __version__
from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.model_choice import LoadedModel, RunInfo, Timings
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.report import build_report, write_report


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Voxels of 0.5 x 2 x 5 mm along I, J, K."""
    return Image(np.zeros((4, 5, 6), np.int16), (0.5, 2.0, 5.0), (0, 0, 0), np.eye(3), "CT", tmp_path / "ct.nrrd")


@pytest.fixture
def info() -> RunInfo:
    loaded = LoadedModel(model="litemedsam", weights_sha256="ab" * 32, device="cpu", runtime="torch")
    timings = Timings(load=1.0, encode=2.0, decode=0.5, encoder_calls=2, decoder_calls=3, first_result=1.5)
    return RunInfo(loaded=loaded, timings=timings, notes=["the prompt was clipped"])


def result(index: int, pixels: int, rows: int = 5, columns: int = 6) -> SliceResult:
    mask = np.zeros(rows * columns, bool)
    mask[:pixels] = True
    return SliceResult(
        index=index,
        mask=mask.reshape(rows, columns),
        box=Box(0, 0, 1, 1),
        predicted_iou=1.02,
        confidence=0.25 * index,
        needs_review=index < 2,
        key=index == 2,
    )


def report_of(image: Image, info: RunInfo, axis: str = "K", **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "prompt": StackPrompt.from_box3d(1, 3, Box(0, 1, 4, 3)),
        "window": Window(-1350, 150, "lung"),
        "results": [result(1, 7), result(2, 0)],
        "volume_ml": 0.035,
        "total_seconds": 4.0,
    }
    return build_report(image=image, axis=axis, info=info, **{**given, **changed})


def test_everything_that_is_needed_to_do_it_again(image: Image, info: RunInfo) -> None:
    report = report_of(image, info)
    assert report["version"] == __version__
    assert report["image"] == str(image.path)
    assert [report[key] for key in ("model", "weights_sha256", "device", "runtime", "axis")] == [
        "litemedsam",
        "ab" * 32,
        "cpu",
        "torch",
        "K",
    ]
    assert report["window"] == {"name": "lung", "lower": -1350, "upper": 150}
    assert report["prompts"] == {"keys": [{"slice": 2, "box": [0, 1, 4, 3]}], "reach": [1, 3], "bounds": [0, 1, 4, 3]}
    assert report["seconds"] == {"load": 1.0, "first_result": 1.5, "encode": 2.0, "decode": 0.5, "total": 4.0}
    assert (report["encoder_calls"], report["decoder_calls"]) == (2, 3)
    assert report["notes"] == ["the prompt was clipped"]
    assert report["volume_ml"] == 0.035


def test_each_slice_with_its_area_in_square_millimetres(image: Image, info: RunInfo) -> None:
    assert report_of(image, info)["slices"] == [
        {
            "index": 1,
            "area_mm2": 7.0,
            "predicted_iou": 1.02,
            "confidence": 0.25,
            "flagged": True,
            "interpolated": False,
        },
        {
            "index": 2,
            "area_mm2": 0.0,
            "predicted_iou": 1.02,
            "confidence": 0.5,
            "flagged": False,
            "interpolated": False,
        },
    ]


@pytest.mark.parametrize(("axis", "pixel_mm2"), [("I", 2.0 * 5.0), ("J", 0.5 * 5.0), ("K", 0.5 * 2.0)])
def test_a_pixel_is_as_large_as_the_two_other_axes_make_it(
    image: Image, info: RunInfo, axis: str, pixel_mm2: float
) -> None:
    slices = report_of(image, info, axis, results=[result(1, 3, 4, 5)])["slices"]
    assert slices[0]["area_mm2"] == 3 * pixel_mm2


def test_an_open_reach_and_several_key_slices(image: Image, info: RunInfo) -> None:
    prompt = StackPrompt({3: Box(1, 1, 2, 2), 0: Box(0, 0, 5, 4)})
    assert report_of(image, info, prompt=prompt)["prompts"] == {
        "keys": [{"slice": 0, "box": [0, 0, 5, 4]}, {"slice": 3, "box": [1, 1, 2, 2]}],
        "reach": None,
        "bounds": None,
    }


def test_a_run_that_has_loaded_nothing_has_no_report(image: Image) -> None:
    with pytest.raises(ValueError, match="loaded"):
        report_of(image, RunInfo())


def test_what_is_written_is_what_was_built(image: Image, info: RunInfo, tmp_path: Path) -> None:
    """numpy numbers, as an engine may return them, included."""
    odd = SliceResult(1, np.ones((5, 6), bool), None, np.float32(0.5), np.float64(0.5), np.bool_(True))  # type: ignore[arg-type]
    report = report_of(image, info, results=[odd], volume_ml=np.float64(0.15))
    write_report(tmp_path / "report.json", report)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written == report
    assert written["slices"][0] == {
        "index": 1,
        "area_mm2": 30,
        "predicted_iou": 0.5,
        "confidence": 0.5,
        "flagged": True,
        "interpolated": False,
    }


def test_an_opinion_that_is_not_a_number_is_left_out(image: Image, info: RunInfo, tmp_path: Path) -> None:
    """JSON has no NaN; a finished result must not be lost for it."""
    odd = SliceResult(1, np.ones((5, 6), bool), None, math.nan, 0.0, True)
    write_report(tmp_path / "report.json", report_of(image, info, results=[odd]))
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["slices"][0]["predicted_iou"] is None


def test_a_report_that_cannot_be_written(image: Image, info: RunInfo, tmp_path: Path, refused: Callable) -> None:
    with refused(tmp_path / "missing" / "report.json", "was not written"):
        write_report(tmp_path / "missing" / "report.json", report_of(image, info))


def test_a_consensus_that_was_asked_for_is_told_of_its_slices_only() -> None:
    from MedSAMSlicerLib.engine.propagation.prompt_jitter import JitterAgreement
    from MedSAMSlicerLib.io.report import _consensus_of

    disputed = np.zeros((4, 5), bool)
    disputed[1, 1:4] = True
    found = JitterAgreement(0.75, np.ones((4, 5), bool), disputed)
    assert _consensus_of(found, 2.0) == {"consensus": 0.75, "disputed_mm2": 6.0}
    assert _consensus_of(None, 2.0) == {}
