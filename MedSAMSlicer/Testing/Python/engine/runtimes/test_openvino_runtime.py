"""LiteMedSAM runs with OpenVINO without PyTorch, gives its numbers, for parts of a slice too, and gives way where it cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, child_environment
from MedSAMSlicerLib.engine.errors import InputError, MissingPackage
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.runtimes import choose
from MedSAMSlicerLib.engine.runtimes.choose import make_runtime
from MedSAMSlicerLib.engine.runtimes.runtime import Runtime
from support.shapes import textured_slice

openvino_network = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_network", reason="needs openvino")
openvino_runtime = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_runtime", reason="needs openvino")

SIDE, TOKEN = 256, 4
# Box, and the part of the input that is encoded: its first row and column, rows and columns.
PARTS = [((0, 0), (SIDE, SIDE)), ((64, 100), (112, 112)), ((0, 24), (200, 232))]


@pytest.fixture(scope="module")
def litemedsam(litemedsam_weights: Path) -> NetworkFile:
    spec = CATALOGUE["litemedsam"]
    assert spec.weights.sha256 is not None
    return NetworkFile(spec, spec.load_family(), litemedsam_weights, spec.weights.sha256)


@pytest.fixture(scope="module")
def runtimes(litemedsam: NetworkFile) -> tuple[Runtime, Runtime]:
    """OpenVINO's and PyTorch's."""
    ours, theirs = (make_runtime(name, "cpu", litemedsam)[0] for name in ("openvino", "torch"))
    return ours, theirs


@pytest.fixture(scope="module")
def prepared(litemedsam: NetworkFile) -> np.ndarray:
    return litemedsam.family.prepare(textured_slice(SIDE, SIDE, 5))


def boxes_in(origin: tuple[int, int], size: tuple[int, int]) -> list[NetworkPrompt]:
    """Three boxes inside a part, in pixels of the whole input; the last one reaches over its lower edge."""
    (row, column), (height, width) = origin, size
    edges = [(20, 30, 60, 70), (32, 24, 100, 90), (40, 40, 80, height + 8)]
    return [
        NetworkPrompt(np.array([column + x0, row + y0, column + min(x1, width), row + y1], np.float32))
        for x0, y0, x1, y1 in edges
    ]


@pytest.mark.parametrize(("origin", "size"), PARTS)
def test_numbers_are_those_of_pytorch_also_of_a_part(
    runtimes: tuple[Runtime, Runtime],
    prepared: np.ndarray,
    origin: tuple[int, int],
    size: tuple[int, int],
) -> None:
    ours, theirs = runtimes
    assert ours.encodes_parts and theirs.encodes_parts
    (row, column), (height, width) = origin, size
    part = prepared[:, row : row + height, column : column + width]
    embedding = theirs.encode(part)
    assert embedding.shape == (256, height // TOKEN, width // TOKEN) and embedding.dtype == np.float32
    assert np.abs(ours.encode(part) - embedding).max() < 2e-5 * np.abs(embedding).max()
    first_token = (row // TOKEN, column // TOKEN)
    prompts = boxes_in(origin, size)
    for several in (False, True):
        logits, ious = ours.decode(embedding, prompts, several, first_token)
        known_logits, known_ious = theirs.decode(embedding, prompts, several, first_token)
        assert logits.shape == known_logits.shape == (3, 3 if several else 1, height, width)
        assert np.abs(logits - known_logits).max() < 1e-5 * np.abs(known_logits).max()
        assert ious.shape == known_ious.shape and np.abs(ious - known_ious).max() < 1e-5


def test_a_part_is_decoded_where_it_lies(runtimes: tuple[Runtime, Runtime], prepared: np.ndarray) -> None:
    """The same tokens somewhere else, with the box left where it was, are another question."""
    for runtime in runtimes:
        embedding = runtime.encode(prepared)[:, 16:44, 25:53]
        prompts = boxes_in((64, 100), (112, 112))
        right, wrong = (runtime.decode(embedding, prompts, origin=origin)[0] for origin in ((16, 25), (0, 0)))
        assert np.abs(right - wrong).max() > 1


def test_the_whole_input_gives_the_same_as_before_after_other_sizes(
    runtimes: tuple[Runtime, Runtime], prepared: np.ndarray
) -> None:
    """As many sizes as are kept compiled, in turn."""
    ours, _ = runtimes
    first = ours.encode(prepared)
    sides = (112, 60, 56)
    assert len(sides) == openvino_network.KEPT_SIZES
    for side in sides:
        assert ours.encode(prepared[:, :side, :side]).shape == (256, side // TOKEN, side // TOKEN)
    assert np.array_equal(ours.encode(prepared), first)


def test_slices_of_several_sizes_are_encoded_in_order(runtimes: tuple[Runtime, Runtime], prepared: np.ndarray) -> None:
    parts = [prepared[:, :side, :56] for side in (56, 56, 112, 56)]
    for runtime in runtimes:
        for part, embedding in zip(parts, runtime.encode_many(parts), strict=True):
            assert np.array_equal(embedding, runtime.encode(part))


def test_it_runs_without_torch_and_writes_nothing(litemedsam_weights: Path, tmp_path: Path) -> None:
    """Importing torch would take seconds and half a gigabyte for nothing."""
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
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_not_written_for_openvino_needs_pytorch(
    litemedsam: NetworkFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "segment_anything"):
        monkeypatch.setitem(sys.modules, name, None)
    assert make_runtime("auto", "cpu", litemedsam)[0].name == "openvino"
    spec = CATALOGUE["sam_vit_b"]
    other = NetworkFile(spec, spec.load_family(), litemedsam.path, "0" * 64)
    for runtime in ("auto", "openvino", "torch"):
        with pytest.raises(MissingPackage, match="needs PyTorch, which is not installed: 'pip install torch segment"):
            make_runtime(runtime, "cpu", other)


def test_without_either_there_is_one_line(litemedsam: NetworkFile, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackage, match="^neither OpenVINO nor PyTorch is installed: 'pip install openvino'$"):
        make_runtime("auto", "cpu", litemedsam)


def test_intel_devices_run_the_written_networks_and_nothing_else(
    litemedsam: NetworkFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test has such a device: what is asked of OpenVINO, and that it fails in one line, is all that is known."""
    with pytest.raises(InputError, match="^'intel-npu' cannot be used \\(.*choose --device cpu$"):
        make_runtime("auto", "intel-npu", litemedsam)
    with pytest.raises(InputError, match="runtime 'torch' does not run on 'intel-gpu'"):
        make_runtime("torch", "intel-gpu", litemedsam)
    spec = CATALOGUE["sam_vit_b"]
    on_processor: list[str] = []
    monkeypatch.setattr(choose, "_with_openvino", lambda network: on_processor.append(network.spec.key))
    other = NetworkFile(spec, spec.load_family(), litemedsam.path, "0" * 64)
    for runtime in ("auto", "openvino"):
        # The device that suits this computer was chosen for the default model.
        _made, notes = make_runtime(runtime, "intel-gpu", other)
        assert notes == ["SAM ViT-B does not run on the device Intel GPU: the processor is used instead"]
    assert on_processor == ["sam_vit_b", "sam_vit_b"]


def test_the_processor_in_bfloat16_is_told_and_goes_into_the_cache_apart(
    litemedsam: NetworkFile, runtimes: tuple[Runtime, Runtime], prepared: np.ndarray
) -> None:
    """Where the processor lacks bfloat16, OpenVINO computes in float32: then the numbers are equal."""
    runtime, notes = make_runtime("auto", "cpu-bf16", litemedsam)
    assert notes == ["Encoder in bfloat16: faster; masks differ a little from those in float32"]
    assert runtime.device == "cpu-bf16" and runtime.version != runtimes[0].version
    part = prepared[:, :112, :112]
    exact = runtimes[0].encode(part)
    assert np.abs(runtime.encode(part) - exact).max() < 0.15 * np.abs(exact).max()


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
    monkeypatch.setattr(choose, "openvino_installed", lambda: False)
    predictor, loaded = load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), "cpu"))
    assert (loaded.runtime, predictor.notes) == ("torch", [])
    with pytest.raises(MissingPackage, match="pip install openvino"):
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
