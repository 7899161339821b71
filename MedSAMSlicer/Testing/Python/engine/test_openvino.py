"""OpenVINO gives PyTorch's numbers, is converted once, and gives way where it cannot be used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.models.family import NetworkPrompt, PromptableNetwork
from MedSAMSlicerLib.engine.predictor import load_predictor
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.runtimes import choose, openvino_models
from MedSAMSlicerLib.engine.runtimes.openvino_models import converted_folder, is_complete
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from MedSAMSlicerLib.engine.service_types import ModelChoice
from support.parity import dice
from support.rule_filled import fill_by_rule
from support.shapes import textured_slice

openvino_runtime = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_runtime", reason="needs openvino")


class SmallEncoder(nn.Module):
    """Takes the place of an encoder where what is tested is how networks are kept: quick to convert."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 256, 8, stride=8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.patches(image)


SMALL = 64


def small_network() -> PromptableNetwork:
    network = PromptableNetwork(SmallEncoder(), SMALL, SMALL // 8)
    fill_by_rule(network)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small network converted once."""
    folder = tmp_path_factory.mktemp("openvino")
    converted_folder("small", small_network, SMALL, folder)
    return folder


def runtime(folder: Path, make_network: Callable[[], PromptableNetwork]):
    def fallback() -> TorchRuntime:
        return TorchRuntime(make_network(), "cpu")

    return openvino_runtime.OpenVINORuntime("small", make_network, SMALL, fallback, threads=2, folder=folder)


def not_again() -> PromptableNetwork:
    raise AssertionError("the network was converted again")


def test_numbers_are_those_of_pytorch(converted: Path) -> None:
    ours, theirs = runtime(converted, not_again), TorchRuntime(small_network(), "cpu")
    prepared = np.random.default_rng(1).random((3, SMALL, SMALL), dtype=np.float32)
    embedding = theirs.encode(prepared)
    assert np.abs(ours.encode(prepared) - embedding).max() < 1e-5
    prompts = [NetworkPrompt(np.array(box, np.float32)) for box in ((6, 6, 40, 50), (4, 4, 12, 12))]
    for several in (False, True):
        for mine, other in zip(
            ours.decode(embedding, prompts, several), theirs.decode(embedding, prompts, several), strict=True
        ):
            assert mine.shape == other.shape and np.abs(mine - other).max() < 1e-5


def test_other_prompts_go_to_pytorch(converted: Path) -> None:
    ours, theirs = runtime(converted, small_network), TorchRuntime(small_network(), "cpu")
    embedding = np.random.default_rng(0).standard_normal((256, SMALL // 8, SMALL // 8), dtype=np.float32)
    point = NetworkPrompt(points=np.array([[30, 20]], np.float32), labels=np.ones(1, np.float32))
    assert np.abs(ours.decode(embedding, [point])[0] - theirs.decode(embedding, [point])[0]).max() < 1e-6


def test_a_damaged_file_is_converted_again(converted: Path, tmp_path: Path) -> None:
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    (kept,) = tmp_path.iterdir()
    (kept / "encoder.xml").write_text("<net>")
    runtime(tmp_path, small_network)
    assert is_complete(kept) and (kept / "encoder.xml").stat().st_size > 1000
    (kept / "decoder.bin").unlink()
    runtime(tmp_path, small_network)
    assert is_complete(kept)


def test_a_crash_while_converting_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_models, "convert", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        converted_folder("small", lambda: None, SMALL, tmp_path)  # type: ignore[arg-type,return-value]
    assert not list(tmp_path.iterdir())


def test_a_second_process_that_was_faster_wins(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = converted.iterdir()

    def convert_slowly(_network: object, _size: int, folder: Path) -> None:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        if not (tmp_path / made.name).exists():
            shutil.copytree(made, tmp_path / made.name)
            (tmp_path / made.name / "theirs").touch()

    monkeypatch.setattr(openvino_models, "convert", convert_slowly)
    kept = converted_folder("small", lambda: None, SMALL, tmp_path)  # type: ignore[arg-type,return-value]
    assert (kept / "theirs").exists() and [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_where_openvino_fails_pytorch_takes_over_and_says_so(
    litemedsam_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError("unsupported\nprocessor")

    monkeypatch.setattr(openvino_runtime, "OpenVINORuntime", broken)
    predictor, loaded = load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), "cpu"))
    assert loaded.runtime == "torch"
    assert predictor.notes == [
        "OpenVINO could not be used (unsupported processor); PyTorch is used instead, which is slower"
    ]
    with pytest.raises(InputError, match="choose --runtime torch"):
        load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), "cpu", "openvino"))


def test_where_it_is_not_installed_it_is_not_missed(litemedsam_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_openvino_installed", lambda: False)
    predictor, loaded = load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), "cpu"))
    assert (loaded.runtime, predictor.notes) == ("torch", [])
    with pytest.raises(InputError, match="pip install openvino"):
        load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), "cpu", "openvino"))


def test_the_default_on_a_processor_is_openvino_and_gives_the_pinned_mask(litemedsam_weights: Path) -> None:
    predictor, loaded = load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), "cpu"))
    assert loaded.runtime == "openvino"
    golden = np.load(Path(__file__).parents[1] / "data" / "litemedsam_golden.npz")
    image = textured_slice(96, 128, 96)
    prediction = predictor.predict(image, Box(25, 24, 85, 76))
    assert np.abs(predictor.embed(image)[::16, ::8, ::8] - golden["96x128_embedding"]).max() < 5e-5
    assert np.abs(prediction.low_res_logits[::8, ::8] - golden["96x128_logits"]).max() < 5e-3
    mask = prediction.mask
    assert dice(mask, np.unpackbits(golden["96x128_mask"], count=mask.size).reshape(mask.shape)) > 0.999
