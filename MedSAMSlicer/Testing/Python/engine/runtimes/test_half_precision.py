"""A graphics device encodes in half precision only where that was tried and holds, and the verdict is kept.

There is no such device where these tests run: a processor, which has half precision too, stands for it.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import Family
from MedSAMSlicerLib.engine.models.network import PromptableNetwork
from MedSAMSlicerLib.engine.runtimes import accelerated
from MedSAMSlicerLib.engine.runtimes.accelerated import accelerated_runtime
from MedSAMSlicerLib.engine.runtimes.half_precision import CheckResult, judge
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from support.fake_device_memory import FakeDeviceMemory, cuda_error
from support.seeded_weights import fill_with_seeded_weights
from support.small_families import SMALL_FAMILIES

pytestmark = pytest.mark.slow

BUILT: list[str] = []


@cache
def seeded_network(family: Family) -> PromptableNetwork:
    network = family.build_network()
    fill_with_seeded_weights(network)
    family.fold(network)
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class SeededWeightsFile(NetworkFile):
    """A small family with weights made by a rule; what it is built for is written down in `BUILT`."""

    def build(self):  # type: ignore[no-untyped-def]
        BUILT.append(self.sha256)
        return deepcopy(seeded_network(self.family))


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the verdicts."""
    BUILT.clear()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "half-precision"


FILE = SeededWeightsFile(CATALOGUE["sam_med2d"], SMALL_FAMILIES["sam_med2d"], Path("none"), "a" * 64)


def made(half: str = "float16", file: NetworkFile = FILE, name: str = "Card 9000") -> tuple[TorchRuntime, list[str]]:
    return accelerated_runtime(file, "cpu", name, FakeDeviceMemory(10**12), half)


@pytest.mark.parametrize("key", ["litemedsam", "medsam", "sam_vit_b", "sam_med2d"])
def test_where_it_holds_it_is_used_and_told(key: str) -> None:
    file = replace(FILE, spec=CATALOGUE[key], family=SMALL_FAMILIES[key])
    runtime, notes = made(file=file)
    assert runtime.version == f"{torch.__version__} float16", "embeddings are kept under it"
    (note,) = notes
    assert note.startswith("Encoder in half precision on Card 9000 (Dice ")
    side = file.family.input_size
    prepared = np.random.default_rng(0).random((3, side, side), dtype=np.float32)
    half, full = runtime.encode(prepared), TorchRuntime(file.build(), "cpu").encode(prepared)
    assert half.dtype == np.float32
    assert 1e-5 < np.abs(half - full).max() / np.abs(full).max() < 0.01


def test_digits_too_few_are_noticed_and_the_encoder_stays_in_single_precision() -> None:
    runtime, notes = made("bfloat16")
    assert runtime.version.endswith(" float32")
    assert notes[0].startswith("Encoder in single precision on Card 9000 (Dice 0.99")
    prepared = np.random.default_rng(0).random((3, 128, 128), dtype=np.float32)
    full = TorchRuntime(FILE.build(), "cpu").encode(prepared)
    assert np.array_equal(runtime.encode(prepared), full), "no digit was lost in trying"


def test_the_verdict_is_kept_for_these_weights_on_this_device(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = made()[1]
    assert len(BUILT) == 2, "in single precision, then in half"
    assert made()[1] == [first] and len(BUILT) == 3
    made(name="Card 8000")
    assert len(BUILT) == 5, "another device"
    made(file=replace(FILE, sha256="b" * 64))
    assert len(BUILT) == 7, "other weights"
    monkeypatch.setattr(accelerated.torch, "__version__", "99.0")
    made()
    assert len(BUILT) == 9, "another PyTorch"
    assert len(list(kept.iterdir())) == 4 and all(path.suffix == ".json" for path in kept.iterdir())


def test_a_refusal_is_kept_too() -> None:
    (first,) = made("bfloat16")[1]
    assert len(BUILT) == 3, "once more in single precision, whose digits the cast had lost"
    assert made("bfloat16")[1] == [first] and len(BUILT) == 4


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[]", b'{"subject": "x", "holds": true, "reason": "said so"}']
)
def test_damaged_and_foreign_verdicts_are_found_anew_and_replaced(kept: Path, content: bytes) -> None:
    (first,) = made("bfloat16")[1]
    (path,) = kept.iterdir()
    right = path.read_bytes()
    path.write_bytes(content)
    assert made("bfloat16")[1] == [first]
    assert path.read_bytes() == right and json.loads(right)["holds"] is False


def test_a_folder_that_cannot_be_written_to_holds_nobody_up(kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("a file where the folder should be")
    assert made()[0].version.endswith("float16")


def test_a_device_without_an_operation_in_half_precision_uses_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = TorchRuntime._encode

    def only_single(self: TorchRuntime, prepared: list[np.ndarray]) -> list[np.ndarray]:
        if self.version.endswith("float16"):
            raise RuntimeError("\"conv2d\" not implemented for 'Half'\nsomewhere deep")
        return encode(self, prepared)

    monkeypatch.setattr(TorchRuntime, "_encode", only_single)
    runtime, (note,) = made()
    assert runtime.version.endswith("float32") and "\n" not in note
    assert note.startswith('Encoder in single precision on Card 9000 (half precision fails: "conv2d" not implemented')


def test_a_want_of_memory_is_no_verdict(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_memory(self: TorchRuntime, prepared: list[np.ndarray]) -> list[np.ndarray]:
        raise cuda_error()

    with monkeypatch.context() as patch:
        patch.setattr(TorchRuntime, "_encode", full_memory)
        with pytest.raises(torch.cuda.OutOfMemoryError):
            made()
    assert not kept.exists()
    assert made()[0].version.endswith("float16"), "next time it is tried again"


def answer(size: int = 40, embedding: float = 1.0, iou: float = 0.9) -> CheckResult:
    masks = np.zeros((2, 64, 64), bool)
    masks[:, :size, :50] = True
    return CheckResult(np.full((4, 8, 8), embedding, np.float32), masks, np.array([iou, 0.9], np.float32))


@pytest.mark.parametrize(
    ("half", "holds", "said"),
    [
        (answer(), True, "Dice 1.0000"),
        (answer(embedding=1.02), True, "difference of an embedding 0.02"),
        (answer(embedding=1.03), False, "difference of an embedding 0.03"),
        (answer(size=41), False, "Dice 0.9877"),
        (answer(size=0), False, "Dice 0.0000"),
        (answer(iou=0.91), False, "Dice 1.0000"),
        (answer(embedding=np.inf), False, "values that are not finite"),
        (answer(iou=np.nan), False, "values that are not finite"),
    ],
)
def test_what_has_to_agree(half: CheckResult, holds: bool, said: str) -> None:
    verdict = judge(answer(), half)
    assert verdict.holds == holds and said in verdict.reason
    assert not judge(answer(size=0), half).holds, "where nothing is found nothing can be compared"
