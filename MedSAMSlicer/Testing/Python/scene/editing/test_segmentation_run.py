"""A run of the engine over a stack: followed slice by slice, limited, cut short, and ended exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, WorkerError
from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.scene.editing.segmentation_run import SegmentationRun
from MedSAMSlicerLib.scene.roi.conversion import roi_to_prompt
from MedSAMSlicerLib.scene.state.partial_run import PartialRun
from MedSAMSlicerLib.scene.volume.geometry import ijk_to_world
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack
from MedSAMSlicerLib.scene.worker.active_run import Stage
from MedSAMSlicerLib.scene.worker.progress import Progress, ProgressMeter
from support.ball_in_scene import BOX, PROMPT, WINDOW, BallInScene, CallbackRecorder, step_until
from support.in_process_client import InProcessClient
from support.subprocess_client import subprocess_client
from support.threshold_service import RaisingService, ThresholdService

# Results and progress


def test_a_run_reports_each_slice_and_finishes_with_all_of_them(ball_with: Callable[..., BallInScene]) -> None:
    ball, recorder = ball_with(), CallbackRecorder()
    run = ball.start(recorder)
    assert run.running and run.result is None and run.info is None
    ball.wait(lambda: recorder.over)
    assert not run.running and run.error is None
    assert run.result is recorder.finished[0]
    assert [progress.done for progress in recorder.progress][-7:] == [1, 2, 3, 4, 5, 6, 7]
    assert {progress.total for progress in recorder.progress} == {7}
    assert recorder.progress[-1].stage is Stage.SEGMENTING and recorder.progress[-1].remaining == 0
    assert [found.index for found in recorder.slices] == [4, 5, 6, 7, 3, 2, 1]
    assert run.info is not None and run.info.timings.decoder_calls == 7
    assert [found.index for found in run.result if found.key] == [4]
    np.testing.assert_array_equal(run.result.to_stack(), ball.truth)
    assert ball.untouched()


def test_the_result_lies_where_the_ball_is_in_every_geometry(
    ball_in_process: Callable[..., BallInScene], geometry: str, axis: str
) -> None:
    ball, recorder = ball_in_process(geometry=geometry), CallbackRecorder()
    stack = ball.stack(axis)
    slices, rows, columns = stack.shape
    prompt = StackPrompt({slices // 2: Box.of_slice(rows, columns)})
    SegmentationRun(ball.client, stack, prompt, WINDOW, ModelChoice(), **recorder.callbacks)
    ball.wait(lambda: recorder.over)
    assert recorder.finished[0].shape == (slices, rows, columns)
    np.testing.assert_array_equal(stack.to_volume(recorder.finished[0].to_stack()), ball.truth)


def test_without_a_slice_range_the_total_is_unknown(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    recorder = ball.run(StackPrompt({4: BOX}))
    assert {(progress.total, progress.remaining) for progress in recorder.progress} == {(None, None)}
    np.testing.assert_array_equal(recorder.finished[0].to_stack(), ball.truth)


def test_in_a_single_slice_no_end_is_looked_for(ball_in_process: Callable[..., BallInScene]) -> None:
    ball, recorder = ball_in_process(), CallbackRecorder()
    picture = SliceStack(ball.scene_builder.volume(ball.voxels[4:5]), "K")
    SegmentationRun(ball.client, picture, StackPrompt({0: BOX}), WINDOW, ModelChoice(), **recorder.callbacks)
    ball.wait(lambda: recorder.over)
    assert {progress.total for progress in recorder.progress} == {1}


def test_the_remaining_time_is_estimated_from_slices_and_not_from_loading() -> None:
    now = [0.0]
    meter = ProgressMeter(10, clock=lambda: now[0])
    now[0] = 30.0
    assert meter.enter(Stage.SEGMENTING) == Progress(Stage.SEGMENTING, 0, 10, 30.0, None)
    for _ in range(4):
        now[0] += 2.0
        progress = meter.count()
    assert progress == Progress(Stage.SEGMENTING, 4, 10, 38.0, 12.0)


# A part of the stack


def test_a_partial_run_replaces_its_own_slices_and_numbers_them_in_the_whole_stack(
    ball_in_process: Callable[..., BallInScene],
) -> None:
    ball = ball_in_process()
    earlier = ball.run(StackPrompt({2: BOX, 6: BOX}, (1, 7))).finished[0]
    smaller = Box(5, 4, 8, 7)
    changed = StackPrompt({2: BOX, 4: smaller, 6: BOX}, (1, 7))
    recorder = ball.run(changed, part=PartialRun(2, 6, below=True, above=True), earlier=earlier)
    assert sorted(found.index for found in recorder.slices) == [3, 4, 5]
    result = recorder.finished[0].to_stack()
    outside = np.ones((12, 14), bool)
    outside[4:8, 5:9] = False
    assert not (result[4] & outside).any() and result[4].any()
    for index in (1, 2, 6, 7):
        np.testing.assert_array_equal(result[index], ball.truth[index])
    np.testing.assert_array_equal(earlier.to_stack(), ball.truth, "the earlier result is not written to")


# Rotated boxes


def test_no_mask_leaves_an_oriented_box(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume(np.full((9, 24, 26), 200, np.uint8), (1.0, 1.0, 2.0))
    to_world = ijk_to_world(volume)
    roi = scene_builder.roi((to_world @ [12, 11, 4, 1])[:3], (14, 9, 9), turn(20, -15, 35))
    stack, client, recorder = SliceStack(volume, "K"), InProcessClient(ThresholdService()), CallbackRecorder()
    prompt = roi_to_prompt(roi, stack)
    SegmentationRun(
        client, stack, prompt.stack, WINDOW, ModelChoice(), oriented_box=prompt.oriented_box, **recorder.callbacks
    )
    step_until(lambda: recorder.over, client.step)
    found = recorder.finished[0].to_stack()
    within = np.array(
        [roi.IsPointInROIWorld((to_world @ [*at[::-1], 1])[:3].tolist()) for at in np.ndindex(*found.shape)]
    ).reshape(found.shape)
    assert (found == within).all() and within.any()
    assert all((one.mask == within[one.index]).all() for one in recorder.slices)
    assert len(recorder.slices) == len(recorder.finished[0])


# Cancel and failure


@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_a_run_can_be_cancelled_at_any_slice(ball_with: Callable[..., BallInScene], stop_at: int) -> None:
    ball, recorder = ball_with("SlowService"), CallbackRecorder()
    run = ball.start(recorder)
    ball.wait(lambda: bool(recorder.progress) and recorder.done >= stop_at)
    run.cancel()
    assert run.stopping or not run.running
    ball.wait(lambda: recorder.over)
    assert not run.running and not run.stopping and run.result is None
    assert isinstance(run.error, Cancelled) and recorder.failed == [run.error]
    assert stop_at <= recorder.done < stop_at + 3
    assert len(ball.run().slices) == 7, "the client is free for the next run"
    assert ball.untouched()


def test_the_first_reason_to_stop_is_the_one_reported(ball_in_process: Callable[..., BallInScene]) -> None:
    ball, recorder = ball_in_process("SlowService"), CallbackRecorder()
    run = ball.start(recorder)
    reason = InputError("the volume was deleted")
    run.stop(reason)
    run.cancel()
    ball.wait(lambda: recorder.over)
    run.stop(InputError("too late"))
    assert recorder.failed == [reason] and run.error is reason


def test_a_run_that_fails_says_why(ball_with: Callable[..., BallInScene]) -> None:
    ball = ball_with("RaisingService")
    ball.signal(6)
    recorder = ball.run()
    assert type(recorder.failed[0]) is WorkerError and "broadcast" in str(recorder.failed[0])
    assert ball.untouched()


def test_the_cause_of_a_failure_in_this_process_is_kept(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process(RaisingService.__name__)
    ball.signal(4)
    assert isinstance(ball.run().failed[0].__cause__, ValueError)


def test_a_process_that_dies_ends_the_run(scene_builder: Any, segment_in: Any) -> None:
    client = subprocess_client("support.threshold_service:CrashingService")
    ball = BallInScene(scene_builder, client, segment_in)
    ball.signal(6)
    [error] = ball.run().failed
    assert type(error) is WorkerError and "giving up" in str(error)
    client.close()


# What is refused


def test_a_prompt_outside_the_stack_and_a_busy_client_are_refused_at_once(
    ball_in_process: Callable[..., BallInScene],
) -> None:
    ball = ball_in_process()
    for prompt, message in (
        (StackPrompt({9: BOX}), "slice 9"),
        (StackPrompt({0: Box(0, 0, 14, 5)}), "outside the slice"),
        (StackPrompt({4: BOX}, (1, 9)), "slice 9"),
    ):
        with pytest.raises(InputError, match=message):
            ball.start(CallbackRecorder(), prompt)
    recorder = CallbackRecorder()
    ball.start(recorder)
    with pytest.raises(InputError, match="another contour"):
        ball.start(CallbackRecorder())
    ball.wait(lambda: recorder.over)
    assert recorder.finished


def test_the_volume_is_only_read(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    before = ball.stack().slice_values(4).copy()
    ball.run(PROMPT)
    np.testing.assert_array_equal(ball.stack().slice_values(4), before)
    assert Window(0, 255, "as it is") == WINDOW
