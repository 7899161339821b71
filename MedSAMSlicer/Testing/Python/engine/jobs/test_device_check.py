"""The check of this computer: devices are timed, compared with the processor, and trusted only if they agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import processor_name
from MedSAMSlicerLib.engine.jobs.device_check import (
    BackendResult,
    check_backends,
    fastest,
    list_backends,
    read_slices,
    slice_message,
)
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.engine.runtimes.check_image import phantom_slice
from support.shapes import textured_slice

pytestmark = pytest.mark.slow


def honest(image: np.ndarray, box: Box) -> Prediction:
    """What is bright in the box."""
    mask = np.zeros(image.shape, bool)
    mask[170:310, 230:370] = image[170:310, 230:370] > 150
    return Prediction(mask, 0.9, np.where(mask, 5.0, -5.0).astype(np.float32))


def shifted(image: np.ndarray, box: Box) -> Prediction:
    """A device that computes another shape."""
    right = honest(image, box)
    return Prediction(np.roll(right.mask, 8, axis=1), right.predicted_iou, right.low_res_logits)


def without_numbers(image: np.ndarray, box: Box) -> Prediction:
    """A device whose mask looks right, and whose numbers are none."""
    right = honest(image, box)
    return Prediction(right.mask, float("nan"), np.full_like(right.low_res_logits, np.nan))


def weak(image: np.ndarray, box: Box) -> Prediction:
    """A device whose mask is right, and whose logits are a tenth too small."""
    right = honest(image, box)
    return Prediction(right.mask, right.predicted_iou, 0.9 * right.low_res_logits)


def empty(image: np.ndarray, box: Box) -> Prediction:
    return Prediction(np.zeros(image.shape, bool), 0.9, np.zeros((8, 8), np.float32))


class Computer:
    """Services whose devices do what `behaviour` says; a slice takes `seconds` on each."""

    def __init__(self, seconds: dict[str, float], behaviour: dict[str, Callable[..., Prediction]]) -> None:
        self.seconds, self.behaviour = seconds, behaviour
        self.behaviour_of_runtime: dict[str, Callable[..., Prediction]] = {}
        self.left_for: dict[str, str] = {}
        self.slices: list[str] = []
        self.further: list[tuple[np.ndarray, Box]] = []

    def load(self, choice: ModelChoice) -> LoadedModel:
        return LoadedModel(choice.model, "", self.left_for.get(choice.device, choice.device), "torch")

    def preview(self, choice: ModelChoice, image: np.ndarray, box: Box) -> Prediction:
        self.slices.append(choice.device)
        time.sleep(self.seconds[choice.device])
        return self.behaviour_of_runtime.get(choice.runtime, self.behaviour[choice.device])(image, box)

    def check(self, devices: list[str]) -> dict[str, BackendResult]:
        found = check_backends(
            "litemedsam",
            [("cpu", "torch"), *((device, "torch") for device in devices if device != "cpu")],
            lambda: self,
            lambda device: f"a {device}",
            self.further,
        )  # type: ignore[arg-type, return-value]
        return {result.device: result for result in found}


def no_memory(image: np.ndarray, box: Box) -> Prediction:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


def test_a_graphics_card_that_agrees_is_faster_and_chosen() -> None:
    results = Computer({"cpu": 0.03, "cuda": 0.002}, {"cpu": honest, "cuda": honest}).check(["cuda", "cpu"])
    assert list(results) == ["cpu", "cuda"], "the processor comes first: others are compared with it"
    assert results["cuda"].agrees and results["cuda"].dice == 1.0
    assert results["cuda"].name == "a cuda"
    assert 0.002 <= results["cuda"].seconds < results["cpu"].seconds
    assert fastest(list(results.values())) == ("cuda", "torch")


def test_what_can_be_compared_depends_on_what_is_installed_and_on_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [
        "cuda",
        "cpu",
        "intel-gpu",
        "cpu-bf16",
        "cpu-int8",
    ]  # bfloat16 is less accurate, and the user's own choice
    torch, openvino, card = ("cpu", "torch"), ("cpu", "openvino"), ("cuda", "torch")
    assert list_backends(devices, needs_torch=False) == [torch, openvino, card, ("intel-gpu", "openvino")]
    assert list_backends(devices, needs_torch=True) == [torch, openvino, card]
    monkeypatch.setitem(sys.modules, "torch", None)
    assert list_backends(["cpu"], needs_torch=False) == [openvino]
    assert list_backends(["cpu"], needs_torch=True) == []
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert list_backends(["cpu"], needs_torch=False) == [torch]


def test_openvino_is_compared_with_pytorch_on_the_same_processor() -> None:
    computer = Computer({"cpu": 0.0}, {"cpu": honest})
    computer.behaviour_of_runtime["openvino"] = shifted
    found = list(check_backends("litemedsam", list_backends(["cpu"], False), lambda: computer, str))  # type: ignore[arg-type, return-value]
    assert [(result.runtime, result.agrees) for result in found] == [("torch", True), ("openvino", False)]
    assert fastest(found) == ("cpu", "torch")


def test_the_first_run_is_a_warm_up_that_does_not_count() -> None:
    computer = Computer({"cpu": 0.0}, {"cpu": honest})
    computer.check(["cpu"])
    assert computer.slices == ["cpu"] * 4


@pytest.mark.parametrize("wrong", [shifted, without_numbers, weak, empty])
def test_a_device_with_another_result_is_never_chosen_however_fast(wrong: Callable[..., Prediction]) -> None:
    results = Computer({"cpu": 0.02, "mps": 0.0}, {"cpu": honest, "mps": wrong}).check(["mps", "cpu"])
    assert not results["mps"].agrees
    assert "do not use this device" in results["mps"].message
    assert fastest(list(results.values())) == ("cpu", "torch")


def test_a_device_is_compared_on_all_slices() -> None:
    """One that is right on the synthetic slice only is not used."""
    synthetic, box = phantom_slice()

    def right_once(image: np.ndarray, box: Box) -> Prediction:
        return (honest if np.array_equal(image, synthetic) else shifted)(image, box)

    computer = Computer({"cpu": 0.02, "cuda": 0.0}, {"cpu": honest, "cuda": right_once})
    assert fastest(list(computer.check(["cuda", "cpu"]).values())) == ("cuda", "torch")
    computer.further = [(255 - synthetic, box)]
    results = computer.check(["cuda", "cpu"])
    assert not results["cuda"].agrees and results["cuda"].dice < 0.99 and results["cpu"].agrees


def test_a_device_that_fails_says_why_and_the_others_go_on() -> None:
    results = Computer({"cpu": 0.0, "cuda": 0.0}, {"cpu": honest, "cuda": no_memory}).check(["cuda", "cpu"])
    assert results["cuda"].seconds is None and not results["cuda"].agrees
    assert "out of memory" in results["cuda"].message and "\n" not in results["cuda"].message
    assert fastest(list(results.values())) == ("cpu", "torch")


def test_a_device_that_left_its_work_to_the_processor_has_no_result_of_its_own() -> None:
    computer = Computer({"cpu": 0.0, "cuda": 0.0}, {"cpu": honest, "cuda": honest})
    computer.left_for["cuda"] = "cpu"
    results = computer.check(["cuda", "cpu"])
    assert results["cuda"].seconds is None and "out of memory" in results["cuda"].message
    assert fastest(list(results.values())) == ("cpu", "torch")


def test_without_the_processors_result_nothing_is_trusted() -> None:
    results = Computer({"cpu": 0.0, "cuda": 0.0}, {"cpu": no_memory, "cuda": honest}).check(["cuda", "cpu"])
    assert not results["cuda"].agrees and results["cuda"].dice is None
    assert fastest(list(results.values())) is None


def test_a_model_that_finds_nothing_even_on_the_processor_is_no_reference() -> None:
    results = Computer({"cpu": 0.0, "cuda": 0.0}, {"cpu": empty, "cuda": empty}).check(["cuda", "cpu"])
    assert fastest(list(results.values())) is None
    assert "verify the model's weights" in results["cpu"].message


def test_the_slice_is_the_same_on_every_computer_and_the_box_surrounds_the_object() -> None:
    image, box = phantom_slice()
    again, _ = phantom_slice()
    assert image.dtype == np.uint8 and np.array_equal(image, again)
    rows, columns = np.nonzero(image > 150)
    assert box.xyxy[0] <= columns.min() and columns.max() <= box.xyxy[2]
    assert box.xyxy[1] <= rows.min() and rows.max() <= box.xyxy[3]


def run_check(*arguments: str, **environment: str) -> tuple[int, list[dict]]:
    command = [sys.executable, "-m", "MedSAMSlicerLib.engine.jobs.device_check", *arguments]
    library = str(Path(__file__).resolve().parents[4])
    finished = subprocess.run(
        command, input=b"", capture_output=True, env={**os.environ, "PYTHONPATH": library, **environment}, timeout=280
    )
    return finished.returncode, [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.slow
def test_the_real_model_on_this_computer(litemedsam_weights: Path) -> None:
    status, lines = run_check("--slices", "0")
    assert status == 0
    assert [line["kind"] for line in lines[:1]] == ["started"]
    assert lines[0]["backends"][0] == {"device": "cpu", "runtime": "torch"}
    results = {(line["device"], line["runtime"]): line for line in lines if line["kind"] == "result"}
    assert list(results) == [(backend["device"], backend["runtime"]) for backend in lines[0]["backends"]]
    reference = results["cpu", "torch"]
    assert reference["agrees"] and reference["dice"] == 1.0 and reference["seconds"] > 0
    assert all(result["agrees"] for (device, _runtime), result in results.items() if device == "cpu")
    assert lines[-2]["kind"] == "fastest" and results[lines[-2]["device"], lines[-2]["runtime"]]["agrees"]
    assert lines[-1] == {"kind": "done"}
    status, (listed, _done) = run_check("--list")
    assert (listed["backends"], listed["conditions"]) == (lines[0]["backends"], lines[-2]["conditions"])
    for part in ("openvino 20", processor_name(), "litemedsam 79d8c9dca6db4d69", "cpu"):
        assert part in listed["conditions"]


def test_slices_are_read_from_the_parent_and_no_more_is_waited_for() -> None:
    image, box = textured_slice(20, 30, 1), Box(1, 2, 10, 11)
    receiving, sending = os.pipe()
    with open(receiving, "rb") as stream, open(sending, "wb") as parent:
        parent.write(slice_message(image, box) * 2)
        parent.flush()
        found = list(read_slices(stream, 2))
    assert [one for _, one in found] == [box, box] and all(np.array_equal(one, image) for one, _ in found)


def test_missing_weights_are_reported_once(tmp_path: Path) -> None:
    status, lines = run_check("--model", "sam_vit_h", MEDSAM_SLICER_CACHE=str(tmp_path), MEDSAM_SLICER_WEIGHTS="")
    assert status == 3
    assert [line["kind"] for line in lines] == ["failed"]
    assert "SAM ViT-H" in lines[0]["message"]
    status, lines = run_check(
        "--list", "--model", "sam_vit_h", MEDSAM_SLICER_CACHE=str(tmp_path), MEDSAM_SLICER_WEIGHTS=""
    )
    assert status == 0 and "cpu" in lines[0]["devices"] and lines[0]["conditions"].endswith("sam_vit_h missing")
