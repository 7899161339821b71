"""Points and masks from a client to the model and back: previews refined click by click, in either process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError, MedSAMError
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.in_process_client import Client, InProcessClient
from support.small_families import WEIGHTS_FOLDER, use_small_families, write_small_weights
from support.subprocess_client import subprocess_client

pytestmark = pytest.mark.slow

BOX = Box(2, 2, 11, 9)
CLICK = Points(((6.5, 5),), (True,))
IMAGE = np.random.default_rng(5).integers(0, 255, (12, 14), dtype=np.uint8)


@pytest.fixture
def choice_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModelChoice]:
    """Small families in this process and in those that it starts."""
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    files = {key: write_small_weights(key, tmp_path) for key in ("sam_med2d", "medsam")}
    use_small_families(monkeypatch, files)
    return lambda key: ModelChoice(key, str(files[key]), "cpu", "torch")


@pytest.fixture
def process() -> Iterator[WorkerClient]:
    """The real engine with small families, in a child process."""
    client = subprocess_client("support.small_families:small_service")
    yield client
    client.close()


def preview(client: Client, choice: ModelChoice, prompt: Box | SlicePrompt) -> Prediction | MedSAMError:
    answers: list[Any] = []
    client.preview(choice, IMAGE, prompt, answers.append, answers.append)
    begin = time.monotonic()
    while not client.idle:
        assert time.monotonic() - begin < 120, "no answer came"
        client.step()
    [answer] = answers
    return answer


def test_a_preview_is_refined_click_by_click_and_each_click_can_be_undone(
    process: WorkerClient, choice_of: Callable[[str], ModelChoice]
) -> None:
    """In the inference process and in this one. Each correction starts from the logits of the previous prediction."""
    choice = choice_of("sam_med2d")
    found: dict[str, list[Prediction]] = {"here": [], "there": []}
    for name, client in (("here", InProcessClient(SegmentationService())), ("there", process)):
        clicks = CLICK
        prompts: list[Any] = [SlicePrompt(BOX), SlicePrompt(points=clicks), SlicePrompt(BOX, clicks)]
        clicks = clicks.with_point(2, 9.25, False)
        for prompt in [*prompts, "refined", SlicePrompt(BOX, clicks.without_last())]:
            if prompt == "refined":
                prompt = SlicePrompt(BOX, clicks, MaskPrompt(logits=found[name][-1].low_res_logits))
            answer = preview(client, choice, prompt)
            assert isinstance(answer, Prediction), answer
            found[name].append(answer)
        drawn = np.zeros(IMAGE.shape, bool)
        drawn[3:8, 4:9] = True
        answer = preview(client, choice, SlicePrompt(mask=MaskPrompt(mask=drawn)))
        assert isinstance(answer, Prediction), answer
        found[name].append(answer)
    for one, other in zip(*found.values(), strict=True):
        assert np.array_equal(one.mask, other.mask)
        assert np.abs(one.low_res_logits - other.low_res_logits).max() < 1e-6
    answers = [prediction.low_res_logits for prediction in found["here"]]
    assert np.array_equal(answers[4], answers[2]), "a click undone leaves no trace"
    assert not np.array_equal(answers[3], answers[2])


def test_clicks_are_rejected_by_a_model_that_accepts_only_boxes(
    process: WorkerClient, choice_of: Callable[[str], ModelChoice]
) -> None:
    refusal = preview(process, choice_of("medsam"), SlicePrompt(points=CLICK))
    assert isinstance(refusal, InputError)
    assert str(refusal).startswith("MedSAM (ViT-B) was not trained for points, it takes boxes:")
    assert isinstance(preview(process, choice_of("medsam"), BOX), Prediction), "the process goes on"
