"""On a graphics device slices and prompts go in batches: as large as memory allows, smaller where it does not.

There is no such device where these tests run: the network is real and on the processor, the memory is a fake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.runtimes import batches as batches_module
from MedSAMSlicerLib.engine.runtimes.batches import Batches
from MedSAMSlicerLib.engine.runtimes.torch_runtime import MOST_SLICES, TorchRuntime
from support.fake_device_memory import BatchLimit, FakeDeviceMemory, cublas_error, cuda_error, mps_error
from support.small_network import SMALL, small_network

PLENTY = 10**12


@pytest.fixture(autouse=True)
def _time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "LONGEST_SECONDS", float("inf"))


PREPARED = list(np.random.default_rng(0).random((11, 3, SMALL, SMALL), dtype=np.float32))


def doubled(limit: BatchLimit) -> Callable[[Sequence[int]], list[int]]:
    def work(batch: Sequence[int]) -> list[int]:
        limit(len(batch))
        return [2 * one for one in batch]

    return work


def test_the_first_is_alone_and_what_it_took_tells_how_many_fit_into_half_of_what_is_free() -> None:
    memory = FakeDeviceMemory(free_bytes=1000)
    limit = BatchLimit(99, memory=memory)
    batches = Batches("slices", 8, memory, [])
    assert batches.size == 1
    assert batches.run(range(10), doubled(limit)) == [2 * n for n in range(10)]
    assert limit.asked == [1, 5, 4]
    memory.free_bytes = 400
    assert batches.size == 2, "another program has taken memory"
    memory.free_bytes = 50
    assert batches.size == 1
    memory.free_bytes = PLENTY
    assert batches.size == 8


def test_no_batch_keeps_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "LONGEST_SECONDS", 0.25)
    now = [0.0]

    def slowly(batch: Sequence[int]) -> list[int]:
        now[0] += 0.07 * len(batch)
        return list(batch)

    batches = Batches("slices", 8, FakeDeviceMemory(PLENTY), [], clock=lambda: now[0])
    batches.run(range(4), slowly)
    assert batches.size == 3, "0.21 s"


@pytest.mark.parametrize("error", [cuda_error, mps_error, cublas_error])
def test_where_memory_is_not_enough_after_all_batches_are_halved_and_nothing_is_lost(
    error: Callable[[], Exception],
) -> None:
    memory, notes, limit = FakeDeviceMemory(PLENTY), [], BatchLimit(2, error)
    batches = Batches("slices", 8, memory, notes)
    assert batches.run(range(9), doubled(limit)) == [2 * n for n in range(9)]
    assert limit.asked == [1, 8, 4, 2, 2, 2, 2]
    assert memory.released == 2, "what PyTorch keeps is given back before the next try"
    assert notes == [
        "the graphics device had not enough memory for 8 slices at once: 4 at once from here on",
        "the graphics device had not enough memory for 4 slices at once: 2 at once from here on",
    ]
    batches.run(range(4), doubled(limit))
    assert limit.asked[7:] == [2, 2], "it is not tried again"


def test_one_that_does_not_fit_and_other_errors_are_the_callers() -> None:
    batches = Batches("slices", 8, FakeDeviceMemory(PLENTY), [])
    with pytest.raises(RuntimeError, match="MPS backend out of memory"):
        batches.run(range(3), doubled(BatchLimit(0, mps_error)))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        batches.run(range(3), doubled(BatchLimit(1, lambda: RuntimeError("an illegal memory access was encountered"))))


def test_slices_in_batches_are_those_of_one_by_one() -> None:
    memory = FakeDeviceMemory(PLENTY)
    limit = BatchLimit(4, memory=memory)
    notes: list[str] = []
    runtime = TorchRuntime(small_network(limit), "cpu", memory=memory, notes=notes)
    assert runtime.slices_at_once == 1
    together = runtime.encode_many(PREPARED)
    assert limit.asked == [1, 8, 4, 4, 2] and len(notes) == 1
    assert runtime.slices_at_once == 4 < MOST_SLICES
    alone = TorchRuntime(small_network(), "cpu")
    assert alone.slices_at_once == 1
    for one, prepared in zip(together, PREPARED, strict=True):
        assert one.base is None, "one that is kept keeps no others"
        assert np.abs(one - alone.encode(prepared)).max() < 1e-5


def test_prompts_in_batches_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FakeDeviceMemory(free_bytes=1000)
    runtime, alone = TorchRuntime(small_network(), "cpu", memory=memory), TorchRuntime(small_network(), "cpu")
    asked = []
    decode = TorchRuntime._decode

    def watched(self: TorchRuntime, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], *further: object):
        asked.append(len(prompts))
        memory.holds(len(prompts))
        return decode(self, embedding, prompts, *further)

    embedding = alone.encode(PREPARED[0])
    prompts = [NetworkPrompt(np.array([n, n, n + 20, n + 30], np.float32)) for n in range(7)]
    for several in (False, True):
        expected = alone.decode(embedding, prompts, several)
        monkeypatch.setattr(TorchRuntime, "_decode", watched)
        found = runtime.decode(embedding, prompts, several)
        monkeypatch.undo()
        for mine, other in zip(found, expected, strict=True):
            assert mine.shape == other.shape and mine.dtype == np.float32 and np.abs(mine - other).max() < 1e-5
    assert asked == [1, 5, 1, 5, 2]
