"""The next slice is encoded while this one is worked on: the same embeddings, each made once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from MedSAMSlicerLib.engine.predictor import Predictor
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation import propagate
from support.plain_model import PlainRuntime, plain_predictor
from support.shapes import ellipsoid, stack_of, textured_slice

ONE, OTHER = textured_slice(40, 50, 1), textured_slice(40, 50, 2)


def test_what_was_begun_ahead_is_what_is_asked_for() -> None:
    predictor, plain = plain_predictor(), plain_predictor()
    predictor.embed_ahead(ONE)
    assert np.array_equal(predictor.embed(ONE), plain.embed(ONE))
    assert predictor.timings.encoder_calls == 1
    predictor.embed_ahead(ONE)
    predictor.embed(ONE)
    assert predictor.timings.encoder_calls == 1, "it is known already"


def test_what_was_begun_in_vain_is_kept_and_the_other_is_made() -> None:
    predictor, plain = plain_predictor(), plain_predictor()
    predictor.embed_ahead(OTHER)
    assert np.array_equal(predictor.embed(ONE), plain.embed(ONE))
    assert predictor.timings.encoder_calls == 2
    predictor.embed(OTHER)
    assert predictor.timings.encoder_calls == 2


def test_it_goes_on_beside_other_work_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = plain_predictor()
    may_go_on, running = threading.Event(), []

    def slowly(runtime: PlainRuntime, prepared: np.ndarray) -> np.ndarray:
        running.append(threading.current_thread().name)
        may_go_on.wait(10)
        return prepared[:1].copy()

    monkeypatch.setattr(PlainRuntime, "encode", slowly)
    predictor.embed_ahead(ONE)
    predictor.embed_ahead(OTHER)
    may_go_on.set()
    predictor.embed(ONE)
    assert len(running) == 1 and running[0].startswith("encode-ahead")


def test_its_error_reaches_whoever_asks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = plain_predictor()

    def broken(runtime: PlainRuntime, prepared: np.ndarray) -> np.ndarray:
        raise MemoryError("no memory")

    monkeypatch.setattr(PlainRuntime, "encode", broken)
    predictor.embed_ahead(ONE)
    with pytest.raises(MemoryError):
        predictor.embed(ONE)


@pytest.mark.parametrize(("device", "ahead"), [("cuda", True), ("mps", True), ("cpu", False)])
def test_a_run_encodes_ahead_where_the_processor_is_free(
    device: str, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = stack_of(ellipsoid((12, 50, 60), (5.5, 25.0, 30.0), (5.0, 12.0, 15.0)))
    prompt = StackPrompt.from_box3d(1, 10, Box(14, 12, 46, 38))
    in_turn = {result.index: result.mask for result in propagate(source, prompt, plain_predictor())}
    threads = []
    encode = PlainRuntime.encode

    def watched(runtime: PlainRuntime, prepared: np.ndarray) -> np.ndarray:
        threads.append(threading.current_thread().name)
        return encode(runtime, prepared)

    monkeypatch.setattr(PlainRuntime, "encode", watched)
    predictor: Predictor = plain_predictor()
    predictor.runtime.device = device
    found = {result.index: result.mask for result in propagate(source, prompt, predictor)}
    assert sorted(found) == sorted(in_turn)
    assert all(np.array_equal(found[index], mask) for index, mask in in_turn.items())
    assert predictor.timings.encoder_calls == 10 == len(threads)
    assert sum(name.startswith("encode-ahead") for name in threads) == (9 if ahead else 0)
