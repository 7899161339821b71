"""A session on real MRML: prompts in, progress on the way, and a segment out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError, WorkerError
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.engine.serving.inference_client import Stage
from MedSAMSlicerLib.scene.editing.session import State
from MedSAMSlicerLib.scene.worker.progress import Progress, ProgressMeter
from support.session_cases import BOX, SHAPE, CallbackRecorder, Case, drive
from support.threshold_service import RaisingService

# From prompt to segment


def test_a_run_is_reported_slice_by_slice_and_applied_in_one_undo_step(case: Callable[..., Case]) -> None:
    one = case().ready()
    assert one.session.state is State.IDLE
    recorded = CallbackRecorder().start(one.session)
    assert one.session.state is State.RUNNING
    drive(one.session, lambda: recorded.over)
    assert one.session.state is State.FINISHED
    assert one.untouched()

    assert [progress.done for progress in recorded.progress][-7:] == [1, 2, 3, 4, 5, 6, 7]
    assert {progress.total for progress in recorded.progress} == {7}
    assert recorded.progress[-1].stage is Stage.SEGMENTING
    assert recorded.progress[-1].remaining == 0
    assert one.session.info is not None and one.session.info.timings.decoder_calls == 7
    assert [result.index for result in recorded.finished[0]] == [1, 2, 3, 4, 5, 6, 7]
    assert [result.index for result in recorded.finished[0] if result.key] == [4]

    written = one.session.apply()
    assert written.voxels == np.count_nonzero(one.truth)
    np.testing.assert_array_equal(one.segment(), one.truth)
    assert not one.segment("neighbour").any()
    assert one.session.writer.logic.Undo() is not False
    assert not one.segment().any()


def test_the_segment_is_where_the_ball_is_in_every_geometry(
    direct: Callable[..., Case], geometry: str, axis: str
) -> None:
    one = direct(geometry=geometry, axis=axis)
    slices, rows, columns = one.session.stack.shape
    one.session.set_key(slices // 2, Box.of_slice(rows, columns))
    one.session.start()
    result = one.session.wait()
    assert result.shape == (slices, rows, columns)
    one.session.apply()
    np.testing.assert_array_equal(one.segment(), one.truth)


def test_without_a_reach_the_total_is_unknown_until_the_end(direct: Callable[..., Case]) -> None:
    one = direct()
    one.session.set_key(4, BOX)
    recorded = CallbackRecorder().start(one.session)
    one.session.wait()
    assert {(progress.total, progress.remaining) for progress in recorded.progress} == {(None, None)}
    np.testing.assert_array_equal(one.session.result.to_stack(), one.truth)


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_a_result_is_added_put_in_place_or_taken_away(direct: Callable[..., Case], mode: str) -> None:
    one = direct().ready()
    drawn = np.zeros(SHAPE, bool)
    drawn[2:5, 2:9, 2:9] = True
    one.session.writer.write(drawn, one.volume, "tumour")
    one.session.start()
    one.session.wait()
    one.session.apply(mode)
    expected = {"add": drawn | one.truth, "replace": one.truth, "remove": drawn & ~one.truth}[mode]
    np.testing.assert_array_equal(one.segment(), expected)


def test_the_key_slices_of_a_prompt_can_be_corrected_before_the_next_run(direct: Callable[..., Case]) -> None:
    session = direct().session
    session.set_prompt(StackPrompt.from_box3d(1, 7, BOX))
    assert (dict(session.keys), session.reach, session.bounds) == ({4: BOX}, (1, 7), BOX)
    session.set_key(2, Box(4, 4, 6, 6))
    session.set_key(3, BOX)
    session.remove_key(3)
    session.remove_key(5)
    assert dict(session.prompt.keys) == {2: Box(4, 4, 6, 6), 4: BOX}
    session.start()
    assert [result.index for result in session.wait() if result.key] == [2, 4]


def test_previews_and_encoding_ahead_write_nothing(case: Callable[..., Case]) -> None:
    one, predictions = case(), list[Prediction]()
    one.session.prepare(4)
    one.session.preview(4, BOX, predictions.append)
    drive(one.session, lambda: one.runner.idle)
    np.testing.assert_array_equal(predictions[0].mask, one.truth[4])
    assert one.untouched() and one.session.state is State.IDLE


def test_the_automatic_window_is_found_once_and_follows_its_name(direct: Callable[..., Case]) -> None:
    one = direct()
    one.session.window = "auto"
    one.session.set_key(4, BOX)
    one.session.start()
    np.testing.assert_array_equal(one.session.wait().to_stack(), one.truth)
    one.session.window = "110,20"
    one.session.start()
    np.testing.assert_array_equal(one.session.wait().to_stack(), one.truth)
    one.session.window = "nonsense"
    with pytest.raises(InputError, match="nonsense"):
        one.session.start()


# Progress and result by themselves


def test_the_time_left_is_reckoned_from_the_slices_and_not_from_loading() -> None:
    now = [0.0]
    meter = ProgressMeter(10, clock=lambda: now[0])
    now[0] = 30.0
    assert meter.enter(Stage.SEGMENTING) == Progress(Stage.SEGMENTING, 0, 10, 30.0, None)
    for _ in range(4):
        now[0] += 2.0
        progress = meter.count()
    assert progress == Progress(Stage.SEGMENTING, 4, 10, 38.0, 12.0)


def test_a_mistake_in_the_engine_is_the_cause_of_the_error_told(direct: Callable[..., Case]) -> None:
    one = direct(RaisingService).ready()
    one.signal(4)
    one.session.start()
    with pytest.raises(WorkerError) as raised:
        one.session.wait()
    assert isinstance(raised.value.__cause__, ValueError)
