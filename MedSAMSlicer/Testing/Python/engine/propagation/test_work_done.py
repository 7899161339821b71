"""How much work a run does, counted: calls of the networks, and slices that are fetched.

Seconds depend on the computer and on what else it does; these numbers do not. One that rises has to be meant. Bytes
through the pipes of the inference process: scene/worker/test_bytes_through_pipes.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.model_choice import Timings
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from support.shapes import ellipsoid, stack_of
from support.threshold_model import ThresholdRuntime, threshold_predictor

SHAPE = (40, 60, 70)
TRUTH = ellipsoid(SHAPE, (19.5, 30, 35), (10, 14, 16))
SOURCE = stack_of(TRUTH)
AROUND = Box.from_mask(TRUTH.any(axis=0))
HELD = np.flatnonzero(TRUTH.any(axis=(1, 2)))
FIRST, LAST = int(HELD[0]), int(HELD[-1])
COUNT = LAST - FIRST + 1
assert AROUND is not None
BOX3D = StackPrompt.from_box3d(FIRST, LAST, AROUND)


def work_of(prompt: StackPrompt, cache: EmbeddingCache | None = None) -> Timings:
    predictor = threshold_predictor(cache)
    assert list(propagate(SOURCE, prompt, predictor))
    return predictor.timings


def test_a_3d_box_encodes_each_slice_once_and_asks_it_twice_at_most() -> None:
    work = work_of(BOX3D)
    assert work.encoder_calls == COUNT
    assert COUNT <= work.decoder_calls <= 2 * COUNT


def test_a_second_box_on_the_same_slices_encodes_nothing() -> None:
    cache = EmbeddingCache()
    work_of(BOX3D, cache)
    assert AROUND is not None
    assert work_of(StackPrompt.from_box3d(FIRST, LAST, AROUND.padded(1, 1)), cache).encoder_calls == 0


def test_key_slices_encode_each_slice_between_them_once() -> None:
    keys = {index: Box.from_mask(TRUTH[index]) for index in (FIRST, 19, LAST)}
    work = work_of(StackPrompt({index: box for index, box in keys.items() if box}, (FIRST, LAST)))
    assert work.encoder_calls == COUNT
    assert work.decoder_calls <= 2 * COUNT


def test_an_open_end_looks_at_one_slice_beyond_the_object_at_most() -> None:
    box = Box.from_mask(TRUTH[19])
    assert box is not None
    work = work_of(StackPrompt({19: box}))
    assert work.encoder_calls <= COUNT + 2
    assert work.decoder_calls <= 2 * (COUNT + 2)


@pytest.mark.parametrize(("opinion", "questions"), [(0.89, 2), (0.95, 1)])
def test_an_open_end_is_asked_twice_only_where_the_model_is_not_sure(
    monkeypatch: pytest.MonkeyPatch, opinion: float, questions: int
) -> None:
    decode = ThresholdRuntime.decode

    def with_opinion(
        runtime: ThresholdRuntime, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        logits, ious = decode(runtime, embedding, prompts, multimask)
        return logits, np.where(ious > 0.5, opinion, ious).astype(np.float32)

    monkeypatch.setattr(ThresholdRuntime, "decode", with_opinion)
    upright = np.zeros(SHAPE, bool)
    upright[10:30, 20:40, 20:50] = True
    predictor = threshold_predictor(EmbeddingCache(1 << 30))
    found = list(propagate(stack_of(upright), StackPrompt({19: Box(20, 20, 49, 39)}), predictor))
    assert len(found) == 20
    # The key slice, its neighbours, and the slices beyond the ends, where nothing is found and both are asked.
    assert predictor.timings.decoder_calls == 1 + 19 * questions + 2 * 2


@pytest.mark.parametrize("slices", [30, 300])
def test_slices_outside_the_reach_cost_nothing(slices: int) -> None:
    truth = np.zeros((slices, *SHAPE[1:]), bool)
    truth[: SHAPE[0] - 12] = TRUTH[6:-6]
    predictor = threshold_predictor()
    assert AROUND is not None
    list(propagate(stack_of(truth), StackPrompt.from_box3d(FIRST - 6, LAST - 6, AROUND), predictor))
    assert predictor.timings.encoder_calls == COUNT


class CountedSource:
    """The stack as the inference process has it: each slice that is fetched crosses a pipe."""

    def __init__(self) -> None:
        self.fetched: Counter[int] = Counter()

    shape = SOURCE.shape
    spacing = SOURCE.spacing

    def slice_uint8(self, index: int) -> np.ndarray:
        self.fetched[index] += 1
        return SOURCE.slice_uint8(index)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    "prompt",
    [BOX3D, StackPrompt({FIRST: AROUND, 19: AROUND, LAST: AROUND}, (FIRST, LAST)), StackPrompt({19: AROUND})],
    ids=["3D box", "key slices", "open ends"],
)
def test_each_slice_is_fetched_once_however_often_it_is_looked_at(prompt: StackPrompt, device: str) -> None:
    source, predictor = CountedSource(), threshold_predictor()
    predictor.runtime.device = device
    assert len(list(propagate(source, prompt, predictor))) >= COUNT - 2
    # Key slices and those that an open end begins with are come back to after others.
    again = {index: count for index, count in source.fetched.items() if count > 1}
    assert set(again) <= set(prompt.slices) and max(source.fetched.values()) <= 2
    assert len(source.fetched) <= COUNT + 4
