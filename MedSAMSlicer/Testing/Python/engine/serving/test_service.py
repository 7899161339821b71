"""The segmentation service with LiteMedSAM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import EMBEDDINGS_VARIABLE
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.serving.service import SegmentationService, service_from_environment
from MedSAMSlicerLib.engine.serving.worker import DEFAULT_SERVICE, service_factory
from support.shapes import ellipsoid, stack_of


def test_from_preview_to_volume_to_a_second_run(litemedsam_weights: Path) -> None:
    lesion = ellipsoid((3, 64, 64), (1.0, 30.0, 34.0), (1.7, 14.0, 16.0))
    source = stack_of(lesion, spacing_ijk=(1.0, 1.0, 3.0))
    around = Box.from_mask(lesion.any(axis=0))
    assert around is not None
    prompt = StackPrompt.from_box3d(0, 2, around)
    service = SegmentationService()
    choice = ModelChoice("litemedsam", str(litemedsam_weights), device="cpu", runtime="torch")

    loaded = service.load(choice)
    assert (loaded.model, loaded.device) == ("litemedsam", "cpu")
    preview = service.preview(choice, source.slice_uint8(1), around)
    assert dice(preview.mask, lesion[1]) > 0.9

    info = RunInfo()
    results = {result.index: result for result in service.segment(choice, source, prompt, info)}
    assert info.loaded == loaded
    assert info.timings.encoder_calls == 2, "the slice of the preview is not encoded again"
    assert info.timings.load > 0 and info.timings.encode > 0 and info.timings.decode > 0
    stack = np.stack([results[index].mask for index in range(3)])
    assert dice(stack, lesion) > 0.9

    again = RunInfo()
    list(service.segment(choice, source, prompt, again))
    assert (again.timings.encoder_calls, again.timings.load) == (0, 0)
    service.clear_cache()
    service.preview(choice, source.slice_uint8(1), around)
    last = RunInfo()
    list(service.segment(choice, source, StackPrompt.from_box3d(1, 1, around), last))
    assert last.timings.encoder_calls == 0


def test_closing_the_results_stops_the_work(litemedsam_weights: Path) -> None:
    lesion = ellipsoid((3, 64, 64), (1.0, 30.0, 34.0), (1.7, 14.0, 16.0))
    service = SegmentationService()
    info = RunInfo()
    results = service.segment(
        ModelChoice("litemedsam", str(litemedsam_weights), device="cpu", runtime="torch"),
        stack_of(lesion),
        StackPrompt.from_box3d(0, 2, Box(15, 12, 55, 48)),
        info,
    )
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert info.timings.encoder_calls <= 2


def test_a_run_returns_nearly_the_previewed_mask(litemedsam_weights: Path) -> None:
    lesion = ellipsoid((3, 64, 64), (1.0, 30.0, 34.0), (2.6, 14.0, 16.0))
    source = stack_of(lesion)
    rectangle = Box.from_mask(lesion[1])
    assert rectangle is not None
    service = SegmentationService()
    choice = ModelChoice("litemedsam", str(litemedsam_weights), device="cpu", runtime="torch")
    preview = service.preview(choice, source.slice_uint8(1), rectangle)
    prompt = StackPrompt({1: rectangle}, slice_range=(1, 1))
    (result,) = service.segment(choice, source, prompt, RunInfo())
    # The preview decodes only the part of the slice around the rectangle.
    assert dice(result.mask, preview.mask) > 0.97 and result.box == rectangle


@pytest.mark.parametrize(("text", "megabytes"), [("", 144), ("64", 64), ("0", 0)])
def test_an_environment_variable_limits_the_embeddings_of_inference_processes(
    text: str, megabytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EMBEDDINGS_VARIABLE, text)
    service = service_factory(DEFAULT_SERVICE)()
    assert isinstance(service, SegmentationService)
    assert service._cache.max_bytes == megabytes << 20


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "²"])
def test_a_limit_that_is_not_a_whole_number_is_refused_with_advice(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMBEDDINGS_VARIABLE, text)
    with pytest.raises(InputError, match="whole number of megabytes"):
        service_from_environment()
