"""A script's task, without Qt: from the prompt to the written segment, or to an error and an unchanged scene."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WorkerError
from MedSAMSlicerLib.engine.provenance import PROVENANCE_TAG
from MedSAMSlicerLib.engine.review import REVIEWED_TAG
from MedSAMSlicerLib.engine.volume.volume_prompt import volume_prompt
from MedSAMSlicerLib.scene.editing.segment_task import SegmentTask
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack
from MedSAMSlicerLib.scene.writing.segment_tags import review_of, tag_of
from MedSAMSlicerLib.scene.writing.segment_target import SegmentTarget
from support.ball_in_scene import BallInScene, step_until
from support.frames import Frames, edit, voxels

BOX_OF_THE_BALL = (2, 2, 11, 9)


def start(ball: BallInScene, name: str = "tumour", **options: Any) -> SegmentTask:
    """A task with the prompt that finds the ball along K, unless the options say otherwise."""
    arguments = {key: options.pop(key) for key in ("box", "key_slices", "slice_range") if key in options}
    arguments = arguments or {"key_slices": {4: BOX_OF_THE_BALL}, "slice_range": (1, 7)}
    stack = SliceStack(ball.volume, options.pop("axis", "K"))
    prompt = volume_prompt(stack.dimensions, stack.axis, **arguments)
    target = SegmentTarget(ball.volume, options.pop("segmentation", ball.segmentation), name)
    return SegmentTask(ball.client, ball.volume, prompt, target, **{"window": "127.5,255", **options})


def finish(task: SegmentTask) -> SegmentTask:
    step_until(lambda: not task.running, task.step)
    return task


def segment(ball: BallInScene, name: str = "tumour", **options: Any) -> SegmentTask:
    task = finish(start(ball, name, **options))
    assert task.error is None, task.error
    return task


# From prompt to segment


def test_the_result_is_written_in_one_step_and_nothing_before(ball_with: Callable[..., BallInScene]) -> None:
    ball, outcomes = ball_with(), list[Any]()
    task = start(ball, on_finished=outcomes.append)
    ball.wait(lambda: task.step() or (task.progress is not None and task.progress.done >= 3))
    assert ball.untouched() and task.running
    finish(task)
    assert outcomes == ["tumour"] == [task.segment_id]
    assert task.progress.done == task.progress.total == len(task.result) == 7
    assert task.written.voxels == ball.truth.sum() and task.written.change is None
    np.testing.assert_array_equal(ball.segment(), ball.truth)
    assert not ball.segment("neighbour").any()


def test_the_segment_lies_where_the_ball_is_in_every_geometry(
    ball_in_process: Callable[..., BallInScene], geometry: str, axis: str
) -> None:
    ball = ball_in_process(geometry=geometry)
    slices, rows, columns = ball.stack(axis).shape
    segment(ball, axis=axis, key_slices={slices // 2: (0, 0, columns - 1, rows - 1)})
    np.testing.assert_array_equal(ball.segment(), ball.truth)


def test_the_segment_keeps_where_it_comes_from_and_counts_as_not_reviewed(
    ball_in_process: Callable[..., BallInScene],
) -> None:
    ball = ball_in_process()
    tumour = ball.segmentation.GetSegmentation().GetSegment("tumour")
    tumour.SetTag(REVIEWED_TAG, "yes")
    task = segment(ball)
    assert task.info is not None and task.info.loaded is not None
    text = tag_of(tumour, PROVENANCE_TAG)
    assert task.info.loaded.model in text and task.info.loaded.weights_sha256 in text and "on slices" in text
    assert tag_of(tumour, REVIEWED_TAG) == ""
    assert not review_of(tumour).all_seen and len(review_of(tumour).needed) == len(task.result.slices_to_review)


def test_a_new_segmentation_has_the_geometry_of_the_volume_and_its_transforms(
    ball_in_process: Callable[..., BallInScene], geometry: str
) -> None:
    ball = ball_in_process(geometry=geometry)
    task = segment(ball, "GTV", segmentation=None)
    nodes = [node for node in ball.nodes_of_class("vtkMRMLSegmentationNode") if node is not ball.segmentation]
    [ball.segmentation] = nodes
    assert ball.segmentation.GetDisplayNode() is not None
    assert ball.segmentation.GetSegmentation().GetSegment(task.segment_id).GetName() == "GTV"
    np.testing.assert_array_equal(ball.segment(task.segment_id), ball.truth)
    assert task.written.voxels_outside == 0


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_modes(ball_in_process: Callable[..., BallInScene], mode: str) -> None:
    ball = ball_in_process()
    segment(ball, box=((3, 8), (4, 8), (2, 5)))
    drawn = ball.segment()
    assert 0 < drawn.sum() < ball.truth.sum()
    segment(ball, box=((6, 11), (2, 9), (4, 7)), mode=mode)
    second = ball.truth.copy()
    second[:4] = False
    second[..., :6] = False
    expected = {"add": drawn | second, "replace": second, "remove": drawn & ~second}[mode]
    np.testing.assert_array_equal(ball.segment(), expected)


def test_the_automatic_and_the_displayed_window(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    segment(ball, window="auto")
    np.testing.assert_array_equal(ball.segment(), ball.truth)
    task = finish(start(ball, window="0,1"))
    assert isinstance(task.error, InputError) and "window" in str(task.error)
    with pytest.raises(InputError, match="no display window"):
        start(ball, window="display")


def test_voxels_that_are_no_numbers_are_noted_outside_of_the_prompt_and_refused_inside(
    ball_in_process: Callable[..., BallInScene],
) -> None:
    ball = ball_in_process()
    values = ball.voxels.astype(np.float32)
    values[:, 0] = np.nan
    ball.volume = ball.scene_builder.volume_in("oblique", name="processed")
    slicer.util.updateVolumeFromArray(ball.volume, values)
    task = segment(ball)
    assert task.info.notes[0].startswith("126 voxels are NaN or infinite (the first at i 0, j 0, k 0)")
    np.testing.assert_array_equal(ball.segment(), ball.truth)
    task = finish(start(ball, box=((2, 11), (0, 9), (1, 7))))
    assert "voxels in the prompt on slice 1 are NaN" in str(task.error) and task.segment_id is None


# Cancel and failure


@pytest.mark.parametrize("stop_at", [-1, 0, 1, 3])
def test_a_task_can_be_cancelled_at_any_time(ball_with: Callable[..., BallInScene], stop_at: int) -> None:
    ball, outcomes = ball_with("SlowService"), list[Any]()
    task = start(ball, on_finished=outcomes.append)
    if stop_at >= 0:
        ball.wait(lambda: task.step() or (task.progress is not None and task.progress.done >= stop_at))
    task.cancel()
    finish(task)
    assert isinstance(task.error, Cancelled) and outcomes == [task.error]
    assert task.segment_id is None and task.result is None
    assert ball.untouched()
    segment(ball)


def test_a_failure_of_the_engine_leaves_the_scene_as_it_was(ball_with: Callable[..., BallInScene]) -> None:
    ball = ball_with("RaisingService")
    # With 0 and 255 in the volume, the window leaves its values as they are.
    slicer.util.arrayFromVolume(ball.volume)[0, 0, :2] = 0, 255
    ball.signal(6)
    task = finish(start(ball, "new one"))
    assert type(task.error) is WorkerError and "broadcast" in str(task.error)
    assert ball.untouched()


LEAVE: dict[str, Callable[[BallInScene], Any]] = {
    "volume deleted": lambda ball: ball.scene_builder.scene.RemoveNode(ball.volume),
    "segmentation deleted": lambda ball: ball.scene_builder.scene.RemoveNode(ball.segmentation),
    "segment deleted": lambda ball: ball.segmentation.GetSegmentation().RemoveSegment("tumour"),
    "scene closed": lambda ball: ball.scene_builder.scene.Clear(False),
}


@pytest.mark.parametrize("leave", LEAVE)
def test_a_task_fails_when_what_it_works_on_leaves_the_scene(ball_with: Callable[..., BallInScene], leave: str) -> None:
    ball = ball_with("SlowService")
    task = start(ball)
    ball.wait(lambda: task.step() or (task.progress is not None and task.progress.done >= 2))
    LEAVE[leave](ball)
    finish(task)
    assert type(task.error) is InputError
    assert leave.split()[0] in str(task.error) and "nothing was written" in str(task.error)
    assert task.progress.done < 5


@pytest.mark.parametrize("leave", ["volume deleted", "scene closed"])
def test_a_task_for_a_new_segmentation_fails_too(ball_in_process: Callable[..., BallInScene], leave: str) -> None:
    ball = ball_in_process()
    task = start(ball, segmentation=None)
    LEAVE[leave](ball)
    assert isinstance(finish(task).error, InputError)
    assert leave == "scene closed" or ball.nodes_of_class("vtkMRMLSegmentationNode") == [ball.segmentation]


def test_other_segments_and_volumes_may_be_deleted_meanwhile(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    other = ball.scene_builder.volume_in("oblique")
    task = start(ball, "GTV")
    ball.segmentation.GetSegmentation().RemoveSegment("neighbour")
    ball.scene_builder.scene.RemoveNode(other)
    assert finish(task).error is None
    np.testing.assert_array_equal(ball.segment(task.segment_id), ball.truth)


def test_a_volume_of_another_size_by_now_is_not_written_for(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    task = start(ball)
    ball.wait(lambda: task.step() or (task.progress is not None and task.progress.done >= 2))
    other = ball.scene_builder.volume(np.zeros((9, 12, 15), np.uint8))
    ball.volume.SetAndObserveImageData(other.GetImageData())
    assert isinstance(finish(task).error, MedSAMError)
    assert ball.untouched()


@pytest.mark.parametrize("what", ["another frame", "edited"])
def test_a_result_of_other_voxels_is_not_written(ball_in_process: Callable[..., BallInScene], what: str) -> None:
    ball = ball_in_process()
    others = np.roll(voxels(ball.volume), 1, axis=2)
    frames = Frames(ball.volume, others)
    task = start(ball)
    ball.wait(lambda: task.step() or (task.progress is not None and task.progress.done >= 2))
    if what == "edited":
        edit(ball.volume, others)
    else:
        frames.show(1)
    assert "have changed during the run" in str(finish(task).error)
    assert ball.untouched()


def test_a_frame_that_is_shown_again_is_written_for(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    frames = Frames(ball.volume, np.roll(voxels(ball.volume), 1, axis=2))
    task = start(ball)
    ball.wait(lambda: task.step() or (task.progress is not None and task.progress.done >= 2))
    frames.show(1)
    frames.show(0)
    assert finish(task).error is None
    np.testing.assert_array_equal(ball.segment(), ball.truth)


def test_what_a_failed_write_had_created_is_removed_again(
    ball_in_process: Callable[..., BallInScene], monkeypatch: pytest.MonkeyPatch
) -> None:
    ball = ball_in_process()
    ball.segmentation.GetSegmentation().RemoveSegment("neighbour")

    def fail(*_arguments: Any) -> Any:
        raise InputError("the segment cannot be written")

    monkeypatch.setattr("MedSAMSlicerLib.scene.writing.segment_writer.SegmentWriter.write", fail)
    count = ball.scene_builder.scene.GetNumberOfNodes()
    for segmentation in (ball.segmentation, None):
        task = finish(start(ball, "GTV", segmentation=segmentation))
        assert "cannot be written" in str(task.error)
        assert ball.scene_builder.scene.GetNumberOfNodes() == count
        assert ball.segmentation.GetSegmentation().GetNumberOfSegments() == 1


def test_an_empty_result_is_an_error(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    task = finish(start(ball, "GTV", key_slices={4: (0, 0, 1, 1)}, slice_range=(3, 5)))
    assert "found no object" in str(task.error)
    assert ball.untouched()


# What is refused


def test_nodes_that_cannot_be_used_are_refused(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    with pytest.raises(InputError, match="deleted"):
        start(ball, segmentation=slicer.vtkMRMLSegmentationNode())
    other = slicer.vtkMRMLScene().AddNewNodeByClass("vtkMRMLSegmentationNode")
    with pytest.raises(InputError, match="another scene|deleted"):
        start(ball, segmentation=other)


def test_a_second_task_for_a_busy_client_is_refused(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    task = start(ball)
    ball.wait(lambda: task.step() or task.progress is not None)
    with pytest.raises(InputError, match="another segmentation is running"):
        start(ball)
    assert finish(task).error is None


def test_the_scene_does_not_keep_a_forgotten_task_alive(ball_in_process: Callable[..., BallInScene]) -> None:
    ball = ball_in_process()
    forgotten = weakref.ref(start(ball))
    gc.collect()
    assert forgotten() is None
    ball.scene_builder.scene.RemoveNode(ball.volume)
