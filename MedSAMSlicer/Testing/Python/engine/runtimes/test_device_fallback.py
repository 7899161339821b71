"""A graphics device that runs out of memory: smaller batches, then the processor; nothing is lost, all is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.runtimes import batches, choose
from MedSAMSlicerLib.engine.runtimes.device_fallback import DeviceFallback
from MedSAMSlicerLib.engine.runtimes.runtime import Runtime
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from MedSAMSlicerLib.engine.serving import service as service_module
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from support.fake_device_memory import BatchLimit, FakeDeviceMemory, cuda_error, mps_error
from support.shapes import ellipsoid, stack_of, textured_slice
from support.small_families import SMALL_FAMILIES
from support.small_network import small_network
from support.threshold_model import ThresholdFamily, ThresholdRuntime

IMAGE, OTHER = textured_slice(40, 50, 1), textured_slice(40, 50, 2)
GOES_ON = "the device cuda has not enough memory: the processor goes on, until the model is loaded again"


class TightRuntime(ThresholdRuntime):
    """The threshold model on a device that has memory for so many encodings and decodings, and then no more."""

    device = "cuda"
    slices_at_once = 2
    version = "half"

    def __init__(
        self, encodings: int = 10**9, decodings: int = 10**9, error: Callable[[], Exception] = cuda_error
    ) -> None:
        super().__init__()
        self.encodings, self.decodings, self.error = encodings, decodings, error

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        self.encodings -= 1
        if self.encodings < 0:
            raise self.error()
        return super().encode(prepared)

    def decode(self, *arguments, **options):  # type: ignore[no-untyped-def]
        self.decodings -= 1
        if self.decodings < 0:
            raise self.error()
        return super().decode(*arguments, **options)


class Computer:
    """A device that may be tight, and a processor."""

    def __init__(self, on_device: Runtime | Exception) -> None:
        self.on_device, self.processor = on_device, ThresholdRuntime()
        self.made: list[str] = []
        self.released = 0

    def make(self, device: str) -> tuple[Runtime, list[str]]:
        self.made.append(device)
        if device == "cpu":
            return self.processor, ["a line on the processor"]
        if isinstance(self.on_device, Exception):
            raise self.on_device
        return self.on_device, ["a line on the device"]

    def release(self) -> None:
        self.released += 1

    def ladder(self) -> DeviceFallback:
        return DeviceFallback(self.make, ["cuda", "cpu"], self.release)

    def predictor(self, cache: EmbeddingCache | None = None) -> Predictor:
        return Predictor(ThresholdFamily(), self.ladder(), "threshold", cache)


@pytest.mark.parametrize("error", [cuda_error, mps_error])
def test_a_slice_that_does_not_fit_is_encoded_by_the_processor(error: Callable[[], Exception]) -> None:
    computer = Computer(TightRuntime(encodings=1, error=error))
    predictor = computer.predictor()
    predictor.embed(OTHER)
    assert (predictor.runtime.device, computer.made) == ("cuda", ["cuda"]), (
        "the processor's is not made before its need"
    )
    assert np.array_equal(predictor.embed(IMAGE), ThresholdRuntime().encode(ThresholdFamily().prepare(IMAGE)))
    assert predictor.runtime is computer.processor and computer.made == ["cuda", "cpu"]
    assert predictor.notes == ["a line on the device", GOES_ON, "a line on the processor"]
    assert computer.released == 1


def test_embeddings_are_kept_under_the_device_that_made_them() -> None:
    cache = EmbeddingCache()
    predictor = Computer(TightRuntime(encodings=1)).predictor(cache)
    predictor.embed(IMAGE)
    predictor.embed(OTHER)
    cuda, processor = (
        Predictor(ThresholdFamily(), one, "threshold", cache) for one in (TightRuntime(0), ThresholdRuntime())
    )
    assert cuda.embed(IMAGE) is not None and cuda.timings.encoder_calls == 0
    processor.embed(OTHER)
    assert processor.timings.encoder_calls == 0
    processor.embed(IMAGE)
    assert processor.timings.encoder_calls == 1, "what the device made is not taken for the processor's"
    with pytest.raises(type(cuda_error())):
        cuda.embed(OTHER)


def test_what_the_device_encoded_before_it_was_left_is_not_encoded_again() -> None:
    predictor = Computer(TightRuntime(encodings=1, decodings=0)).predictor()
    assert predictor.predict(IMAGE, Box(5, 5, 30, 30)).mask.shape == IMAGE.shape
    assert predictor.runtime.device == "cpu"
    predictor.predict(IMAGE, Box(6, 5, 30, 30))
    assert predictor.timings.encoder_calls == 1


def test_a_device_on_which_the_model_itself_does_not_fit_is_left_at_once() -> None:
    computer = Computer(mps_error())
    predictor = computer.predictor()
    assert predictor.runtime is computer.processor
    assert predictor.notes == [GOES_ON, "a line on the processor"]


def test_other_errors_and_a_processor_without_memory_are_not_hidden() -> None:
    broken = Computer(TightRuntime(encodings=0, error=lambda: RuntimeError("an illegal memory access")))
    with pytest.raises(RuntimeError, match="illegal"):
        broken.predictor().embed(IMAGE)
    assert broken.made == ["cuda"]
    with pytest.raises(InputError, match="no such model"):
        Computer(InputError("no such model")).ladder()
    both = Computer(TightRuntime(encodings=0))
    both.processor = TightRuntime(encodings=0, error=MemoryError)
    with pytest.raises(MemoryError):
        both.predictor().embed(IMAGE)


@pytest.mark.parametrize("loading", [0.0, 0.2], ids=["at once", "slowly"])
def test_two_threads_that_fail_together_leave_the_device_once(loading: float) -> None:
    computer = Computer(TightRuntime())
    make = computer.make

    def make_slowly(device: str) -> tuple[Runtime, list[str]]:
        time.sleep(loading)
        return make(device)

    computer.make = make_slowly  # type: ignore[method-assign]
    ladder = computer.ladder()
    both = threading.Barrier(2, timeout=10)

    def work(runtime: Runtime) -> str:
        if runtime.device == "cuda":
            both.wait()
            raise cuda_error()
        return runtime.device

    found: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(ladder.run(work))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [("cpu", "cpu|threshold 1")] * 2
    assert computer.made == ["cuda", "cpu"] and ladder.notes.count(GOES_ON) == 1


def service_on(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> SegmentationService:
    def load(choice: ModelChoice, cache: EmbeddingCache) -> tuple[Predictor, LoadedModel]:
        predictor = Predictor(ThresholdFamily(), computer.ladder(), "threshold", cache)
        return predictor, LoadedModel(choice.model, "0" * 64, predictor.runtime.device, predictor.runtime.name)

    monkeypatch.setattr(service_module, "load_predictor", load)
    return SegmentationService()


@pytest.mark.parametrize("encodings", [0, 1, 2, 3, 6])
def test_a_run_that_loses_its_device_half_way_comes_out_whole_and_says_so(
    encodings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices are encoded ahead, two at once, when it happens."""
    source = stack_of(ellipsoid((12, 50, 60), (5.5, 25.0, 30.0), (5.0, 12.0, 15.0)))
    prompt, choice = StackPrompt.from_box3d(1, 10, Box(14, 12, 46, 38)), ModelChoice("litemedsam")
    expected = {
        result.index: result.mask
        for result in service_on(Computer(ThresholdRuntime()), monkeypatch).segment(choice, source, prompt, RunInfo())
    }
    computer = Computer(TightRuntime(encodings=encodings))
    service, info = service_on(computer, monkeypatch), RunInfo()
    assert service.load(choice).device == "cuda"
    found = {result.index: result.mask for result in service.segment(choice, source, prompt, info)}
    assert sorted(found) == list(range(1, 11)), "each slice once, none half"
    assert all(np.array_equal(found[index], mask) for index, mask in expected.items())
    assert info.timings.encoder_calls == 10
    assert info.notes == ["a line on the device", GOES_ON, "a line on the processor"]
    assert info.loaded is not None and info.loaded.device == "cpu"

    again = RunInfo()
    list(service.segment(choice, source, prompt, again))
    assert again.timings.encoder_calls == 0, "whoever made the embeddings"
    assert GOES_ON in again.notes and computer.made == ["cuda", "cpu"]


