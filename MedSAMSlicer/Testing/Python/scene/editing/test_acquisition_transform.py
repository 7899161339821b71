"""A series from a tilted gantry, which Slicer loads with right angles under a grid transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.volume.volume_prompt import volume_prompt
from MedSAMSlicerLib.scene.editing.segment_slice import segment_on_slice
from MedSAMSlicerLib.scene.editing.segment_task import SegmentTask
from MedSAMSlicerLib.scene.roi.fit_to_segment import roi_around_segment
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack
from MedSAMSlicerLib.scene.writing.segment_target import SegmentTarget
from support.ball_in_scene import step_until
from support.in_process_client import Client, InProcessClient
from support.scene_builder import SceneBuilder
from support.threshold_service import ThresholdService

SHAPE = (24, 44, 40)
SPACING = (1.0, 1.2, 3.0)
RADIUS = 15.0
TILT = np.radians(15)


class TiltedBall:
    """A CT with a ball of 15 mm, whose slices were taken with a gantry that is tilted by 15 degrees."""

    def __init__(self, scene_builder: SceneBuilder, turned: np.ndarray) -> None:
        self.builder = scene_builder
        directions = turned @ np.diag([-1.0, -1.0, 1.0])
        self.volume = scene_builder.volume(np.zeros(SHAPE, np.int16), SPACING, directions)
        # The table moves along the patient, each slice by 3 mm along its normal and by a part of that in its plane.
        self.shifts = np.outer(np.arange(SHAPE[0]) * SPACING[2] * np.tan(TILT), directions[:, 1])
        k, j, i = np.indices(SHAPE)
        world = np.stack([i, j, k], axis=-1) * SPACING @ directions.T + (-12.0, 30.0, 7.0) + self.shifts[k]
        self.centre = world[12, 22, 20]
        self.truth = np.linalg.norm(world - self.centre, axis=-1) <= RADIUS
        slicer.util.updateVolumeFromArray(self.volume, np.where(self.truth, 200, 20).astype(np.int16))
        self.transform = scene_builder.acquisition_transform(self.volume, self.shifts)

    def segment(self, client: Client, segmentation: Any) -> tuple[SegmentTask, Any]:
        stack = SliceStack(self.volume, "K")
        prompt = volume_prompt(stack.dimensions, "K", key_slices={12: (2, 4, 37, 40)})
        target = SegmentTarget(self.volume, segmentation, "GTV")
        task = SegmentTask(client, self.volume, prompt, target, window="127.5,255")
        step_until(lambda: not task.running, task.step)
        assert task.error is None, task.error
        nodes = self.builder.scene
        return task, segmentation or nodes.GetFirstNodeByClass("vtkMRMLSegmentationNode")


@pytest.fixture(params=[(0, 0, 0), (15, -10, 30)], ids=["upright", "turned"])
def ball(request: pytest.FixtureRequest, scene_builder: SceneBuilder, turn: Any) -> TiltedBall:
    return TiltedBall(scene_builder, turn(*request.param))


@pytest.fixture
def client() -> InProcessClient:
    return InProcessClient(ThresholdService())


def positions(segmentation: Any, segment_id: str) -> np.ndarray:
    """(N, 3) world RAS mm of the segment's voxels, asked of Slicer."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    image = segment.GetRepresentation("Binary labelmap")
    labels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    result = []
    for k, j, i in np.argwhere(labels == segment.GetLabelValue()) + image.GetExtent()[::2][::-1]:
        world = [0.0, 0.0, 0.0]
        segmentation.TransformPointToWorld(matrix.MultiplyPoint((i, j, k, 1.0))[:3], world)
        result.append(world)
    return np.array(result)


def check(ball: TiltedBall, found: np.ndarray, voxel_mm3: float) -> None:
    assert np.linalg.norm(found.mean(axis=0) - ball.centre) < 0.5 * min(SPACING)
    assert len(found) * voxel_mm3 == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.03)
    # A ball, not an ellipsoid that leans, whose axes would differ by a third.
    spread = np.linalg.eigvalsh(np.cov(found.T))
    assert spread[2] / spread[0] < 1.1


def test_a_new_segmentation_lies_under_the_volumes_transform(ball: TiltedBall, client: Client) -> None:
    task, segmentation = ball.segment(client, None)
    assert segmentation.GetParentTransformNode() is ball.transform
    assert task.written.voxels == ball.truth.sum() and task.written.voxels_outside == 0
    check(ball, positions(segmentation, task.segment_id), float(np.prod(SPACING)))
    stack = SliceStack(ball.volume, "K")
    for index in (8, 12, 15):
        on_slice = segment_on_slice(segmentation, task.segment_id, stack, index)
        np.testing.assert_array_equal(on_slice, ball.truth[index])
    roi = roi_around_segment(ball.volume, segmentation, task.segment_id, None)
    assert np.linalg.norm(np.array(roi.GetCenterWorld()) - ball.centre) < 3


def test_a_segmentation_in_patient_space_is_written_upright(ball: TiltedBall, client: Client) -> None:
    grid = ball.builder.volume(np.zeros((60, 60, 60), np.uint8), (1.5, 1.5, 1.5), origin=tuple(ball.centre - 44))
    task, segmentation = ball.segment(client, ball.builder.segmentation(grid))
    assert segmentation.GetParentTransformNode() is None and task.written.voxels_outside == 0
    check(ball, positions(segmentation, task.segment_id), 1.5**3)


def test_slices_that_were_rounded_are_taken_as_even(ball: TiltedBall, client: Client) -> None:
    rounded = np.random.default_rng(1).uniform(-0.03, 0.03, ball.shifts.shape)
    ball.builder.acquisition_transform(ball.volume, ball.shifts + rounded)
    task, segmentation = ball.segment(client, None)
    check(ball, positions(segmentation, task.segment_id), float(np.prod(SPACING)))


def test_a_slice_that_lies_elsewhere_or_is_missing_has_to_be_hardened(ball: TiltedBall) -> None:
    for wrong in (np.arange(24) == 9, np.arange(24) > 11):
        ball.builder.acquisition_transform(ball.volume, ball.shifts + np.outer(wrong, [0.0, 0.0, 3.0]))
        with pytest.raises(InputError, match="nonlinear transform 'acquisition transform.*harden"):
            SliceStack(ball.volume, "K")
