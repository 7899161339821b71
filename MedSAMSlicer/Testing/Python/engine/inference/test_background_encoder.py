"""The next slices are encoded while this one is worked on: the same embeddings, each made once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from support.shapes import ellipsoid, stack_of, textured_slice
from support.threshold_model import ThresholdFamily, ThresholdRuntime, threshold_predictor

ONE, OTHER = textured_slice(40, 50, 1), textured_slice(40, 50, 2)


def test_what_was_begun_ahead_is_what_is_asked_for() -> None:
    predictor, plain = threshold_predictor(), threshold_predictor()
    predictor.embed_ahead([ONE])
    assert np.array_equal(predictor.embed(ONE), plain.embed(ONE))
    assert predictor.timings.encoder_calls == 1
    predictor.embed_ahead([ONE])
    predictor.embed(ONE)
    assert predictor.timings.encoder_calls == 1, "it is known already"


def test_what_is_known_is_answered_while_another_slice_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = threshold_predictor()
    predictor.embed(ONE)
    answered, in_time = threading.Event(), []

    def after_the_answer(runtime: ThresholdRuntime, prepared: np.ndarray) -> np.ndarray:
        in_time.append(answered.wait(10))
        return prepared[:1].copy()

    monkeypatch.setattr(ThresholdRuntime, "encode", after_the_answer)
    predictor.embed_ahead([OTHER])
    assert predictor.predict(ONE, Box(10, 10, 30, 30)).mask.shape == ONE.shape
    answered.set()
    predictor.embed(OTHER)
    assert in_time == [True]


def test_what_was_begun_in_vain_is_kept_and_the_other_is_made() -> None:
    predictor, plain = threshold_predictor(), threshold_predictor()
    predictor.embed_ahead([OTHER])
    assert np.array_equal(predictor.embed(ONE), plain.embed(ONE))
    assert predictor.timings.encoder_calls == 2
    predictor.embed(OTHER)
    assert predictor.timings.encoder_calls == 2


def test_it_goes_on_beside_other_work_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = threshold_predictor()
    may_go_on, running = threading.Event(), []

    def slowly(runtime: ThresholdRuntime, prepared: np.ndarray) -> np.ndarray:
        running.append(threading.current_thread().name)
        may_go_on.wait(10)
        return prepared[:1].copy()

    monkeypatch.setattr(ThresholdRuntime, "encode", slowly)
    predictor.embed_ahead([ONE])
    predictor.embed_ahead([OTHER])
    may_go_on.set()
    predictor.embed(ONE)
    assert len(running) == 1 and running[0].startswith("background-encoder")


def test_its_error_reaches_whoever_asks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = threshold_predictor()

    def broken(runtime: ThresholdRuntime, prepared: np.ndarray) -> np.ndarray:
        raise MemoryError("no memory")

    monkeypatch.setattr(ThresholdRuntime, "encode", broken)
    predictor.embed_ahead([ONE])
    with pytest.raises(MemoryError):
        predictor.embed(ONE)


@pytest.mark.parametrize(("device", "ahead"), [("cuda", True), ("mps", True), ("cpu", False)])
def test_a_run_encodes_ahead_where_the_processor_is_free(
    device: str, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = stack_of(ellipsoid((12, 50, 60), (5.5, 25.0, 30.0), (5.0, 12.0, 15.0)))
    prompt = StackPrompt.from_box3d(1, 10, Box(14, 12, 46, 38))
    in_turn = {result.index: result.mask for result in propagate(source, prompt, threshold_predictor())}
    threads = []
    encode = ThresholdRuntime.encode

    def watched(runtime: ThresholdRuntime, prepared: np.ndarray) -> np.ndarray:
        threads.append(threading.current_thread().name)
        return encode(runtime, prepared)

    monkeypatch.setattr(ThresholdRuntime, "encode", watched)
    predictor: Predictor = threshold_predictor()
    predictor.runtime.device = device
    found = {result.index: result.mask for result in propagate(source, prompt, predictor)}
    assert sorted(found) == sorted(in_turn)
    assert all(np.array_equal(found[index], mask) for index, mask in in_turn.items())
    assert predictor.timings.encoder_calls == 10 == len(threads)
    assert sum(name.startswith("background-encoder") for name in threads) == (9 if ahead else 0)


class BatchRuntime(ThresholdRuntime):
    """Takes up to four slices at once, on something that is no processor."""

    device = "cuda"
    slices_at_once = 4

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        self.batches.append(len(prepared))
        return super().encode_many(prepared)


def batches_of(prompt: StackPrompt, cache: EmbeddingCache | None = None) -> tuple[list[int], Predictor]:
    """How many slices were encoded at once, call by call, and the masks' equality with those of one by one checked."""
    source = stack_of(ellipsoid((12, 50, 60), (5.5, 25.0, 30.0), (5.0, 12.0, 15.0)))
    runtime = BatchRuntime()
    predictor = Predictor(ThresholdFamily(), runtime, "threshold", cache)
    found = {result.index: result.mask for result in propagate(source, prompt, predictor)}
    in_turn = {result.index: result.mask for result in propagate(source, prompt, threshold_predictor())}
    assert sorted(found) == sorted(in_turn)
    assert all(np.array_equal(found[index], mask) for index, mask in in_turn.items())
    return runtime.batches, predictor


def test_several_slices_go_together_where_the_device_takes_them() -> None:
    batches, predictor = batches_of(StackPrompt.from_box3d(1, 10, Box(14, 12, 46, 38)))
    assert batches == [1, 4, 4, 1]
    assert predictor.timings.encoder_calls == 10


def test_between_key_slices_too() -> None:
    box = Box(14, 12, 46, 38)
    batches, predictor = batches_of(StackPrompt({1: box, 10: box}, (1, 10)))
    assert batches == [1, 1, 1, 4, 3]
    assert predictor.timings.encoder_calls == 10


def test_one_slice_at_most_is_encoded_in_vain_where_nobody_knows_where_the_object_ends() -> None:
    batches, predictor = batches_of(StackPrompt({5: Box(14, 12, 46, 38)}))
    assert set(batches) == {1}
    in_turn = threshold_predictor()
    source = stack_of(ellipsoid((12, 50, 60), (5.5, 25.0, 30.0), (5.0, 12.0, 15.0)))
    assert list(propagate(source, StackPrompt({5: Box(14, 12, 46, 38)}), in_turn))
    assert len(batches) <= in_turn.timings.encoder_calls + 2, "one at each end"


@pytest.mark.parametrize(("kept", "largest"), [(8, 4), (4, 2), (3, 1), (1, 1)])
def test_no_more_are_encoded_ahead_than_the_cache_keeps(kept: int, largest: int) -> None:
    size = threshold_predictor().embed(ONE).nbytes
    batches, _predictor = batches_of(StackPrompt.from_box3d(1, 10, Box(14, 12, 46, 38)), EmbeddingCache(kept * size))
    assert max(batches) == largest
    assert sum(batches) == 10 or kept == 1
