"""OpenVINO gives PyTorch's numbers, is converted once, and gives way where it cannot be used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, child_environment
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.runtimes import choose
from MedSAMSlicerLib.engine.runtimes.openvino_models import convert_in_process, converted_folder, is_complete
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from support.shapes import textured_slice
from support.small_network import SMALL, small_network

openvino_runtime = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_runtime", reason="needs openvino")
openvino_convert = pytest.importorskip("MedSAMSlicerLib.engine.jobs.convert_openvino", reason="needs openvino")


def convert_small(folder: Path) -> None:
    openvino_convert.convert(small_network(), SMALL, folder)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small network converted once."""
    folder = tmp_path_factory.mktemp("openvino")
    converted_folder("small", convert_small, folder)
    return folder


def runtime(folder: Path, convert: Callable[[Path], None]):
    def fallback() -> TorchRuntime:
        return TorchRuntime(small_network(), "cpu")

    return openvino_runtime.OpenVINORuntime("small", convert, fallback, threads=2, folder=folder)


def not_again(_folder: Path) -> None:
    raise AssertionError("the network was converted again")


@pytest.mark.slow
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


@pytest.mark.slow
def test_other_prompts_go_to_pytorch(converted: Path) -> None:
    ours, theirs = runtime(converted, not_again), TorchRuntime(small_network(), "cpu")
    embedding = np.random.default_rng(0).standard_normal((256, SMALL // 8, SMALL // 8), dtype=np.float32)
    point = NetworkPrompt(points=np.array([[30, 20]], np.float32), labels=np.ones(1, np.float32))
    assert np.abs(ours.decode(embedding, [point])[0] - theirs.decode(embedding, [point])[0]).max() < 1e-6


@pytest.mark.slow
def test_a_damaged_file_is_converted_again(converted: Path, tmp_path: Path) -> None:
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    (made,) = converted.iterdir()
    (kept,) = tmp_path.iterdir()
    conversions = []

    def convert(folder: Path) -> None:
        conversions.append(folder)
        shutil.copytree(made, folder, dirs_exist_ok=True)

    (kept / "encoder.xml").write_text("<net>")
    runtime(tmp_path, convert)
    assert is_complete(kept) and (kept / "encoder.xml").stat().st_size > 1000
    (kept / "decoder.bin").unlink()
    runtime(tmp_path, convert)
    assert is_complete(kept) and len(conversions) == 2


def test_a_crash_while_converting_leaves_nothing(tmp_path: Path) -> None:
    def convert(folder: Path) -> None:
        (folder / "encoder.xml").touch()
        raise OSError(28, "disk full")

    with pytest.raises(OSError, match="disk full"):
        converted_folder("small", convert, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_a_process_left_that_was_killed_while_converting_is_removed_in_time(
    converted: Path, tmp_path: Path
) -> None:
    (made,) = converted.iterdir()
    for name in (".part-old", ".part-new"):
        (tmp_path / name / "converted").mkdir(parents=True)
        (tmp_path / name / "converted" / "encoder.xml").write_text("half")
    past = time.time() - 24 * 3600
    for path in (*(tmp_path / ".part-old").rglob("*"), tmp_path / ".part-old"):
        os.utime(path, (past, past))
    kept = converted_folder("small", lambda folder: shutil.copytree(made, folder, dirs_exist_ok=True), tmp_path)
    assert is_complete(kept)
    assert {path.name for path in tmp_path.iterdir()} == {".part-new", kept.name}, "another process may be at work"


@pytest.mark.slow
def test_a_second_process_that_was_faster_wins(converted: Path, tmp_path: Path) -> None:
    (made,) = converted.iterdir()

    def convert_slowly(folder: Path) -> None:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        if not (tmp_path / made.name).exists():
            shutil.copytree(made, tmp_path / made.name)
            (tmp_path / made.name / "theirs").touch()

    kept = converted_folder("small", convert_slowly, tmp_path)
    assert (kept / "theirs").exists() and [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_a_model_is_converted_in_a_process_of_its_own_and_runs_without_torch(
    litemedsam_weights: Path, tmp_path: Path
) -> None:
    """Neither converting nor running loads torch here: it would take half a gigabyte for nothing."""
    script = """
import sys
import numpy as np
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.model_choice import ModelChoice
predictor, loaded = load_predictor(ModelChoice("litemedsam", sys.argv[1], "cpu", "openvino"))
predictor.predict(np.eye(64, dtype=np.uint8) * 255, Box(8, 8, 40, 40))
print(loaded.runtime, "torch" in sys.modules, "segment_anything" in sys.modules)
"""
    environment = {**child_environment(), CACHE_VARIABLE: str(tmp_path)}
    command = [sys.executable, "-c", script, str(litemedsam_weights)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["openvino", "False", "False"], ran.stderr
    assert [is_complete(folder) for folder in (tmp_path / "openvino").iterdir()] == [True]


def test_a_conversion_that_fails_says_why(litemedsam_weights: Path, tmp_path: Path) -> None:
    spec = CATALOGUE["medsam"]
    network = NetworkFile(spec, spec.load_family(), litemedsam_weights, "0" * 64)
    with pytest.raises(RuntimeError, match="conversion failed: .*is not the weights file of MedSAM"):
        convert_in_process(network, tmp_path)
    assert not list(tmp_path.iterdir())


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
    golden = np.load(Path(__file__).parents[2] / "data" / "litemedsam_golden.npz")
    image = textured_slice(96, 128, 96)
    prediction = predictor.predict(image, Box(25, 24, 85, 76))
    assert np.abs(predictor.embed(image)[::16, ::8, ::8] - golden["96x128_embedding"]).max() < 5e-5
    assert np.abs(prediction.low_res_logits[::8, ::8] - golden["96x128_logits"]).max() < 5e-3
    mask = prediction.mask
    assert dice(mask, np.unpackbits(golden["96x128_mask"], count=mask.size).reshape(mask.shape)) > 0.999