def test_from_a_batch_to_smaller_ones_to_one_to_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way down, with a real network."""
    monkeypatch.setattr(batches, "LONGEST_SECONDS", float("inf"))
    limit, memory = BatchLimit(4), FakeDeviceMemory(10**12)
    notes: list[str] = []
    on_device = TorchRuntime(small_network(limit), "cpu", memory=memory, notes=notes)
    ladder = DeviceFallback(
        lambda device: (on_device, notes) if device == "cuda" else (TorchRuntime(small_network(), "cpu"), []),
        ["cuda", "cpu"],
    )
    prepared = list(np.random.default_rng(0).random((9, 3, 64, 64), dtype=np.float32))
    first, _maker = ladder.run(lambda runtime: runtime.encode_many(prepared))
    limit.most = 0
    second, _maker = ladder.run(lambda runtime: runtime.encode_many(prepared))
    assert limit.asked == [1, 8, 4, 4, 4, 2, 1]
    assert [note.partition(":")[0].split(" for ")[-1] for note in notes] == [
        "8 slices at once",
        "4 slices at once",
        "2 slices at once",
    ]
    assert ladder.notes == [*notes, GOES_ON] and ladder.runtime is not on_device
    assert all(np.abs(one - other).max() < 1e-5 for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("converted", [True, False])
def test_a_model_is_loaded_with_the_processor_to_fall_back_on(
    converted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With OpenVINO where the model is converted for it already: nobody waits for that in the middle of a run."""
    openvino_models = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_models", reason="needs openvino")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    computer, wanted = Computer(TightRuntime(encodings=0)), []

    def make(runtime: str, device: str, network: NetworkFile) -> tuple[Runtime, list[str]]:
        wanted.append((runtime, device))
        return computer.make(device)

    monkeypatch.setattr(choose, "make_runtime", make)
    file = NetworkFile(CATALOGUE["medsam"], SMALL_FAMILIES["medsam"], tmp_path, "c" * 64)
    if converted:
        folder = openvino_models.kept_folder(file.identity)
        folder.mkdir(parents=True)
        for name in ("encoder.xml", "encoder.bin", "decoder.xml", "decoder.bin"):
            (folder / name).touch()
    ladder = choose.runtime_with_fallback("auto", "cuda", file)
    assert wanted == [("auto", "cuda")]
    ladder.run(lambda runtime: runtime.encode(np.zeros((3, 8, 8), np.float32)))
    assert wanted[1:] == [("auto" if converted else "torch", "cpu")] and ladder.runtime.device == "cpu"
    assert choose.runtime_with_fallback("openvino", "cpu", file).runtime.device == "cpu"
    assert wanted[2:] == [("openvino", "cpu")]
