"""Inference processes that die, hang or send invalid data, and concurrent requests."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WorkerError
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.scene.worker.active_run import RunListener
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.in_process_client import Client, InProcessClient
from support.threshold_service import SIGNAL, ImageStack, ThresholdService, bright_inside, noise_stack
from support.worker_runs import (
    BOX,
    CHOICE,
    PROMPT,
    CallbackRecorder,
    WorkerClientFactory,
    drive,
    exists,
    process_of,
    run,
)

pytestmark = pytest.mark.slow


def test_a_killed_process_is_reported_and_replaced(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client("SlowService")
    recorded = run(one, noise_stack(), on_slice=lambda _: os.kill(process_of(one), signal.SIGKILL))
    assert type(recorded.error) is WorkerError
    assert "SIGKILL" in str(recorded.error) and "memory" in str(recorded.error)
    assert one.transport is None and one.idle
    assert len(run(one, noise_stack()).results) == 6


def test_a_process_that_dies_is_reported_with_its_last_output(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client("CrashingService")
    error = run(one, noise_stack(signal_on=5)).error
    assert type(error) is WorkerError
    assert "status 3" in str(error)
    assert "driver: device lost | fatal: giving up" in str(error)
    assert len(run(one, noise_stack()).results) == 6


def test_a_process_that_died_while_idle_is_replaced_silently(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client()
    run(one, noise_stack())
    pid = process_of(one)
    os.kill(pid, signal.SIGKILL)
    drive(one, lambda: one.transport is None)
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) != pid


def test_a_process_that_does_not_respond_is_killed(make_worker_client: WorkerClientFactory) -> None:
    one, recorded, stack = (
        make_worker_client("UninterruptibleService", answer_timeout=3),
        CallbackRecorder(),
        noise_stack(signal_on=5),
    )
    run(one, noise_stack())
    pid = process_of(one)
    one.segment(CHOICE, stack, PROMPT, recorded.listener())
    assert 2.9 < drive(one, lambda: recorded.over) < 8
    assert "did not respond for 3 s" in str(recorded.error)
    assert not exists(pid)
    assert len(run(one, noise_stack()).results) == 6


@pytest.mark.parametrize(
    ("model", "seconds"), [("litemedsam", (30, 40)), ("medsam", (60, 80)), ("sam_vit_h", (250, 300))]
)
def test_the_timeout_is_shorter_once_the_model_is_loaded(
    make_worker_client: WorkerClientFactory, model: str, seconds: tuple[float, float]
) -> None:
    one, stack, choice = make_worker_client("UninterruptibleService"), noise_stack(signal_on=5), ModelChoice(model)
    recorded = CallbackRecorder()
    one.segment(choice, noise_stack(), PROMPT, recorded.listener())
    assert one.response_timeout == 300
    drive(one, lambda: recorded.over)
    hanging = CallbackRecorder()
    one.segment(choice, stack, PROMPT, hanging.listener())
    limit = one.response_timeout
    assert seconds[0] < limit < seconds[1]
    drive(one, lambda: stack.read == [4, 5])
    assert one._process is not None
    one._process.silence = limit
    one.step()
    assert f"did not respond for {limit:.0f} s" in str(hanging.error)


def test_the_timeout_is_longer_while_another_model_is_loaded(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client()
    run(one, noise_stack())
    one.encode(ModelChoice("sam_vit_b"), noise_stack().images[0])
    assert one.response_timeout == 300


def test_time_for_reading_slices_does_not_count_towards_the_timeout(make_worker_client: WorkerClientFactory) -> None:
    class Slow(ImageStack):
        def slice_uint8(self, index: int) -> np.ndarray:
            time.sleep(0.3)
            return super().slice_uint8(index)

    one = make_worker_client(answer_timeout=0.25)
    drive_started(one)
    recorded = run(one, Slow(noise_stack().images), StackPrompt({4: BOX}, (4, 6)))
    assert len(recorded.results) == 3 and recorded.infos


def drive_started(client: WorkerClient) -> None:
    """Start the process with a long timeout, because the machine may be busy."""
    timeout, client._answer_timeout = client._answer_timeout, 15.0
    client.encode(CHOICE, noise_stack().images[0])
    drive(client, lambda: client.idle)
    client._answer_timeout = timeout


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("print('Downloading model: 42%', flush=True)", id="prints"),
        pytest.param("import os; os.write(1, bytes(range(256)) * 4000)", id="binary"),
    ],
)
def test_invalid_data_on_standard_output_ends_the_process(make_worker_client: WorkerClientFactory, script: str) -> None:
    one = make_worker_client(command=[sys.executable, "-c", f"{script}; import time; time.sleep(60)"])
    recorded = CallbackRecorder()
    one.segment(CHOICE, noise_stack(), PROMPT, recorded.listener())
    pid = process_of(one)
    drive(one, lambda: recorded.over)
    assert type(recorded.error) is WorkerError and "invalid message" in str(recorded.error)
    assert not exists(pid)


def test_a_process_that_cannot_be_started_is_reported(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client(command=["/no/such/python"])
    with pytest.raises(WorkerError, match="ended during its start"):
        one.segment(CHOICE, noise_stack(), PROMPT, CallbackRecorder().listener())
    assert one.idle and not one.running


def test_a_python_without_this_package_is_reported(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client(command=[sys.executable, "-m", "no_such_package"])
    assert "No module named no_such_package" in str(run(one, noise_stack()).error)


# Much at once


def test_large_slices_and_results_do_not_block_each_other(make_worker_client: WorkerClientFactory) -> None:
    images = np.random.default_rng(6).integers(0, 256, (4, 1500, 2000), dtype=np.uint8)
    whole, stack = Box.of_slice(1500, 2000), ImageStack(images)
    predictions: list[Prediction] = []
    one = make_worker_client()

    def ask_for_more(_: SliceResult) -> None:
        for _index in range(3):
            one.preview(CHOICE, images[0], whole, predictions.append)

    recorded = run(one, stack, StackPrompt({0: whole}, (0, 3)), ask_for_more)
    drive(one, lambda: one.idle)
    for result in recorded.results:
        np.testing.assert_array_equal(result.mask, images[result.index] >= 128)
    assert len(recorded.results) == 4
    assert 1 <= len(predictions) <= 12
    np.testing.assert_array_equal(predictions[-1].mask, images[0] >= 128)


def test_only_the_newest_of_several_previews_is_answered(make_worker_client: WorkerClientFactory) -> None:
    one, images = make_worker_client("SlowService"), noise_stack().images
    images[0, 0, 0] = SIGNAL
    answered: list[tuple[int, Prediction]] = []
    for index in range(6):
        one.preview(CHOICE, images[index], BOX, lambda prediction, index=index: answered.append((index, prediction)))
    drive(one, lambda: one.idle)
    assert len(answered) <= 3
    index, prediction = answered[-1]
    assert index == 5
    np.testing.assert_array_equal(prediction.mask, bright_inside(images[5], BOX))


def test_encoding_can_be_requested_in_advance(make_worker_client: WorkerClientFactory) -> None:
    errors: list[MedSAMError] = []
    for runner in (make_worker_client(), InProcessClient(ThresholdService())):
        runner.encode(CHOICE, noise_stack().images[0], errors.append)
        runner.encode(ModelChoice("no-such-model"), noise_stack().images[0], errors.append)
        drive(runner, lambda runner=runner: runner.idle)
    assert [type(error) for error in errors] == [InputError] * 2


def test_a_listener_can_start_the_next_run_when_one_has_ended(make_worker_client: WorkerClientFactory) -> None:
    for runner in (make_worker_client(), InProcessClient(ThresholdService())):
        second = CallbackRecorder()

        def again(_: object, runner: Client = runner, second: CallbackRecorder = second) -> None:
            runner.segment(CHOICE, noise_stack(), PROMPT, second.listener())

        runner.segment(CHOICE, noise_stack(), PROMPT, RunListener(lambda _: None, again, again))
        drive(runner, lambda second=second: second.over)
        assert len(second.results) == 6


def test_no_message_is_lost_when_a_callback_raises(make_worker_client: WorkerClientFactory) -> None:
    one, recorded, raised = make_worker_client(), CallbackRecorder(), []

    def fail_once(_: SliceResult) -> None:
        if not raised:
            raised.append(True)
            raise RuntimeError("a defect of the caller")

    one.segment(CHOICE, noise_stack(), PROMPT, recorded.listener(fail_once))
    with pytest.raises(RuntimeError, match="of the caller"):
        drive(one, lambda: recorded.over)
    drive(one, lambda: recorded.over)
    assert len(recorded.results) == 6 and recorded.infos


def test_close_ends_the_run_and_the_process_and_the_client_can_be_used_again(
    make_worker_client: WorkerClientFactory,
) -> None:
    one, recorded, stack = make_worker_client("UninterruptibleService"), CallbackRecorder(), noise_stack(signal_on=4)
    one.segment(CHOICE, stack, PROMPT, recorded.listener())
    drive(one, lambda: stack.read == [4])
    pid = process_of(one)
    one.close()
    assert isinstance(recorded.error, Cancelled)
    assert not exists(pid) and one.idle
    assert len(run(one, noise_stack()).results) == 6
