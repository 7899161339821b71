"""Invalid messages and timeouts, with a fake of the inference process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, MedSAMError, WorkerError
from MedSAMSlicerLib.engine.model_choice import RunInfo
from MedSAMSlicerLib.engine.prompts import StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving import codec
from MedSAMSlicerLib.engine.serving.framing import PROTOCOL_VERSION
from MedSAMSlicerLib.scene.worker.active_run import Stage
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.fake_worker_process import FakeWorkerProcess
from support.threshold_service import noise_stack
from support.worker_runs import BOX, CHOICE, PROMPT, CallbackRecorder


@dataclass
class WorkerClientFixture:
    """A client whose processes and clock the test controls."""

    processes: list[FakeWorkerProcess] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.client = WorkerClient(self.make, answer_timeout=30.0, clock=lambda: self.now)

    def make(self) -> FakeWorkerProcess:
        self.processes.append(FakeWorkerProcess())
        return self.processes[-1]

    def begin(self) -> CallbackRecorder:
        recorded = CallbackRecorder()
        self.client.segment(CHOICE, noise_stack(), PROMPT, recorded.listener())
        return recorded

    def pass_time(self, seconds: float, every: float = 0.1) -> None:
        for _ in range(round(seconds / every)):
            self.now += every
            self.client.step()


@pytest.fixture
def client_fixture() -> WorkerClientFixture:
    return WorkerClientFixture()


MASK = np.zeros((20, 30), bool)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda process: process.say("need_slice", {"job": 1, "index": 8}), id="slice outside"),
        pytest.param(lambda process: process.say("need_slice", {"job": 1}), id="no index"),
        pytest.param(lambda process: process.say("need_slice", {"job": 7, "index": 1}), id="another job"),
        pytest.param(lambda process: process.say("need_slice", {"index": 1}), id="no job"),
        pytest.param(lambda process: process.say("prediction", {"job": 1}), id="another kind of answer"),
        pytest.param(lambda process: process.say("finished", {"job": 1}), id="finished without info"),
        pytest.param(lambda process: process.say("failed", {"job": 1}), id="failed without reason"),
        pytest.param(lambda process: process.find(3, MASK[1:]), id="mask of another size"),
        pytest.param(lambda process: process.find(-1, MASK), id="result outside"),
        pytest.param(lambda process: [process.find(3, MASK) for _ in range(2)], id="slice twice"),
        pytest.param(
            lambda process: [process.find(3, MASK, provisional=later) for later in (False, True)],
            id="first answer after the result",
        ),
    ],
)
def test_invalid_messages_end_the_process(
    client_fixture: WorkerClientFixture, answer: Callable[[FakeWorkerProcess], Any]
) -> None:
    recorded = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    answer(process)
    assert type(recorded.error) is WorkerError and "invalid message" in str(recorded.error)
    assert process.ended == "killed"
    assert client_fixture.client.idle and not client_fixture.client.running
    process.find(5, MASK)
    assert all(result.index == 3 for result in recorded.results)


def test_a_slice_may_have_first_answers_before_its_result(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    for provisional in (True, True, False):
        process.find(3, MASK, provisional=provisional)
    process.say_together([process.end()])
    assert recorded.infos and [result.provisional for result in recorded.results] == [True, True, False]


def test_a_process_of_another_version_is_not_used(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    client_fixture.processes[0].say("hello", {"version": PROTOCOL_VERSION + 1})
    assert "restart" in str(recorded.error)
    assert client_fixture.processes[0].ended == "killed"


def test_messages_before_the_greeting_end_the_process(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    client_fixture.processes[0].say("need_slice", {"job": 1, "index": 4})
    assert "greeting" in str(recorded.error)


def test_a_process_with_a_pending_request_is_killed_after_the_timeout(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    [process] = client_fixture.processes
    client_fixture.pass_time(25)
    process.greet()
    client_fixture.pass_time(25)
    process.say("need_slice", {"job": 1, "index": 4})
    assert [message.kind for message in process.received] == ["segment", "slice"]
    client_fixture.pass_time(25)
    assert not recorded.over and process.ended == ""
    client_fixture.pass_time(6)
    assert "did not respond for 30 s" in str(recorded.error)
    assert process.ended == "killed"


def test_an_idle_process_has_no_timeout(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    process.say("finished", {"job": 1, **codec.info_fields(RunInfo())})
    assert recorded.infos and client_fixture.client.idle
    client_fixture.pass_time(1000, every=1.0)
    client_fixture.begin()
    client_fixture.pass_time(1)
    assert process.ended == "" and len(client_fixture.processes) == 1


def test_a_suspended_computer_does_not_cause_a_timeout(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    client_fixture.pass_time(8 * 3600, every=8 * 3600)
    assert not recorded.over
    assert client_fixture.processes[0].ended == ""


def test_a_process_that_computes_for_long_is_not_killed(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    process.say("need_slice", {"job": 1, "index": 4})
    for _ in range(20):
        client_fixture.pass_time(25)
        process.say("alive")
    assert not recorded.over and process.ended == ""
    client_fixture.pass_time(31)
    assert "did not respond for 30 s" in str(recorded.error) and process.ended == "killed"


def test_a_cancelled_run_is_over_at_once_and_its_later_messages_are_ignored(
    client_fixture: WorkerClientFixture,
) -> None:
    recorded = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    process.find(3, MASK)
    client_fixture.client.cancel()
    process.find(4, MASK)
    assert not recorded.over, "whoever cancels may be in the middle of removing a node"
    client_fixture.client.step()
    assert isinstance(recorded.error, Cancelled) and not client_fixture.client.running
    process.find(5, MASK)
    process.say("need_slice", {"job": 1, "index": 5})
    assert not client_fixture.client.idle, "the process still finishes a slice"
    process.say("cancelled", {"job": 1})
    assert client_fixture.client.idle
    assert [result.index for result in recorded.results] == [3]
    assert [message.kind for message in process.received] == ["segment", "cancel"]
    assert process.ended == ""


@pytest.mark.parametrize("end", ["finished", "failed", "cancelled"])
def test_the_next_run_waits_for_the_slice_of_a_cancelled_one(client_fixture: WorkerClientFixture, end: str) -> None:
    first = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    process.say("need_slice", {"job": 1, "index": 4})
    client_fixture.client.cancel()
    client_fixture.client.step()
    second = client_fixture.begin()
    assert second.stages == [Stage.SEGMENTING], "the model is loaded"
    process.find(4, MASK)
    fields = {
        "finished": codec.info_fields(RunInfo()),
        "failed": codec.error_fields(WorkerError("inference ran out of memory")),
        "cancelled": {},
    }[end]
    process.say(end, {"job": 1, **fields})
    process.find(2, MASK, job=2)
    process.say("finished", {"job": 2, **codec.info_fields(RunInfo())})
    assert [result.index for result in second.results] == [2] and second.infos
    assert isinstance(first.error, Cancelled) and first.results == []
    assert len(client_fixture.processes) == 1 and process.ended == ""


def test_a_process_that_never_ends_a_cancelled_run_is_killed_when_it_is_silent(
    client_fixture: WorkerClientFixture,
) -> None:
    first = client_fixture.begin()
    [process] = client_fixture.processes
    process.greet()
    client_fixture.client.cancel()
    client_fixture.pass_time(25)
    process.say("alive")
    second = client_fixture.begin()
    client_fixture.pass_time(25)
    assert process.ended == ""
    client_fixture.pass_time(6)
    assert process.ended == "killed"
    assert isinstance(first.error, Cancelled)
    assert type(second.error) is WorkerError and "did not respond for 30 s" in str(second.error)


def test_a_run_is_cancelled_if_the_process_dies_after_a_cancel(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    client_fixture.client.cancel()
    client_fixture.processes[0].listener.on_exit(-11)
    client_fixture.client.step()
    assert isinstance(recorded.error, Cancelled) and client_fixture.client.idle


def test_a_process_that_fails_to_start_later_is_reported(client_fixture: WorkerClientFixture) -> None:
    recorded = client_fixture.begin()
    client_fixture.processes[0].listener.on_exit(None)
    assert "could not be started" in str(recorded.error)


def test_all_requests_fail_when_the_process_is_lost_even_if_a_callback_raises(
    client_fixture: WorkerClientFixture,
) -> None:
    recorded, errors = client_fixture.begin(), []

    def fail(error: MedSAMError) -> None:
        errors.append(error)
        raise RuntimeError("a defect of the caller")

    client_fixture.client.preview(CHOICE, noise_stack().images[0], BOX, lambda _: None, fail)
    client_fixture.client.encode(CHOICE, noise_stack().images[0], errors.append)
    with pytest.raises(RuntimeError, match="of the caller"):
        client_fixture.processes[0].listener.on_exit(1)
    assert len(errors) == 2
    assert type(recorded.error) is WorkerError
    assert client_fixture.client.idle


def test_the_slice_of_a_preview_is_sent_once_to_each_process(client_fixture: WorkerClientFixture) -> None:
    client, (one, other) = client_fixture.client, noise_stack().images[:2]

    def sent(image: np.ndarray) -> bool:
        client.preview(CHOICE, image, BOX, lambda _prediction: None)
        process = client_fixture.processes[-1]
        if len(process.received) == 1:
            process.greet()
        process.say("superseded", {"job": process.jobs("preview")[-1]})
        assert client.idle
        return "image" in process.received[-1].arrays

    assert [sent(image) for image in (one, one, other, other, one, one)] == [True, False, True, False, True, False]
    client.close()
    assert [sent(image) for image in (one, one)] == [True, False]


def test_a_burst_of_messages_is_taken_in_portions(client_fixture: WorkerClientFixture) -> None:
    """Each takes the time of a large slice: the application gets its turn between two portions, and nothing is lost."""
    recorded = CallbackRecorder()

    def take(result: SliceResult) -> None:
        client_fixture.now += 0.004
        recorded.results.append(result)

    client = client_fixture.client
    client.segment(
        CHOICE, noise_stack(200), StackPrompt({0: BOX}, (0, 199)), replace(recorded.listener(), on_slice=take)
    )
    [process] = client_fixture.processes
    process.greet()
    assert not client.reading
    process.say_together([*(process.result(index, MASK) for index in range(100)), process.end()])
    portions = [len(recorded.results)]
    while client.reading:
        before = len(recorded.results)
        client.step()
        portions.append(len(recorded.results) - before)
    assert sum(portions) == 100 and max(portions) <= 3
    assert len(recorded.infos) == 1 and client.idle


def test_a_burst_is_over_at_once_when_the_run_is_cancelled(client_fixture: WorkerClientFixture) -> None:
    recorded = CallbackRecorder()

    def take(result: SliceResult) -> None:
        client_fixture.now += 0.004
        recorded.results.append(result)

    client = client_fixture.client
    client.segment(
        CHOICE, noise_stack(200), StackPrompt({0: BOX}, (0, 199)), replace(recorded.listener(), on_slice=take)
    )
    [process] = client_fixture.processes
    process.greet()
    process.say_together([process.result(index, MASK) for index in range(100)])
    client.cancel()
    count = len(recorded.results)
    client.step()
    assert isinstance(recorded.error, Cancelled) and len(recorded.results) == count
    assert not client.reading, "what waits is dropped together"


def test_what_a_process_sent_before_its_end_is_delivered(client_fixture: WorkerClientFixture) -> None:
    recorded = CallbackRecorder()

    def take(result: SliceResult) -> None:
        client_fixture.now += 0.004
        recorded.results.append(result)

    client = client_fixture.client
    client.segment(
        CHOICE, noise_stack(200), StackPrompt({0: BOX}, (0, 199)), replace(recorded.listener(), on_slice=take)
    )
    [process] = client_fixture.processes
    process.greet()
    process.say_together([*(process.result(index, MASK) for index in range(50)), process.end()])
    process.listener.on_exit(0)
    assert len(recorded.results) == 50 and len(recorded.infos) == 1
    assert recorded.errors == []
