"""A session that is cancelled, fails, is asked for what cannot be, or ends: nothing is written, nothing stays behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, WorkerError
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.scene.editing.session import Session, State
from MedSAMSlicerLib.scene.worker.transports import SubprocessTransport, worker_command, worker_environment
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.session_cases import BOX, WINDOW, CallbackRecorder, Case, drive
from support.threshold_service import FOLDER

# Cancel and failure


@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_a_run_cancelled_at_any_slice_leaves_the_segmentation_bit_for_bit(
    case: Callable[..., Case], stop_at: int
) -> None:
    one = case("SlowService").ready()
    recorded = CallbackRecorder().start(one.session)
    drive(one.session, lambda: bool(recorded.progress) and recorded.done >= stop_at)
    one.session.cancel()
    drive(one.session, lambda: recorded.over)
    assert one.session.state is State.CANCELLED
    assert isinstance(recorded.failed[0], Cancelled)
    assert one.session.result is None
    assert stop_at <= recorded.done < stop_at + 3
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    assert one.untouched()
    recorded = CallbackRecorder().start(one.session)
    one.session.wait()
    assert recorded.done == 7


def test_a_failed_run_leaves_the_segmentation_bit_for_bit(case: Callable[..., Case]) -> None:
    one = case("RaisingService").ready()
    one.signal(6)
    recorded = CallbackRecorder().start(one.session)
    with pytest.raises(WorkerError, match="broadcast"):
        one.session.wait()
    assert one.session.state is State.FAILED and one.session.error is recorded.failed[0]
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    assert one.untouched()


def test_a_process_that_dies_leaves_the_segmentation_bit_for_bit(scene_builder: Any, segment_in: Any) -> None:
    command = worker_command("support.threshold_service:CrashingService")
    runner = WorkerClient(lambda: SubprocessTransport(command, worker_environment([FOLDER])))
    one = Case(scene_builder, runner, segment_in).ready()
    one.signal(6)
    one.session.start()
    with pytest.raises(WorkerError, match="giving up"):
        one.session.wait()
    assert one.session.state is State.FAILED
    assert one.untouched()
    runner.close()


LEAVE: dict[str, Callable[[Case], Any]] = {
    "volume deleted": lambda one: one.scene_builder.scene.RemoveNode(one.volume),
    "segmentation deleted": lambda one: one.scene_builder.scene.RemoveNode(one.segmentation),
    "segment deleted": lambda one: one.segmentation.GetSegmentation().RemoveSegment("tumour"),
    "scene closed": lambda one: one.scene_builder.scene.Clear(False),
}


@pytest.mark.parametrize("leave", LEAVE)
def test_a_run_ends_cleanly_when_what_it_works_on_leaves_the_scene(case: Callable[..., Case], leave: str) -> None:
    one = case("SlowService").ready()
    recorded = CallbackRecorder().start(one.session)
    drive(one.session, lambda: bool(recorded.progress) and recorded.done >= 2)
    LEAVE[leave](one)
    drive(one.session, lambda: recorded.over)
    assert type(recorded.failed[0]) is InputError
    assert leave.split()[0] in str(recorded.failed[0]) and "nothing was written" in str(recorded.failed[0])
    assert one.session.state is State.FAILED
    assert recorded.done < 5
    for call in (one.session.start, one.session.apply):
        with pytest.raises(InputError):
            call()
    segmentation = one.segmentation.GetSegmentation()
    for index in range(segmentation.GetNumberOfSegments()):
        labelmap = segmentation.GetNthSegment(index).GetRepresentation("Binary labelmap")
        assert labelmap is None or labelmap.IsEmpty() or labelmap.GetScalarRange()[1] == 0


@pytest.mark.parametrize("leave", LEAVE)
def test_a_result_is_not_written_to_what_has_left_the_scene(direct: Callable[..., Case], leave: str) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    LEAVE[leave](one)
    assert one.session.state is State.FINISHED
    with pytest.raises(InputError, match="deleted|no segment"):
        one.session.apply()


def test_another_segment_may_be_deleted_during_a_run(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    recorded = CallbackRecorder().start(one.session)
    one.session.step()
    one.segmentation.GetSegmentation().RemoveSegment("neighbour")
    one.scene_builder.scene.RemoveNode(one.scene_builder.volume_in("oblique"))
    one.session.wait()
    assert recorded.done == 7


def test_a_result_is_not_written_into_a_volume_of_another_size(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    other = one.scene_builder.volume(np.zeros((9, 12, 15), np.uint8))
    one.volume.SetAndObserveImageData(other.GetImageData())
    with pytest.raises(InputError, match="run it again"):
        one.session.apply()


def test_the_volume_is_only_read(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    before = slicer.util.arrayFromVolume(one.volume).copy()
    one.session.start()
    one.session.wait()
    one.session.apply()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(one.volume), before)


# What is refused


def test_prompts_that_cannot_be_used_are_refused_when_they_are_given(direct: Callable[..., Case]) -> None:
    session = direct().session
    with pytest.raises(InputError, match="slice 9"):
        session.set_key(9, BOX)
    with pytest.raises(InputError, match="outside the slice"):
        session.set_key(0, Box(0, 0, 14, 5))
    with pytest.raises(InputError, match="slice -1"):
        session.set_prompt(StackPrompt({-1: BOX}))
    with pytest.raises(InputError):
        session.preview(9, BOX, lambda _: None)
    with pytest.raises(InputError):
        session.prepare(9)
    assert not session.keys
    with pytest.raises(InputError, match="no box"):
        session.start()
    assert session.state is State.IDLE


def test_a_second_start_and_an_early_apply_are_refused(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    with pytest.raises(InputError, match="no run"):
        one.session.wait()
    one.session.start()
    with pytest.raises(InputError, match="already"):
        one.session.start()
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    assert len(one.session.wait()) == 7


def test_a_runner_that_is_busy_for_another_session_leaves_the_result_in_place(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    other = Session(one.volume, one.segmentation, "neighbour", one.runner, WINDOW)
    other.set_key(4, BOX)
    other.start()
    with pytest.raises(InputError, match="already"):
        one.session.start()
    assert one.session.state is State.FINISHED and one.session.result is not None
    other.wait()


def test_nodes_that_cannot_be_used_are_refused_at_once(direct: Callable[..., Case], scene_builder: Any) -> None:
    one = direct()
    arguments = {"volume_node": one.volume, "segmentation_node": one.segmentation, "segment_id": "tumour"}
    for wrong, message in (
        ({"volume_node": None}, "no volume"),
        ({"segmentation_node": None}, "no segmentation"),
        ({"segment_id": "liver"}, "liver"),
        ({"volume_node": slicer.vtkMRMLScalarVolumeNode()}, "deleted"),
        ({"volume_node": scene_builder.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")}, "no voxels"),
        ({"axis": "X"}, "axis 'X'"),
    ):
        with pytest.raises(InputError, match=message):
            Session(**{**arguments, "runner": one.runner, "window": WINDOW, **wrong})


# The end of a session


def test_a_closed_session_has_let_go_of_the_scene_and_leaves_the_runner_open(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    one.session.apply()
    count = one.scene_builder.scene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")
    assert count == 1
    recorded = CallbackRecorder().start(one.session)
    one.session.close()
    assert isinstance(recorded.failed[0], Cancelled)
    assert one.scene_builder.scene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == 0
    again = Session(one.volume, one.segmentation, "tumour", one.runner, WINDOW, choice=ModelChoice("medsam"))
    again.set_key(4, BOX)
    again.start()
    again.wait()
    assert again.info is not None and again.info.loaded is not None and again.info.loaded.model == "medsam"


def test_the_scene_does_not_keep_a_forgotten_session_alive(direct: Callable[..., Case]) -> None:
    one = direct()
    forgotten = weakref.ref(one.session)
    del one.session
    gc.collect()
    assert forgotten() is None
    one.scene_builder.scene.RemoveNode(one.volume)
