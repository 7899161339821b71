"""The client of the inference process: start, requests and cancel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, WeightsError
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.scene.worker.active_run import Stage
from support.in_process_client import Client, InProcessClient
from support.subprocess_client import subprocess_client
from support.threshold_service import ImageStack, RaisingService, ThresholdService, noise_stack
from support.worker_runs import (
    BOX,
    CHOICE,
    PROMPT,
    CallbackRecorder,
    WorkerClientFactory,
    assert_same_results,
    drive,
    process_of,
    run,
)

# A run


@pytest.mark.parametrize(
    "prompt", [PROMPT, StackPrompt({2: BOX, 5: Box(0.5, 0, 9.5, 9)}), StackPrompt.from_box3d(0, 7, BOX)]
)
def test_a_run_in_the_process_equals_a_run_of_the_engine_in_this_process(
    make_worker_client: WorkerClientFactory, prompt: StackPrompt
) -> None:
    direct = run(InProcessClient(ThresholdService()), noise_stack(), prompt)
    there = run(make_worker_client(), noise_stack(), prompt)
    assert len(direct.results) >= 6
    assert_same_results(there.results, direct.results)
    assert there.infos == direct.infos
    assert there.stages == [Stage.STARTING, Stage.LOADING, Stage.SEGMENTING]
    assert direct.stages == [Stage.LOADING, Stage.SEGMENTING]


@pytest.mark.slow
def test_a_run_of_the_real_engine_in_the_process_equals_one_in_this_process(litemedsam_weights: Path) -> None:
    from MedSAMSlicerLib.engine.serving.service import SegmentationService

    choice = ModelChoice(device="cpu", runtime="torch")
    stack, prompt = noise_stack(1, 48, 64), StackPrompt({0: Box(10, 8, 50, 40)})
    stack.images[:, 12:36, 16:44] //= 8
    client = subprocess_client()
    there, direct = CallbackRecorder(), CallbackRecorder()
    for runner, recorded in ((client, there), (InProcessClient(SegmentationService()), direct)):
        runner.segment(choice, stack, prompt, recorded.listener())
        drive(runner, lambda recorded=recorded: recorded.over, seconds=200)
        runner.close()
    [one], [other] = there.results, direct.results
    assert np.mean(one.mask != other.mask) < 0.001
    assert one.predicted_iou == pytest.approx(other.predicted_iou, abs=1e-3)
    assert one.mask[12:36, 16:44].mean() > 0.9
    assert there.infos[0].loaded == direct.infos[0].loaded


def test_the_process_is_started_by_the_first_request_and_reused(
    make_worker_client: WorkerClientFactory,
) -> None:
    one = make_worker_client()
    assert one.transport is None and one.idle
    first = run(one, noise_stack())
    pid = process_of(one)
    second = run(one, noise_stack())
    assert process_of(one) == pid
    assert first.infos[0].notes == second.infos[0].notes == ["loaded 1 times"]
    assert second.stages == [Stage.SEGMENTING]
    assert one.idle


def test_a_second_run_at_the_same_time_is_rejected(make_worker_client: WorkerClientFactory) -> None:
    for runner in (make_worker_client(), InProcessClient(ThresholdService())):
        recorded = CallbackRecorder()
        runner.segment(CHOICE, noise_stack(), PROMPT, recorded.listener())
        with pytest.raises(InputError, match="cancel"):
            runner.segment(CHOICE, noise_stack(), PROMPT, recorded.listener())
        drive(runner, lambda recorded=recorded: recorded.over)
        assert len(recorded.results) == 6


def test_a_prompt_outside_the_stack_is_rejected_before_the_process_starts(
    make_worker_client: WorkerClientFactory,
) -> None:
    one = make_worker_client()
    with pytest.raises(InputError, match="slice 8"):
        one.segment(CHOICE, noise_stack(), StackPrompt({8: BOX}), CallbackRecorder().listener())
    assert one.transport is None and not one.running


def test_errors_of_the_engine_keep_their_kind_and_the_process_stays(make_worker_client: WorkerClientFactory) -> None:
    one = make_worker_client()
    assert type(run(one, noise_stack(), choice=ModelChoice("no-such-model")).error) is InputError
    pid = process_of(one)
    assert type(run(one, noise_stack(), choice=ModelChoice(weights="/no/such")).error) is WeightsError
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) == pid


def test_both_clients_report_a_defect_of_the_engine_in_the_same_way(make_worker_client: WorkerClientFactory) -> None:
    there = run(make_worker_client("RaisingService"), noise_stack(signal_on=5))
    direct = run(InProcessClient(RaisingService()), noise_stack(signal_on=5))
    assert str(there.error) == str(direct.error)
    assert len(there.results) == len(direct.results) == 1


# Cancel


def test_a_cancel_at_any_slice_ends_the_run_within_a_slice_and_keeps_the_process(
    make_worker_client: WorkerClientFactory,
) -> None:
    one = make_worker_client("SlowService")
    run(one, noise_stack())
    pid = process_of(one)
    for stop_at in (0, 1, 4):
        recorded, stack = CallbackRecorder(), noise_stack(100)
        one.segment(CHOICE, stack, StackPrompt({0: BOX}, (0, 99)), recorded.listener())
        drive(one, lambda recorded=recorded, stop_at=stop_at: len(recorded.results) > stop_at)
        one.cancel()
        drive(one, lambda recorded=recorded: recorded.over)
        assert isinstance(recorded.error, Cancelled)
        assert len(recorded.results) < stop_at + 3 and len(stack.read) < stop_at + 5
        assert process_of(one) == pid
    assert len(run(one, noise_stack()).results) == 6


def test_after_a_cancel_in_a_callback_no_further_slice_is_delivered(make_worker_client: WorkerClientFactory) -> None:
    for runner in (make_worker_client(), InProcessClient(ThresholdService())):
        recorded = run(runner, noise_stack(), on_slice=lambda _, runner=runner: runner.cancel())
        assert isinstance(recorded.error, Cancelled)
        assert len(recorded.results) == 1
        assert len(run(runner, noise_stack()).results) == 6


def test_a_cancel_while_a_slice_is_read_ends_the_run(
    make_worker_client: WorkerClientFactory,
) -> None:
    class CancelledWhileRead(ImageStack):
        runner: Client

        def slice_uint8(self, index: int) -> np.ndarray:
            self.runner.cancel()
            return super().slice_uint8(index)

    for runner in (make_worker_client(), InProcessClient(ThresholdService())):
        stack = CancelledWhileRead(noise_stack().images)
        stack.runner = runner
        recorded = run(runner, stack)
        assert isinstance(recorded.error, Cancelled)
        assert recorded.results == [] and stack.read == [4]


def test_a_cancel_before_the_process_is_up_ends_the_run(make_worker_client: WorkerClientFactory) -> None:
    one, recorded, stack = make_worker_client(), CallbackRecorder(), noise_stack()
    one.segment(CHOICE, stack, PROMPT, recorded.listener())
    one.cancel()
    drive(one, lambda: recorded.over)
    assert isinstance(recorded.error, Cancelled)
    assert stack.read == []
    assert len(run(one, noise_stack()).results) == 6


def test_a_cancel_in_the_middle_of_a_slice_keeps_the_process_and_all_that_it_has_encoded(
    make_worker_client: WorkerClientFactory,
) -> None:
    one = make_worker_client("EncodingService")
    run(one, noise_stack())
    pid = process_of(one)
    for _ in range(3):
        recorded, stack = CallbackRecorder(), noise_stack(20)
        one.segment(CHOICE, stack, StackPrompt({0: BOX}, (0, 19)), recorded.listener())
        reads = len(stack.read)
        drive(one, lambda stack=stack, reads=reads: len(stack.read) > reads + 2)
        one.cancel()  # the slice that was sent last takes longer than a step
        one.step()
        assert isinstance(recorded.error, Cancelled)
    [info] = run(one, noise_stack(20), StackPrompt({0: BOX}, (0, 19))).infos
    assert process_of(one) == pid
    encoded = [int(note) for note in info.notes[0].split()]
    assert len(encoded) == len(set(encoded)) >= 20, "a slice was encoded twice"


def test_a_failed_reading_of_a_slice_ends_the_run_with_its_reason_and_keeps_the_process(
    make_worker_client: WorkerClientFactory,
) -> None:
    class Deleted(ImageStack):
        def slice_uint8(self, index: int) -> np.ndarray:
            if index == 6:
                raise InputError("volume 'CT' was deleted: choose another")
            return super().slice_uint8(index)

    one = make_worker_client()
    recorded = run(one, Deleted(noise_stack().images))
    assert type(recorded.error) is InputError and "CT" in str(recorded.error)
    assert len(recorded.results) == 2
    pid = process_of(one)
    assert len(run(one, noise_stack()).results) == 6
    assert process_of(one) == pid
