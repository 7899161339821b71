"""Geometry of slices parallel to a view, and resampling of masks to the voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.masks import dice

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.volume.oblique_stack import ObliqueStack  # noqa: E402


def view_at(point: Any, turned: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turned, point
    return matrix


def ramp(volume: Any, world_points: Any, direction: Any) -> None:
    """Voxels become their position along a direction of the world, in mm, times 10."""
    values = world_points(volume) @ np.asarray(direction) * 10
    slicer.util.arrayFromVolume(volume)[:] = np.round(values).astype(np.int16)
    volume.GetImageData().Modified()


@pytest.mark.parametrize("direction", np.eye(3), ids="RAS")
def test_values_are_sampled_at_their_world_positions(
    scene_builder: Any, geometry: str, turn: Any, world_points: Any, direction: np.ndarray
) -> None:
    volume = scene_builder.volume_in(geometry)
    ramp(volume, world_points, direction)
    middle = world_points(volume).reshape(-1, 3).mean(axis=0)
    stack = ObliqueStack(volume, view_at(middle, turn(20, 35, -50)))
    index = int(round(stack.world_to_slice(middle[None])[0, 0]))
    row, column = stack.shape[1] // 2, stack.shape[2] // 2
    position = stack.slice_to_world(index) @ (column, row, 0, 1)
    ijk = np.linalg.inv(stack.ijk_to_world) @ position
    assert (ijk[:3] > 0.5).all() and (ijk[:3] < np.array(slicer.util.arrayFromVolume(volume).shape[::-1]) - 1.5).all()
    assert stack.slice_values(index)[row, column] == pytest.approx(position[:3] @ direction * 10, abs=1.5)


def test_the_view_coincides_with_a_slice_and_has_its_orientation(
    scene_builder: Any, turn: Any, world_points: Any
) -> None:
    volume = scene_builder.volume_in("axes along the patient")
    at = world_points(volume).reshape(-1, 3).mean(axis=0) + (0.3, -0.2, 0.7)
    view = view_at(at, turn(30, 0, 0))
    stack = ObliqueStack(volume, view)
    position = stack.world_to_slice(at[None])[0, 0]
    assert position == pytest.approx(round(position), abs=1e-9)
    right = stack.world_to_slice((at + view[:3, 0])[None])[0] - stack.world_to_slice(at[None])[0]
    up = stack.world_to_slice((at + view[:3, 1])[None])[0] - stack.world_to_slice(at[None])[0]
    assert right[2] > 0 and right[:2] == pytest.approx([0, 0], abs=1e-9)
    assert up[1] < 0 and up[[0, 2]] == pytest.approx([0, 0], abs=1e-9)


def test_every_voxel_lies_in_the_stack_and_pixels_are_square(
    scene_builder: Any, geometry: str, turn: Any, world_points: Any
) -> None:
    volume = scene_builder.volume_in(geometry)
    points = world_points(volume).reshape(-1, 3)
    stack = ObliqueStack(volume, view_at(points[0], turn(15, 60, 5)))
    inside = np.round(stack.world_to_slice(points))
    assert (inside >= 0).all() and (inside <= np.array(stack.shape) - 1).all()
    assert stack.spacing[1] == stack.spacing[2]
    steps = np.linalg.norm(stack.slice_to_world(0)[:3, [2, 1, 0]], axis=0)
    assert steps == pytest.approx(stack.spacing)


def test_a_ball_is_resampled_to_its_voxels(scene_builder: Any, geometry: str, turn: Any, world_points: Any) -> None:
    volume = scene_builder.volume_in(geometry, shape=(18, 40, 44))
    points = world_points(volume)
    middle = points.reshape(-1, 3).mean(axis=0)
    radius = 0.35 * min(np.ptp(points.reshape(-1, 3), axis=0))
    stack = ObliqueStack(volume, view_at(middle, turn(25, -40, 10)))
    grid = np.stack(np.meshgrid(*map(np.arange, stack.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = grid[:, [2, 1, 0]] @ stack.slice_to_world(0)[:3, :3].T + stack.slice_to_world(0)[:3, 3]
    drawn = (np.linalg.norm(positions - middle, axis=1) <= radius).reshape(stack.shape)
    truth = np.linalg.norm(points - middle, axis=-1) <= radius
    found = stack.to_volume(drawn)
    assert dice(found, truth) > 0.9
    # No voxel is wrong that lies further from the edge than half a sample in every direction.
    far = np.abs(np.linalg.norm(points - middle, axis=-1) - radius) > np.linalg.norm(stack.spacing) / 2
    assert (found == truth)[far].all()


def test_an_empty_mask_stays_empty_and_a_wrong_shape_is_rejected(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume_in("oblique")
    stack = ObliqueStack(volume, view_at((0, 0, 0), turn(1, 2, 3)))
    assert not stack.to_volume(np.zeros(stack.shape, bool)).any()
    with pytest.raises(InputError, match="run it again"):
        stack.to_volume(np.zeros((2, 2, 2), bool))
    with pytest.raises(InputError, match="slices run from 0"):
        stack.slice_to_world(stack.shape[0])


def test_the_volume_is_not_modified(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume_in("oblique")
    before = slicer.util.arrayFromVolume(volume).copy()
    image, changed = volume.GetImageData(), volume.GetImageData().GetMTime()
    ObliqueStack(volume, view_at((0, 0, 0), turn(1, 2, 3))).slice_values(3)
    assert (slicer.util.arrayFromVolume(volume) == before).all()
    assert volume.GetImageData() is image
    assert image.GetMTime() == changed


@pytest.mark.parametrize("components", [3, 4])
def test_each_colour_is_resampled_as_a_grey_volume_is(scene_builder: Any, turn: Any, components: int) -> None:
    voxels = np.random.default_rng(4).integers(0, 256, (6, 9, 8, components), dtype=np.uint8)
    view = np.eye(4)
    view[:3, :3] = turn(20, -15, 30)
    stack = ObliqueStack(scene_builder.volume(voxels, class_name="vtkMRMLVectorVolumeNode"), view)
    found = stack.slice_values(stack.shape[0] // 2)
    assert found.shape == (*stack.shape[1:], 3)
    for colour in range(3):
        grey = ObliqueStack(scene_builder.volume(voxels[..., colour]), view).slice_values(stack.shape[0] // 2)
        # Outside of the volume, a slice has its lowest value.
        inside = grey != voxels[..., colour].min()
        assert inside.mean() > 0.2
        np.testing.assert_array_equal(found[..., colour][inside], grey[inside])
