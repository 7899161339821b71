"""Networks that are converted for OpenVINO give PyTorch's numbers, and are converted once."""

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
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.runtimes.openvino_models import convert_in_process, converted_folder, is_complete
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from support.small_network import SMALL, small_network

openvino_converted = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_converted", reason="needs openvino")
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

    return openvino_converted.ConvertedRuntime("small", convert, fallback, threads=2, folder=folder)


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
from functools import partial
from pathlib import Path
import numpy as np
from MedSAMSlicerLib.engine.models.catalogue import find_model
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.runtimes.openvino_converted import ConvertedRuntime
from MedSAMSlicerLib.engine.runtimes.openvino_models import convert_in_process
spec = find_model("litemedsam")
network = NetworkFile(spec, spec.load_family(), Path(sys.argv[1]), "0" * 64)
runtime = ConvertedRuntime(network.identity, partial(convert_in_process, network), None, threads=2)
embedding = runtime.encode(np.zeros((3, 256, 256), np.float32))
logits, _ious = runtime.decode(embedding, [NetworkPrompt(np.array([8, 8, 40, 40], np.float32))])
print(*logits.shape, "torch" in sys.modules, "segment_anything" in sys.modules)
"""
    environment = {**child_environment(), CACHE_VARIABLE: str(tmp_path)}
    command = [sys.executable, "-c", script, str(litemedsam_weights)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["1", "1", "256", "256", "False", "False"], ran.stderr
    assert [is_complete(folder) for folder in (tmp_path / "openvino").iterdir()] == [True]


def test_a_conversion_that_fails_says_why(litemedsam_weights: Path, tmp_path: Path) -> None:
    spec = CATALOGUE["medsam"]
    network = NetworkFile(spec, spec.load_family(), litemedsam_weights, "0" * 64)
    with pytest.raises(RuntimeError, match="conversion failed: .*is not the weights file of MedSAM"):
        convert_in_process(network, tmp_path)
    assert not list(tmp_path.iterdir())
