"""A real inference process with a service of the tests, seen from its parent."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.diagnostics.child_log import is_log_line
from MedSAMSlicerLib.engine.environment import NICENESS
from MedSAMSlicerLib.engine.errors import InputError, MedSAMError, WeightsError, WorkerError
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving import codec
from MedSAMSlicerLib.engine.serving.framing import PROTOCOL_VERSION, Message, encode, read_messages
from support.threshold_service import FOLDER, ImageStack, ThresholdService, bright_inside, noise_stack

pytestmark = pytest.mark.slow

CHOICE = ModelChoice()
BOX = Box(3, 4, 20, 15)
PROMPT = StackPrompt({4: BOX}, (1, 6))


class Parent:
    """The parent process: sends requests and receives responses."""

    def __init__(self, service: str, repository: Any) -> None:
        paths = [str(repository / "MedSAMSlicer"), str(FOLDER)]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "MedSAMSlicerLib.engine.serving.worker",
                "--service",
                f"support.threshold_service:{service}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        # A worker that does not respond fails the test instead of blocking it.
        self.watchdog = threading.Timer(20, self.process.kill)
        self.watchdog.start()
        self.messages = read_messages(self.stdout)
        self.greeting = self.receive()

    def send(self, kind: str, fields: dict[str, Any] | None = None, image: np.ndarray | None = None) -> None:
        self.stdin.write(encode(Message(kind, fields or {}, {} if image is None else {"image": image})))
        self.stdin.flush()

    def receive(self) -> Message:
        message = next((message for message in self.messages if message.kind != "alive"), None)
        assert message is not None, self.stderr.read().decode()
        return message

    def preview(self, job: int, image: np.ndarray | None, choice: ModelChoice = CHOICE) -> None:
        prompt, _ = codec.slice_prompt_parts("prompt", SlicePrompt(box=BOX))
        self.send("preview", {"job": job, **codec.choice_fields(choice), **prompt}, image)

    def encode(self, job: int, image: np.ndarray) -> None:
        self.send("encode", {"job": job, **codec.choice_fields(CHOICE)}, image)

    def segment(self, job: int, stack: ImageStack, prompt: StackPrompt = PROMPT, choice: ModelChoice = CHOICE) -> None:
        geometry = {"shape": list(stack.shape), "spacing": list(stack.spacing)}
        fields, _ = codec.stack_prompt_parts(prompt)
        self.send("segment", {"job": job, **codec.choice_fields(choice), **fields, **geometry})

    def supply(self, request: Message, stack: ImageStack) -> None:
        index = request.integer("index")
        self.send("slice", {"job": request.integer("job"), "index": index}, stack.slice_uint8(index))

    def until(self, stack: ImageStack, kind: str) -> tuple[Message, list[Message]]:
        """The next message of a kind, and those before it. Slices are supplied when they are needed."""
        others = []
        while (message := self.receive()).kind != kind:
            if message.kind == "need_slice":
                self.supply(message, stack)
            else:
                others.append(message)
        return message, others

    def ended_within(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        self.watchdog.cancel()
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture
def worker(repository: Any) -> Iterator[Callable[[str], Parent]]:
    started: list[Parent] = []

    def start(service: str = "ThresholdService") -> Parent:
        started.append(Parent(service, repository))
        return started[-1]

    yield start
    for parent in started:
        parent.close()


def error_of(message: Message) -> MedSAMError:
    assert message.kind == "failed", message
    return codec.read_error(message)


def assert_same_results(received: list[SliceResult], expected: list[SliceResult]) -> None:
    assert [result.index for result in received] == [result.index for result in expected]
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.box, one.predicted_iou, one.confidence) == (other.box, other.predicted_iou, other.confidence)
        assert (one.needs_review, one.key) == (other.needs_review, other.key)


def test_greeting_preview_and_encode_are_answered_in_order(worker: Callable[..., Parent]) -> None:
    parent, image = worker(), noise_stack().images[0]
    assert (parent.greeting.kind, parent.greeting.integer("version")) == ("hello", PROTOCOL_VERSION)
    parent.encode(2, image)
    encoded = parent.receive()
    assert (encoded.kind, encoded.integer("job")) == ("finished", 2)
    parent.preview(3, image)
    prediction = codec.read_prediction(parent.receive())
    np.testing.assert_array_equal(prediction.mask, bright_inside(image, BOX))


def test_logits_come_only_from_models_that_can_go_on_from_them(worker: Callable[..., Parent]) -> None:
    parent, image = worker(), noise_stack().images[0]
    for job, model, expected in ((1, "litemedsam", np.zeros((0, 0))), (2, "sam_med2d", image[::2, ::2])):
        parent.preview(job, image, ModelChoice(model))
        np.testing.assert_array_equal(codec.read_prediction(parent.receive()).low_res_logits, expected)


def test_a_preview_without_an_image_is_of_the_slice_before(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.preview(1, None)
    assert "image" in str(error_of(parent.receive()))
    parent.segment(2, stack)
    needed = parent.receive()
    # Of these only the last one is answered; its slice came with another.
    parent.preview(3, stack.images[2])
    parent.preview(4, stack.images[5])
    parent.preview(5, None)
    parent.supply(needed, stack)
    _, events = parent.until(stack, "finished")
    [prediction] = [event for event in events if event.kind == "prediction"]
    assert prediction.integer("job") == 5
    np.testing.assert_array_equal(codec.read_prediction(prediction).mask, bright_inside(stack.images[5], BOX))


def test_a_run_asks_for_its_slices_and_gives_the_results_of_the_engine_called_directly(
    worker: Callable[..., Parent],
) -> None:
    parent, stack, info = worker(), noise_stack(), RunInfo()
    expected = list(ThresholdService().segment(CHOICE, noise_stack(), PROMPT, info))
    parent.segment(1, stack)
    finished, events = parent.until(stack, "finished")
    assert {event.kind for event in events} == {"slice_result"}
    assert_same_results([codec.read_result(event) for event in events], expected)
    assert codec.read_info(finished) == info
    assert stack.read == [4, 5, 6, 3, 2, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_the_engine_does_not_wait_for_an_application_that_draws(worker: Callable[..., Parent]) -> None:
    import fcntl

    assert fcntl.fcntl(worker().stdout, fcntl.F_GETPIPE_SZ) >= 1 << 20


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="POSIX only")
def test_the_user_interface_has_the_processor_first(worker: Callable[..., Parent]) -> None:
    parent = worker()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, parent.process.pid) == min(own + NICENESS, 19)


def test_a_second_run_finds_the_model_loaded(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    for job in (1, 2):
        parent.segment(job, stack)
        assert codec.read_info(parent.until(stack, "finished")[0]).notes == ["loaded 1 times"]


def test_a_cancel_is_acknowledged_within_a_slice_and_the_next_request_served(
    worker: Callable[..., Parent],
) -> None:
    parent, stack = worker("SlowService"), noise_stack(200)
    parent.segment(1, stack, StackPrompt({0: BOX}, (0, 199)))
    parent.until(stack, "slice_result")
    read = len(stack.read)
    parent.send("cancel", {"job": 1})
    acknowledged, late = parent.until(stack, "cancelled")
    assert acknowledged.integer("job") == 1
    assert len(late) <= 2 and len(stack.read) <= read + 2
    parent.preview(2, stack.images[0])
    assert parent.receive().kind == "prediction"


def test_a_cancel_is_seen_while_the_run_waits_for_a_slice(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    assert parent.receive().kind == "need_slice"
    parent.send("cancel", {"job": 1})
    assert parent.receive().kind == "cancelled"


def test_a_cancel_overtakes_what_waits_before_the_run(worker: Callable[..., Parent]) -> None:
    parent, stack = worker("SlowService"), noise_stack(signal_on=0)
    parent.encode(1, stack.images[0])
    parent.segment(2, stack)
    parent.send("cancel", {"job": 2})
    assert [parent.receive().kind for _ in range(2)] == ["finished", "cancelled"]
    assert stack.read == []


def test_a_slice_that_waits_to_be_encoded_is_dropped_and_the_one_under_way_is_not(
    worker: Callable[..., Parent],
) -> None:
    parent, stack = worker("SlowService"), noise_stack(signal_on=0)
    for job in (1, 2):
        parent.encode(job, stack.images[0])
    parent.preview(3, stack.images[1])
    for job in (1, 2):
        parent.send("cancel", {"job": job})
    answers = {(message := parent.receive()).integer("job"): message.kind for _ in range(3)}
    assert answers[2] == "cancelled" and answers[3] == "prediction"
    assert answers[1] in ("finished", "cancelled"), "as the cancel came while it was encoded, or before"


def test_a_cancel_after_the_end_of_a_run_has_no_effect(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    parent.until(stack, "finished")
    parent.send("cancel", {"job": 1})
    parent.segment(2, stack)
    assert parent.until(stack, "finished")[0].integer("job") == 2


def test_of_previews_that_wait_only_the_newest_is_answered(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    needed = parent.receive()
    for job in range(2, 7):
        parent.preview(job, stack.images[job])
    parent.supply(needed, stack)
    _, events = parent.until(stack, "finished")
    answers = [event for event in events if event.kind != "slice_result"]
    kinds = {answer.integer("job"): answer.kind for answer in answers}
    assert kinds == {**dict.fromkeys(range(2, 6), "superseded"), 6: "prediction"}
    [prediction] = [answer for answer in answers if answer.kind == "prediction"]
    np.testing.assert_array_equal(codec.read_prediction(prediction).mask, bright_inside(stack.images[6], BOX))


def test_a_preview_of_the_runs_model_is_answered_between_two_slices(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    needed = parent.receive()
    parent.preview(2, stack.images[5])
    parent.supply(needed, stack)
    _, events = parent.until(stack, "finished")
    assert [event.kind for event in events] == ["slice_result", "prediction", *["slice_result"] * 5]


def test_a_preview_of_another_model_waits_for_the_runs_end(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    needed = parent.receive()
    parent.preview(2, stack.images[5], ModelChoice("medsam"))
    parent.supply(needed, stack)
    finished, events = parent.until(stack, "finished")
    assert codec.read_info(finished).notes == ["loaded 1 times"]
    assert {event.kind for event in events} == {"slice_result"}
    assert parent.receive().kind == "prediction"


def test_output_of_libraries_does_not_mix_with_the_messages(worker: Callable[..., Parent]) -> None:
    parent, stack = worker("PrintingService"), noise_stack()
    parent.segment(1, stack, StackPrompt({4: BOX}, (4, 5)))
    finished, events = parent.until(stack, "finished")
    assert len(events) == 2 and codec.read_info(finished).loaded is not None
    parent.stdin.close()
    printed = parent.stderr.read()
    for words in (b"42%", b"without an end", b"first standard output", b"compiled code", b"by a child"):
        assert printed.count(words) == 2


def test_an_error_meant_for_the_user_arrives_as_it_was_raised(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    for choice, kind in ((ModelChoice("no-such-model"), InputError), (ModelChoice(weights="/no/such"), WeightsError)):
        with pytest.raises(kind) as expected:
            ThresholdService().load(choice)
        parent.send("encode", {"job": 1, **codec.choice_fields(choice)}, stack.images[0])
        parent.preview(2, stack.images[0], choice)
        parent.segment(3, stack, choice=choice)
        for error in [error_of(parent.receive()) for _ in range(3)]:
            assert type(error) is kind
            assert str(error) == str(expected.value)
    parent.stdin.close()
    records = parent.stderr.read().decode()
    assert all(is_log_line(line) for line in records.splitlines())
    assert "no-such-model" not in records and "/no/such" not in records


def test_running_out_of_memory_is_named_and_the_process_goes_on(worker: Callable[..., Parent]) -> None:
    parent, stack = worker("OutOfMemoryService"), noise_stack(signal_on=4)
    parent.segment(1, stack)
    error = error_of(parent.until(stack, "failed")[0])
    assert type(error) is WorkerError and "ran out of memory" in str(error)
    parent.encode(2, stack.images[4])
    assert "ran out of memory" in str(error_of(parent.receive()))
    parent.segment(3, stack, StackPrompt({6: BOX}, (5, 7)))
    assert parent.until(stack, "finished")[0].integer("job") == 3


def test_an_unexpected_error_is_reported_in_one_line_with_its_traceback_in_the_log(
    worker: Callable[..., Parent],
) -> None:
    parent, stack = worker("RaisingService"), noise_stack(signal_on=5)
    parent.segment(1, stack)
    failed, events = parent.until(stack, "failed")
    assert len(events) == 1
    error = error_of(failed)
    assert "ValueError: operands could not be broadcast together with shapes (3,) (4,)" in str(error)
    assert "\n" not in str(error)
    parent.stdin.close()
    log = parent.stderr.read().decode()
    assert "ERROR:MedSAMSlicer." in log and "Traceback" in log and "in compute" in log


def test_a_missing_package_is_named(worker: Callable[..., Parent]) -> None:
    parent = worker("unimportable")
    parent.encode(1, noise_stack().images[0])
    assert "'a_package_that_nobody_has'" in str(error_of(parent.receive()))


def test_an_invalid_request_fails_alone(worker: Callable[..., Parent]) -> None:
    parent = worker()
    invalid: list[tuple[str, dict[str, Any]]] = [
        ("encode", {}),
        ("encode", {"choice": {"model": 3, "weights": None, "device": "cpu", "runtime": "auto"}}),
        ("preview", codec.choice_fields(CHOICE)),
        ("segment", {**codec.choice_fields(CHOICE), **codec.stack_prompt_parts(PROMPT)[0], "shape": [1, 2]}),
        ("dance", {}),
    ]
    for kind, fields in invalid:
        parent.send(kind, {"job": 1, **fields})
        assert type(error_of(parent.receive())) is WorkerError
    parent.encode(2, noise_stack().images[0])
    assert parent.receive().kind == "finished"


def test_a_slice_of_the_wrong_size_fails_the_run(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    parent.supply(parent.receive(), noise_stack(rows=21))
    assert "(21, 30)" in str(error_of(parent.receive()))


def test_the_process_ends_with_its_standard_input(worker: Callable[..., Parent]) -> None:
    parent = worker()
    parent.encode(1, noise_stack().images[0])
    parent.receive()
    parent.stdin.close()
    assert parent.ended_within(5.0) == 0


def test_the_process_ends_with_its_standard_input_even_inside_a_computation(worker: Callable[..., Parent]) -> None:
    parent, stack = worker("UninterruptibleService"), noise_stack(signal_on=4)
    parent.segment(1, stack)
    parent.supply(parent.receive(), stack)
    parent.stdin.close()
    assert parent.ended_within(5.0) == 0


def test_the_process_ends_when_nobody_reads_its_answers(worker: Callable[..., Parent]) -> None:
    parent, stack = worker(), noise_stack()
    parent.segment(1, stack)
    assert parent.receive().kind == "need_slice"
    parent.stdout.close()
    parent.send("slice", {"job": 1, "index": 4}, stack.images[4])
    assert parent.ended_within(5.0) == 0


@pytest.mark.parametrize("sent", [1, 5, 20])
def test_the_process_ends_when_the_application_ends_inside_a_message(worker: Callable[..., Parent], sent: int) -> None:
    """Nobody reads what it would say of it then."""
    parent = worker()
    message = encode(Message("cancel", {"job": 7}))
    assert sent < len(message)
    parent.stdin.write(message[:sent])
    parent.stdin.flush()
    parent.stderr.close()
    parent.stdout.close()
    parent.stdin.close()
    assert parent.ended_within(5.0) == 1


def test_other_input_than_messages_ends_the_process_with_a_line_that_says_so(worker: Callable[..., Parent]) -> None:
    parent = worker()
    parent.stdin.write(b"GET / HTTP/1.1\r\n")
    parent.stdin.flush()
    assert parent.ended_within(5.0) == 1
    assert b"GET" in parent.stderr.read()


def test_the_process_starts_without_the_heavy_libraries(repository: Any) -> None:
    listing = "import sys, MedSAMSlicerLib.engine.serving.worker; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", listing],
        env={**os.environ, "PYTHONPATH": str(repository / "MedSAMSlicer")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "numpy" in modules
    assert not {"torch", "slicer", "vtk", "scipy", "SimpleITK"} & set(modules)
