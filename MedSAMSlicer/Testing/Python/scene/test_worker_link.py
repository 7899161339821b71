"""The inference process as the application has it: started when needed, fed, cancelled, replaced."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bright_service import FOLDER, SIGNAL, BrightService, ImageStack, bright_inside, noise_stack
from MedSAMSlicerLib.engine import wire
from MedSAMSlicerLib.engine.direct import DirectRunner
from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WeightsError, WorkerError
from MedSAMSlicerLib.engine.messages import PROTOCOL_VERSION, Message, MessageReader, encode
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.runner import RunListener, Runner, Stage
from MedSAMSlicerLib.engine.service_types import LoadedModel, ModelChoice, RunInfo
from MedSAMSlicerLib.scene.transports import (
    SubprocessTransport,
    TransportListener,
    worker_command,
    worker_environment,
)
from MedSAMSlicerLib.scene.worker_link import WorkerLink

CHOICE = ModelChoice()
BOX = Box(3, 4, 20, 15)
PROMPT = StackPrompt({4: BOX}, (1, 6))


@dataclass
class Told:
    """What a run told."""

    results: list[SliceResult] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    infos: list[RunInfo] = field(default_factory=list)
    errors: list[MedSAMError] = field(default_factory=list)

    @property
    def over(self) -> bool:
        assert len(self.infos) + len(self.errors) <= 1
        return bool(self.infos or self.errors)

    @property
    def error(self) -> MedSAMError:
        assert not self.infos
        [error] = self.errors
        assert "\n" not in str(error)
        return error

    def listener(self, on_slice: Callable[[SliceResult], None] | None = None) -> RunListener:
        def slice_found(result: SliceResult) -> None:
            assert not self.over
            self.results.append(result)
            if on_slice is not None:
                on_slice(result)

        return RunListener(slice_found, self.infos.append, self.errors.append, self.stages.append)


def drive(runner: Runner, done: Callable[[], bool], seconds: float = 15.0) -> float:
    """Step until `done`; the seconds that it took."""
    begin = time.monotonic()
    while not done():
        assert time.monotonic() - begin < seconds, "the runner came to no end"
        runner.step(0.02)
    return time.monotonic() - begin


def run(
    runner: Runner,
    stack: ImageStack,
    prompt: StackPrompt = PROMPT,
    on_slice: Callable[[SliceResult], None] | None = None,
    choice: ModelChoice = CHOICE,
) -> Told:
    """A run from its beginning to its end."""
    told = Told()
    runner.segment(choice, stack, prompt, told.listener(on_slice))
    drive(runner, lambda: told.over)
    assert not runner.running
    return told


def assert_same_results(received: list[SliceResult], expected: list[SliceResult]) -> None:
    assert [result.index for result in received] == [result.index for result in expected]
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.box, one.predicted_iou, one.confidence) == (other.box, other.predicted_iou, other.confidence)
        assert (one.flagged, one.key) == (other.flagged, other.key)


Link = Callable[..., WorkerLink]


@pytest.fixture
def link() -> Iterator[Link]:
    """Makes links to real processes with one of the engines of `bright_service`, or with another command."""
    made: list[WorkerLink] = []

    def make(service: str = "BrightService", command: list[str] | None = None, **more: Any) -> WorkerLink:
        command = command or worker_command(f"bright_service:{service}")
        environment = worker_environment([FOLDER])
        made.append(WorkerLink(lambda: SubprocessTransport(command, environment), **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def process_of(link: WorkerLink) -> int:
    assert isinstance(link.transport, SubprocessTransport) and link.transport.pid is not None
    return link.transport.pid


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# A run


@pytest.mark.parametrize(
    "prompt", [PROMPT, StackPrompt({2: BOX, 5: Box(0.5, 0, 9.5, 9)}), StackPrompt.from_box3d(0, 7, BOX)]
)
def test_a_run_in_the_process_gives_what_the_engine_called_directly_gives(link: Link, prompt: StackPrompt) -> None:
    direct = run(DirectRunner(BrightService()), noise_stack(), prompt)
    there = run(link(), noise_stack(), prompt)
    assert len(direct.results) >= 6
    assert_same_results(there.results, direct.results)
    assert there.infos == direct.infos
    assert there.stages == [Stage.STARTING, Stage.LOADING, Stage.SEGMENTING]
    assert direct.stages == [Stage.LOADING, Stage.SEGMENTING]


@pytest.mark.slow
def test_the_real_engine_gives_in_its_process_what_it_gives_when_called_directly(litemedsam_weights: Path) -> None:
    from MedSAMSlicerLib.engine.service import SegmentationService

    stack, prompt = noise_stack(3, 48, 64), StackPrompt({1: Box(10, 8, 50, 40)}, (1, 1))
    stack.images[:, 12:36, 16:44] //= 8
    link = WorkerLink(lambda: SubprocessTransport(worker_command(), worker_environment()))
    there, direct = Told(), Told()
    for runner, told in ((link, there), (DirectRunner(SegmentationService()), direct)):
        runner.segment(CHOICE, stack, prompt, told.listener())
        drive(runner, lambda told=told: told.over, seconds=200)
        runner.close()
    [one], [other] = there.results, direct.results
    assert np.mean(one.mask != other.mask) < 0.001
    assert one.predicted_iou == pytest.approx(other.predicted_iou, abs=1e-3)
    assert one.mask[12:36, 16:44].mean() > 0.9
    assert there.infos[0].loaded == direct.infos[0].loaded


def test_nothing_is_started_before_it_is_needed_and_two_runs_share_a_process(link: Link) -> None:
    one = link()
    assert one.transport is None and one.idle
    first = run(one, noise_stack())
    pid = process_of(one)
    second = run(one, noise_stack())
    assert process_of(one) == pid
    assert first.infos[0].notes == second.infos[0].notes == ["loaded 1 times"]
    assert second.stages == [Stage.LOADING, Stage.SEGMENTING]
    assert one.idle


def test_a_second_run_at_the_same_time_is_refused(link: Link) -> None:
    for runner in (link(), DirectRunner(BrightService())):
        told = Told()
        runner.segment(CHOICE, noise_stack(), PROMPT, told.listener())
        with pytest.raises(InputError, match="cancel"):
            runner.segment(CHOICE, noise_stack(), PROMPT, told.listener())
        drive(runner, lambda told=told: told.over)
        assert len(told.results) == 6


def test_a_prompt_outside_the_stack_is_refused_before_anything_starts(link: Link) -> None:
    one = link()
    with pytest.raises(InputError, match="slice 8"):
        one.segment(CHOICE, noise_stack(), StackPrompt({8: BOX}), Told().listener())
    assert one.transport is None and not one.running


def test_errors_of_the_engine_keep_their_kind_and_the_process_stays(link: Link) -> None:
    one = link()
    assert type(run(one, noise_stack(), choice=ModelChoice("no-such-model")).error) is InputError
    pid = process_of(one)
    assert type(run(one, noise_stack(), choice=ModelChoice(weights="/no/such")).error) is WeightsError
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) == pid


def test_both_ways_of_running_explain_a_mistake_in_the_engine_alike(link: Link) -> None:
    from bright_service import BuggyService

    there = run(link("BuggyService"), noise_stack(signal_on=5))
    direct = run(DirectRunner(BuggyService()), noise_stack(signal_on=5))
    assert str(there.error) == str(direct.error)
    assert len(there.results) == len(direct.results) == 1


# Cancel


def test_a_cancel_at_any_slice_ends_the_run_within_half_a_second_and_keeps_the_process(link: Link) -> None:
    one = link("SlowService")
    run(one, noise_stack())
    pid = process_of(one)
    for stop_at in (0, 1, 4):
        told, stack = Told(), noise_stack(100)
        one.segment(CHOICE, stack, StackPrompt({0: BOX}, (0, 99)), told.listener())
        drive(one, lambda told=told, stop_at=stop_at: len(told.results) > stop_at)
        one.cancel()
        assert drive(one, lambda told=told: told.over) < 0.5
        assert isinstance(told.error, Cancelled)
        assert len(told.results) < stop_at + 3
        assert process_of(one) == pid
    assert len(run(one, noise_stack()).results) == 6


def test_a_cancel_from_within_a_callback_lets_no_further_slice_through(link: Link) -> None:
    for runner in (link(), DirectRunner(BrightService())):
        told = run(runner, noise_stack(), on_slice=lambda _, runner=runner: runner.cancel())
        assert isinstance(told.error, Cancelled)
        assert len(told.results) == 1
        assert len(run(runner, noise_stack()).results) == 6


def test_a_cancel_from_within_the_reading_of_a_slice_ends_the_run_there(link: Link) -> None:
    class CancelledWhileRead(ImageStack):
        runner: Runner

        def slice_uint8(self, index: int) -> np.ndarray:
            self.runner.cancel()
            return super().slice_uint8(index)

    for runner in (link(), DirectRunner(BrightService())):
        stack = CancelledWhileRead(noise_stack().images)
        stack.runner = runner
        told = run(runner, stack)
        assert isinstance(told.error, Cancelled)
        assert told.results == [] and stack.read == [4]


def test_a_cancel_before_the_process_is_up_ends_the_run(link: Link) -> None:
    one, told, stack = link(), Told(), noise_stack()
    one.segment(CHOICE, stack, PROMPT, told.listener())
    one.cancel()
    assert drive(one, lambda: told.over) < 1.0
    assert isinstance(told.error, Cancelled)
    assert stack.read == []
    assert len(run(one, noise_stack()).results) == 6


def test_a_process_that_ignores_a_cancel_is_replaced_in_time(link: Link) -> None:
    one, told, stack = link("StubbornService"), Told(), noise_stack(signal_on=4)
    one.segment(CHOICE, stack, PROMPT, told.listener())
    drive(one, lambda: stack.read == [4])
    time.sleep(0.2)  # until it is deep in its computation
    pid = process_of(one)
    one.cancel()
    assert 0.4 < drive(one, lambda: told.over) < 1.0
    assert isinstance(told.error, Cancelled)
    assert one.transport is None and one.idle
    assert not exists(pid)
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) != pid


def test_a_failed_reading_of_a_slice_ends_the_run_with_its_reason_and_keeps_the_process(link: Link) -> None:
    class Deleted(ImageStack):
        def slice_uint8(self, index: int) -> np.ndarray:
            if index == 6:
                raise InputError("volume 'CT' was deleted: choose another")
            return super().slice_uint8(index)

    one = link()
    told = run(one, Deleted(noise_stack().images))
    assert type(told.error) is InputError and "CT" in str(told.error)
    assert len(told.results) == 2
    pid = process_of(one)
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) == pid


# Processes that fail


def test_a_killed_process_is_reported_and_replaced(link: Link) -> None:
    one = link("SlowService")
    told = run(one, noise_stack(), on_slice=lambda _: os.kill(process_of(one), signal.SIGKILL))
    assert type(told.error) is WorkerError
    assert "SIGKILL" in str(told.error) and "memory" in str(told.error)
    assert one.transport is None and one.idle
    assert len(run(one, noise_stack()).results) == 6


def test_a_process_that_dies_is_reported_with_its_last_words(link: Link) -> None:
    one = link("DyingService")
    error = run(one, noise_stack(signal_on=5)).error
    assert type(error) is WorkerError
    assert "status 3" in str(error)
    assert "driver: device lost | fatal: giving up" in str(error)
    assert len(run(one, noise_stack()).results) == 6


def test_a_process_that_died_while_idle_is_replaced_without_a_word(link: Link) -> None:
    one = link()
    run(one, noise_stack())
    pid = process_of(one)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) != pid


def test_a_process_that_gives_no_answer_is_ended(link: Link) -> None:
    one, told, stack = link("StubbornService", answer_timeout=0.6), Told(), noise_stack(signal_on=5)
    run(one, noise_stack())
    pid = process_of(one)
    one.segment(CHOICE, stack, PROMPT, told.listener())
    assert 0.5 < drive(one, lambda: told.over) < 1.5
    assert "no answer for 0.6 s" in str(told.error)
    assert not exists(pid)
    assert len(run(one, noise_stack()).results) == 6


def test_slices_that_are_slow_to_come_are_not_held_against_the_process(link: Link) -> None:
    class Slow(ImageStack):
        def slice_uint8(self, index: int) -> np.ndarray:
            time.sleep(0.3)
            return super().slice_uint8(index)

    one = link(answer_timeout=0.25)
    drive_started(one)
    told = run(one, Slow(noise_stack().images), StackPrompt({4: BOX}, (4, 6)))
    assert len(told.results) == 3 and told.infos


def drive_started(link: WorkerLink) -> None:
    """Have the process up, without a timeout to fear on a busy machine."""
    loaded: list[LoadedModel] = []
    timeout, link._answer_timeout = link._answer_timeout, 15.0
    link.load(CHOICE, loaded.append)
    drive(link, lambda: bool(loaded))
    link._answer_timeout = timeout


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("print('Downloading model: 42%', flush=True)", id="prints"),
        pytest.param("import os; os.write(1, bytes(range(256)) * 4000)", id="binary"),
    ],
)
def test_rubbish_on_standard_output_ends_the_process(link: Link, script: str) -> None:
    one = link(command=[sys.executable, "-c", f"{script}; import time; time.sleep(60)"])
    told = Told()
    one.segment(CHOICE, noise_stack(), PROMPT, told.listener())
    pid = process_of(one)
    drive(one, lambda: told.over)
    assert type(told.error) is WorkerError and "make no sense" in str(told.error)
    assert not exists(pid)


def test_a_program_that_does_not_exist_is_named(link: Link) -> None:
    one = link(command=["/no/such/python"])
    with pytest.raises(WorkerError, match="/no/such/python"):
        one.segment(CHOICE, noise_stack(), PROMPT, Told().listener())
    assert one.idle and not one.running


def test_a_python_without_this_package_is_reported(link: Link) -> None:
    one = link(command=[sys.executable, "-m", "no_such_package"])
    assert "No module named no_such_package" in str(run(one, noise_stack()).error)


def test_a_child_that_keeps_standard_error_open_does_not_hide_the_end(link: Link) -> None:
    script = "import subprocess, sys; subprocess.Popen(['sleep', '5'], stdin=0, stdout=2); sys.exit('the end')"
    one, told = link(command=[sys.executable, "-c", script]), Told()
    one.segment(CHOICE, noise_stack(), PROMPT, told.listener())
    assert drive(one, lambda: told.over) < 3
    assert "the end" in str(told.error)


# Much at once


def test_large_slices_and_results_do_not_stop_each_other(link: Link) -> None:
    images = np.random.default_rng(6).integers(0, 256, (4, 1500, 2000), dtype=np.uint8)
    whole, stack = Box.of_slice(1500, 2000), ImageStack(images)
    predictions: list[Prediction] = []
    one = link()

    def ask_for_more(_: SliceResult) -> None:
        for _index in range(3):
            one.preview(CHOICE, images[0], whole, predictions.append)

    told = run(one, stack, StackPrompt({0: whole}, (0, 3)), ask_for_more)
    drive(one, lambda: one.idle)
    for result in told.results:
        np.testing.assert_array_equal(result.mask, images[result.index] >= 128)
    assert len(told.results) == 4
    assert 1 <= len(predictions) <= 12
    np.testing.assert_array_equal(predictions[-1].mask, images[0] >= 128)


def test_a_write_never_waits_for_a_process_that_does_not_read() -> None:
    transport = SubprocessTransport([sys.executable, "-c", "import time; time.sleep(60)"])
    transport.start(TransportListener(lambda _: None, lambda _: None, lambda _: None))
    begin = time.monotonic()
    transport.write(bytes(50_000_000))
    assert time.monotonic() - begin < 0.5
    assert transport.waiting_bytes > 49_000_000
    transport.kill()
    assert transport.pid is None


def test_only_the_newest_of_several_previews_is_answered(link: Link) -> None:
    one, images = link("SlowService"), noise_stack().images
    images[0, 0, 0] = SIGNAL
    answered: list[tuple[int, Prediction]] = []
    for index in range(6):
        one.preview(CHOICE, images[index], BOX, lambda prediction, index=index: answered.append((index, prediction)))
    drive(one, lambda: one.idle)
    assert len(answered) <= 3
    index, prediction = answered[-1]
    assert index == 5
    np.testing.assert_array_equal(prediction.mask, bright_inside(images[5], BOX))


def test_load_and_encode_can_be_asked_for_ahead(link: Link) -> None:
    loaded: list[LoadedModel] = []
    errors: list[MedSAMError] = []
    for runner in (link(), DirectRunner(BrightService())):
        runner.load(CHOICE, loaded.append)
        runner.load(ModelChoice("no-such-model"), loaded.append, errors.append)
        runner.encode(CHOICE, noise_stack().images[0], errors.append)
        drive(runner, lambda runner=runner: runner.idle)
    assert loaded == [BrightService().load(CHOICE)] * 2
    assert [type(error) for error in errors] == [InputError] * 2


def test_a_listener_may_begin_the_next_run_when_one_is_over(link: Link) -> None:
    for runner in (link(), DirectRunner(BrightService())):
        second = Told()

        def again(_: object, runner: Runner = runner, second: Told = second) -> None:
            runner.segment(CHOICE, noise_stack(), PROMPT, second.listener())

        runner.segment(CHOICE, noise_stack(), PROMPT, RunListener(lambda _: None, again, again))
        drive(runner, lambda second=second: second.over)
        assert len(second.results) == 6


def test_a_callback_that_raises_costs_no_messages(link: Link) -> None:
    one, told, raised = link(), Told(), []

    def fail_once(_: SliceResult) -> None:
        if not raised:
            raised.append(True)
            raise RuntimeError("a mistake of the face")

    one.segment(CHOICE, noise_stack(), PROMPT, told.listener(fail_once))
    with pytest.raises(RuntimeError, match="of the face"):
        drive(one, lambda: told.over)
    drive(one, lambda: told.over)
    assert len(told.results) == 6 and told.infos


def test_closing_ends_the_process_and_the_run_and_the_link_can_be_used_again(link: Link) -> None:
    one, told, stack = link("StubbornService"), Told(), noise_stack(signal_on=4)
    one.segment(CHOICE, stack, PROMPT, told.listener())
    drive(one, lambda: stack.read == [4])
    pid = process_of(one)
    one.close()
    assert isinstance(told.error, Cancelled)
    assert not exists(pid) and one.idle
    assert len(run(one, noise_stack()).results) == 6


# Answers that are well-formed and wrong, and time: a process that is played by the test


class PlayedProcess:
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        self.reader = MessageReader()
        self.received: list[Message] = []
        self.ended = ""

    def start(self, listener: TransportListener) -> None:
        self.listener = listener

    def write(self, data: bytes) -> None:
        self.received += self.reader.feed(data)

    def pump(self, timeout: float) -> None:
        """The test drives."""

    def kill(self) -> None:
        self.ended = "killed"

    def close(self) -> None:
        self.ended = "closed"

    def say(self, kind: str, fields: dict[str, Any] | None = None, arrays: dict[str, Any] | None = None) -> None:
        self.listener.on_bytes(encode(Message(kind, fields or {}, arrays or {})))

    def greet(self) -> None:
        self.say("hello", {"version": PROTOCOL_VERSION})

    def find(self, index: int, mask: np.ndarray, job: int = 1) -> None:
        fields, arrays = wire.result_parts(SliceResult(index, mask, None, 0.5, 0.5, False))
        self.say("slice_result", {"job": job, **fields}, arrays)


@dataclass
class Theatre:
    """A link whose processes and clock are in the test's hands."""

    processes: list[PlayedProcess] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.link = WorkerLink(self.make, answer_timeout=60.0, clock=lambda: self.now)

    def make(self) -> PlayedProcess:
        self.processes.append(PlayedProcess())
        return self.processes[-1]

    def begin(self) -> Told:
        told = Told()
        self.link.segment(CHOICE, noise_stack(), PROMPT, told.listener())
        return told

    def pass_time(self, seconds: float, every: float = 0.1) -> None:
        for _ in range(round(seconds / every)):
            self.now += every
            self.link.tick()


