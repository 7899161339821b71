"""However fast the mouse is, one preview is under way, and the newest is the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import WorkerError
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt
from MedSAMSlicerLib.engine.results import Prediction

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.editing.slice_preview import PreviewQueue, PreviewRequest  # noqa: E402

ANSWER = Prediction(np.zeros((2, 2), bool), 0.5, np.zeros((1, 1), np.float32))


class Engine:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[PreviewRequest] = []
        self.waiting: list[tuple[Callable[[Any], None], Callable[[Any], None]]] = []
        self.shown: list[PreviewRequest] = []
        self.failed: list[Exception] = []
        self.queue = PreviewQueue(self.ask, lambda request, _answer: self.shown.append(request), self.failed.append)

    def ask(self, request: PreviewRequest, on_answer: Callable[[Any], None], on_failed: Callable[[Any], None]) -> None:
        self.asked.append(request)
        self.waiting.append((on_answer, on_failed))

    def answer(self) -> None:
        self.waiting.pop(0)[0](ANSWER)

    def fail(self) -> None:
        self.waiting.pop(0)[1](WorkerError("it died"))


def moves(count: int) -> list[PreviewRequest]:
    return [PreviewRequest(3, SlicePrompt(Box(0, 0, n + 1, n + 1))) for n in range(count)]


def test_of_many_moves_the_first_and_the_last_are_answered() -> None:
    engine, requests = Engine(), moves(20)
    for request in requests:
        engine.queue.request(request)
    assert engine.asked == requests[:1]
    engine.answer()
    assert engine.asked == [requests[0], requests[-1]]
    engine.answer()
    assert engine.shown == [requests[0], requests[-1]]
    assert not engine.queue.busy


def test_what_was_dropped_is_not_shown_but_makes_way_for_the_next() -> None:
    engine, requests = Engine(), moves(3)
    engine.queue.request(requests[0])
    engine.queue.request(requests[1])
    engine.queue.drop()
    assert engine.queue.busy  # the engine has not answered yet
    engine.queue.request(requests[2])
    assert len(engine.asked) == 1
    engine.answer()
    assert engine.asked == [requests[0], requests[2]]
    engine.answer()
    assert engine.shown == [requests[2]]


def test_a_failure_is_told_once_and_ends_what_waits() -> None:
    engine, requests = Engine(), moves(3)
    for request in requests:
        engine.queue.request(request)
    engine.fail()
    assert len(engine.failed) == 1 and len(engine.asked) == 1
    assert not engine.queue.busy
    engine.queue.request(requests[1])
    engine.queue.drop()
    engine.queue.request(requests[2])
    engine.fail()
    assert len(engine.failed) == 1
    assert engine.asked[-1] == requests[2]


def test_requests_wait_while_what_they_need_is_not_there() -> None:
    engine, requests = Engine(), moves(5)
    engine.queue.pause(True)
    for request in requests:
        engine.queue.request(request)
    assert engine.asked == [] and engine.queue.busy
    engine.queue.pause(False)
    assert engine.asked == requests[-1:]


def test_an_engine_that_cannot_be_asked_is_a_failure() -> None:
    failed: list[Exception] = []

    def refuse(*_: Any) -> None:
        raise WorkerError("it does not start")

    queue = PreviewQueue(refuse, lambda *_: None, failed.append)
    queue.request(moves(1)[0])
    assert [str(error) for error in failed] == ["it does not start"]
    assert not queue.busy
