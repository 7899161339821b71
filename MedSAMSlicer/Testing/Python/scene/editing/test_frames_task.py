"""All frames of a sequence are contoured, and written as a sequence of segmentations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.scene.volume.frames import Frames as FramesOfVolume
from support.ball_in_scene import step_until
from support.contour_editor_fixture import ContourEditorFixture
from support.frames import Frames, voxels


class MovingBall:
    """Four frames, in which the ball moves by two voxels along I from one to the next; frame 1 is shown."""

    def __init__(self, fixture: ContourEditorFixture) -> None:
        self.fixture, first = fixture, voxels(fixture.volume).copy()
        self.truth = [np.roll(fixture.truth, 2 * frame, axis=2) for frame in range(4)]
        self.frames = Frames(fixture.volume, *(np.roll(first, 2 * frame, axis=2) for frame in range(1, 4)))
        self.frames.show(1)

    @property
    def contouring(self) -> Any:
        return self.fixture.contouring

    def contour(self) -> None:
        view = self.fixture.view(7)
        self.fixture.draw(view, half=14)
        assert self.contouring.problem is None and self.contouring.result

    def wait(self) -> None:
        step_until(lambda: not self.contouring.frames.running, self.contouring.step)

    @property
    def written(self) -> list[Any]:
        scene = self.fixture.scene_builder.scene
        count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        nodes = [scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode") for n in range(count)]
        return [node for node in nodes if node is not self.fixture.segmentation]

    def segment(self, node: Any, segment_in: Any) -> np.ndarray:
        return segment_in(node, node.GetSegmentation().GetNthSegmentID(0), self.fixture.volume)


@pytest.fixture
def moving(editor_fixture: ContourEditorFixture) -> MovingBall:
    return MovingBall(editor_fixture)


def test_a_volume_that_no_browser_shows_has_no_frames(editor_fixture: ContourEditorFixture) -> None:
    assert FramesOfVolume.of(editor_fixture.volume) is None
    editor_fixture.contouring.contour_all_frames()
    assert "is no frame of a sequence" in str(editor_fixture.contouring.problem)


def test_every_frame_has_its_segmentation_which_follows_the_browser(moving: MovingBall, segment_in: Any) -> None:
    moving.contour()
    moving.contouring.contour_all_frames()
    assert moving.contouring.frames.running and not moving.written
    moving.wait()
    assert moving.contouring.problem is None
    [node] = moving.written
    assert node.GetDisplayNode() is not None
    segment = node.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == "tumour"
    assert segment.GetColor() == moving.fixture.segmentation.GetSegmentation().GetSegment("tumour").GetColor()
    assert FramesOfVolume.of(moving.fixture.volume).shown == 1, "the frame that is shown stays"
    assert not moving.contouring.state.current.outdated
    np.testing.assert_array_equal(moving.segment(node, segment_in), moving.truth[1])
    for frame in (3, 0, 2, 1):
        moving.frames.show(frame)
        np.testing.assert_array_equal(moving.segment(node, segment_in), moving.truth[frame])
    [note] = moving.contouring.notes
    assert note.startswith("4 frames were contoured: segmentation 'tumour frames' follows the sequence.")


def test_a_frame_without_the_object_has_an_empty_segment_and_the_box_goes_on(
    moving: MovingBall, segment_in: Any
) -> None:
    moving.frames.data(2)[...] = 20
    moving.frames.data(2)[0, 0, 0] = 255
    moving.contour()
    moving.contouring.contour_all_frames()
    moving.wait()
    assert "No object was found in frames 2" in moving.contouring.notes[0]
    [node] = moving.written
    moving.frames.show(2)
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    assert not moving.segment(node, segment_in).any()
    moving.frames.show(3)
    np.testing.assert_array_equal(moving.segment(node, segment_in), moving.truth[3])


def test_a_cancel_writes_nothing(moving: MovingBall) -> None:
    moving.contour()
    moving.contouring.contour_all_frames()
    step_until(lambda: moving.contouring.frames.done == 2, moving.contouring.step)
    moving.contouring.cancel()
    moving.wait()
    assert not moving.written and moving.contouring.problem is None
    scene = moving.fixture.scene_builder.scene
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 1
    moving.contouring.contour_all_frames()
    moving.wait()
    assert len(moving.written) == 1


def test_it_begins_with_a_result_in_the_frame_that_is_shown(moving: MovingBall) -> None:
    moving.contouring.contour_all_frames()
    assert "contour the object in this frame first" in str(moving.contouring.problem)
    moving.contour()
    moving.frames.show(0)
    moving.contouring.contour_all_frames()
    assert "contour the object in this frame first" in str(moving.contouring.problem)


def test_it_ends_without_a_trace_when_the_volume_is_deleted(moving: MovingBall) -> None:
    moving.contour()
    moving.contouring.contour_all_frames()
    moving.fixture.scene_builder.scene.RemoveNode(moving.fixture.volume)
    for _ in range(20):
        moving.contouring.step()
    assert not moving.contouring.frames.running and not moving.written
    assert "was deleted, and nothing was written" in str(moving.contouring.problem)


def test_a_new_rectangle_takes_the_place_of_the_frames(moving: MovingBall) -> None:
    moving.contour()
    moving.contouring.contour_all_frames()
    step_until(lambda: moving.contouring.frames.done == 2, moving.contouring.step)
    moving.fixture.draw(moving.fixture.view(7), half=13)
    assert not moving.contouring.frames.running and not moving.written
    assert moving.contouring.problem is None and moving.contouring.result


def test_the_segmentations_lie_under_the_volumes_transform(moving: MovingBall, segment_in: Any) -> None:
    up = np.c_[np.eye(3), [0, 0, 2.0]]
    moving.fixture.volume.SetAndObserveTransformNodeID(moving.fixture.scene_builder.transform(up))
    moving.contour()
    moving.contouring.contour_all_frames()
    moving.wait()
    [node] = moving.written
    for frame in (3, 1):
        moving.frames.show(frame)
        assert node.GetParentTransformNode() is moving.fixture.volume.GetParentTransformNode() is not None
        np.testing.assert_array_equal(moving.segment(node, segment_in), moving.truth[frame])


def test_a_frame_that_cannot_be_contoured_is_named(moving: MovingBall) -> None:
    moving.frames.data(3)[...] = 20
    moving.contour()
    moving.contouring.contour_all_frames()
    moving.wait()
    assert "frame 3: every voxel has the value 20" in str(moving.contouring.problem) and not moving.written


def test_a_sequence_that_is_deleted_meanwhile_is_told(moving: MovingBall) -> None:
    moving.contour()
    moving.contouring.contour_all_frames()
    step_until(lambda: moving.contouring.frames.done == 3, moving.contouring.step)
    moving.fixture.scene_builder.scene.RemoveNode(moving.frames.browser)
    moving.wait()
    assert "sequence" in str(moving.contouring.problem) and not moving.written