@pytest.fixture
def played() -> Theatre:
    return Theatre()


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
    ],
)
def test_answers_that_do_not_fit_end_the_process(played: Theatre, answer: Callable[[PlayedProcess], Any]) -> None:
    told = played.begin()
    [process] = played.processes
    process.greet()
    answer(process)
    assert type(told.error) is WorkerError and "make no sense" in str(told.error)
    assert process.ended == "killed"
    assert played.link.idle and not played.link.running
    process.find(5, MASK)
    assert all(result.index == 3 for result in told.results)


def test_a_process_of_another_version_is_not_used(played: Theatre) -> None:
    told = played.begin()
    played.processes[0].say("hello", {"version": PROTOCOL_VERSION + 1})
    assert "restart" in str(told.error)
    assert played.processes[0].ended == "killed"


def test_answers_before_the_greeting_end_the_process(played: Theatre) -> None:
    told = played.begin()
    played.processes[0].say("need_slice", {"job": 1, "index": 4})
    assert "greeting" in str(told.error)


def test_a_process_hangs_when_it_owes_an_answer_too_long(played: Theatre) -> None:
    told = played.begin()
    [process] = played.processes
    played.pass_time(55)
    process.greet()
    played.pass_time(55)
    process.say("need_slice", {"job": 1, "index": 4})
    assert [message.kind for message in process.received] == ["segment", "slice"]
    played.pass_time(55)
    assert not told.over and process.ended == ""
    played.pass_time(6)
    assert "no answer for 60 s" in str(told.error)
    assert process.ended == "killed"


