"""One encoding, many prompts."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from MedSAMSlicerLib.engine.errors import InputError, MissingPackage
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, find_model
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.runtimes import devices
from support.shapes import textured_slice
from support.threshold_model import threshold_predictor

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def litemedsam(litemedsam_weights: Path) -> Predictor:
    return load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), device="cpu", runtime="torch"))[0]


def test_many_boxes_on_one_slice_cost_one_encoding() -> None:
    predictor = threshold_predictor()
    image = textured_slice(60, 70, 1)
    boxes = [Box(5, 5, 30, 30), Box(20, 20, 60, 50), Box(0, 0, 69, 59)]
    together = predictor.predict_many(image, boxes)
    apart = [predictor.predict(image, box) for box in boxes]
    assert predictor.timings.encoder_calls == 1
    for one, other in zip(together, apart, strict=True):
        assert np.array_equal(one.mask, other.mask) and one.mask.shape == image.shape


def test_predictors_that_share_a_cache_do_not_share_embeddings() -> None:
    cache = EmbeddingCache()
    image = textured_slice(40, 40, 2)
    threshold_predictor(cache).embed(image)
    other = threshold_predictor(cache)
    other._identity = "another model"
    other.embed(image)
    assert len(cache) == 2


def test_boxes_in_one_call_give_what_they_give_alone(litemedsam: Predictor) -> None:
    image = textured_slice(96, 128, 3)
    boxes = [Box(30, 30, 85, 75), Box(20, 20, 60, 60), Box(0, 0, 127, 95)]
    for together, box in zip(litemedsam.predict_many(image, boxes), boxes, strict=True):
        alone = litemedsam.predict(image, box)
        assert np.abs(together.low_res_logits - alone.low_res_logits).max() < 5e-4
        assert dice(together.mask, alone.mask) > 0.999


@pytest.mark.parametrize(("rows", "columns"), [(96, 128), (150, 61), (300, 320)])
def test_synthetic_slices_give_the_pinned_numbers(litemedsam: Predictor, rows: int, columns: int) -> None:
    """Made by this implementation once it was equal to the authors': holds where their outputs are not at hand."""
    golden = np.load(DATA / "litemedsam_golden.npz")
    image = textured_slice(rows, columns, rows)
    prediction = litemedsam.predict(image, Box(columns // 5, rows // 4, columns * 2 // 3, rows * 4 // 5))
    name = f"{rows}x{columns}"
    assert np.abs(litemedsam.embed(image)[::16, ::8, ::8] - golden[f"{name}_embedding"]).max() < 5e-5
    assert np.abs(prediction.low_res_logits[::8, ::8] - golden[f"{name}_logits"]).max() < 5e-3
    assert abs(prediction.predicted_iou - golden[f"{name}_iou"]) < 1e-5
    assert (
        dice(prediction.mask, np.unpackbits(golden[f"{name}_mask"], count=rows * columns).reshape(rows, columns))
        > 0.999
    )


def test_a_bright_disc_is_found(litemedsam: Predictor) -> None:
    image = textured_slice(200, 200, 4)
    y, x = np.mgrid[:200, :200]
    disc = ((x - 90) / 36) ** 2 + ((y - 110) / 40) ** 2 <= 1
    assert dice(litemedsam.predict(image, Box(54, 70, 126, 150)).mask, disc) > 0.9


def test_unknown_models_devices_and_runtimes_are_refused_with_the_known_ones(litemedsam_weights: Path) -> None:
    for choice, words in (
        (ModelChoice(model="unet"), "litemedsam"),
        (ModelChoice(device="tpu"), "auto, cpu, cpu-bf16, cpu-int8, cuda, mps"),
        (ModelChoice(runtime="tensorrt"), "torch"),
    ):
        with pytest.raises(InputError, match=words):
            load_predictor(choice)


def test_devices_are_only_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.available_devices()[0] == "cpu"
    assert set(devices.available_devices()) <= {"cpu", "cpu-bf16", "cpu-int8"}
    assert devices.choose_device("auto") == "cpu"
    with pytest.raises(InputError, match="'cuda' is not available on this computer: choose cpu"):
        devices.choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto") == "cuda"


@pytest.mark.parametrize(("driver", "may"), [("nvidia0", True), ("kfd", True), ("dxg", True), ("null", False)])
def test_torch_is_asked_for_devices_only_where_a_driver_is(
    driver: str, may: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / driver).touch()
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(devices, "Path", lambda _dev: tmp_path)
    assert devices.may_have_accelerator() is may


def test_devices_of_openvino_are_chosen_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    network = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_network", reason="needs openvino")
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: False)
    capabilities = ["FP32", "INT8"]
    core = SimpleNamespace(available_devices=["CPU", "GPU.0", "GPU.1", "GNA"], get_property=lambda *_: capabilities)
    int8 = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_int8")
    monkeypatch.setattr(network, "core", lambda: core)
    monkeypatch.setattr(int8, "adds_exactly", lambda: False)
    assert devices.available_devices() == ["cpu", "intel-gpu"]
    capabilities.append("BF16")
    assert devices.available_devices() == ["cpu", "intel-gpu", "cpu-bf16"]
    monkeypatch.setattr(int8, "adds_exactly", lambda: True)
    assert devices.available_devices() == ["cpu", "intel-gpu", "cpu-bf16", "cpu-int8"]
    monkeypatch.setattr(int8, "adds_exactly", lambda: False)
    capabilities.remove("BF16")
    assert (devices.choose_device("auto"), devices.choose_device("intel-gpu")) == ("cpu", "intel-gpu")
    with pytest.raises(InputError, match="'intel-npu' is not available on this computer: choose cpu or intel-gpu"):
        devices.choose_device("intel-npu")


def test_without_pytorch_its_devices_are_not_there_and_one_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: True)
    for name in ("torch", "segment_anything"):
        monkeypatch.setitem(sys.modules, name, None)
    assert devices.available_devices()[0] == devices.choose_device("auto") == "cpu"
    with pytest.raises(
        MissingPackage, match="device 'cuda' needs PyTorch.*pip install torch segment-anything"
    ) as caught:
        devices.choose_device("cuda")
    assert caught.value.brief.endswith("install it in the module MedSAMSlicer")


def test_every_model_of_the_catalogue_can_be_built() -> None:
    for spec in CATALOGUE.values():
        network = spec.load_family().build_network()
        assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters
        assert spec.load_family().input_size == spec.input_size
        assert find_model(spec.key) is spec