def test_an_idle_process_may_be_silent_for_ever(played: Theatre) -> None:
    told = played.begin()
    [process] = played.processes
    process.greet()
    process.say("finished", {"job": 1, **wire.info_fields(RunInfo())})
    assert told.infos and played.link.idle
    played.pass_time(1000, every=1.0)
    played.begin()
    played.pass_time(1)
    assert process.ended == "" and len(played.processes) == 1


def test_a_computer_that_slept_does_not_take_its_process_for_hanging(played: Theatre) -> None:
    told = played.begin()
    played.pass_time(8 * 3600, every=8 * 3600)
    assert not told.over
    assert played.processes[0].ended == ""


def test_a_result_that_crosses_the_cancel_is_dropped_and_the_run_cancelled(played: Theatre) -> None:
    told = played.begin()
    [process] = played.processes
    process.greet()
    process.find(3, MASK)
    played.link.cancel()
    process.find(4, MASK)
    process.say("need_slice", {"job": 1, "index": 5})
    assert not told.over
    process.say("finished", {"job": 1, **wire.info_fields(RunInfo())})
    assert isinstance(told.error, Cancelled)
    assert [result.index for result in told.results] == [3]
    assert [message.kind for message in process.received] == ["segment", "cancel"]
    played.pass_time(2)
    assert process.ended == ""


def test_a_process_that_dies_of_a_cancel_leaves_a_cancelled_run(played: Theatre) -> None:
    told = played.begin()
    played.link.cancel()
    played.processes[0].listener.on_exit(-11)
    assert isinstance(told.error, Cancelled)


def test_a_process_that_could_not_be_started_after_all_is_reported(played: Theatre) -> None:
    told = played.begin()
    played.processes[0].listener.on_exit(None)
    assert "could not be started" in str(told.error)


def test_everybody_is_told_of_a_lost_process_even_if_one_of_them_raises(played: Theatre) -> None:
    told, errors = played.begin(), []

    def fail(error: MedSAMError) -> None:
        errors.append(error)
        raise RuntimeError("a mistake of the face")

    played.link.preview(CHOICE, noise_stack().images[0], BOX, lambda _: None, fail)
    played.link.encode(CHOICE, noise_stack().images[0], errors.append)
    with pytest.raises(RuntimeError, match="of the face"):
        played.processes[0].listener.on_exit(1)
    assert len(errors) == 2
    assert type(told.error) is WorkerError
    assert played.link.idle
