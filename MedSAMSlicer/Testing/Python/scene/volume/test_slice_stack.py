"""Volumes of any geometry as stacks of slices, and masks converted back to the volume."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack, default_axis_of


def test_every_pixel_has_the_world_position_of_its_voxel_in_slicer(scene_builder, geometry, axis, world_points):
    volume = scene_builder.volume_in(geometry)
    truth = world_points(volume)
    stack = SliceStack(volume, axis)
    _, rows, columns = stack.shape

    for index in range(stack.shape[0]):
        row, column = np.mgrid[:rows, :columns].reshape(2, -1)
        pixels = np.stack([column, row, np.zeros_like(row), np.ones_like(row)])
        here = (stack.slice_to_world(index) @ pixels)[:3].T
        there = np.take(truth, index, axis="KJI".index(axis)).reshape(-1, 3)
        np.testing.assert_allclose(here, there, atol=1e-9)
        back = stack.world_to_slice(there)
        np.testing.assert_allclose(back, np.stack([np.full_like(row, index), row, column], axis=1), atol=1e-9)


def test_slices_have_scanner_values_and_are_converted_back_to_the_volume(scene_builder, geometry, axis):
    volume = scene_builder.volume_in(geometry)
    voxels = vtk_to_numpy(volume.GetImageData().GetPointData().GetScalars()).reshape(9, 12, 14)
    stack = SliceStack(volume, axis)
    copied = np.stack([stack.slice_values(index) for index in range(stack.shape[0])])
    assert copied.dtype == np.int16
    np.testing.assert_array_equal(stack.to_volume(copied), voxels)
    assert stack.dimensions == (14, 12, 9)


def test_spacing_is_in_world_millimetres(scene_builder, geometry, axis, world_points):
    volume = scene_builder.volume_in(geometry)
    truth = world_points(volume)
    steps = {
        "K": np.linalg.norm(truth[1, 0, 0] - truth[0, 0, 0]),
        "J": np.linalg.norm(truth[0, 1, 0] - truth[0, 0, 0]),
        "I": np.linalg.norm(truth[0, 0, 1] - truth[0, 0, 0]),
    }
    across = steps.pop(axis)
    np.testing.assert_allclose(SliceStack(volume, axis).spacing, [across, *steps.values()])


def test_a_scaling_parent_transform_scales_the_spacing(scene_builder):
    volume = scene_builder.volume_in("axes along the patient")
    volume.SetAndObserveTransformNodeID(scene_builder.transform(np.diag([2.0, 2.0, 2.0])))
    assert SliceStack(volume, "K").spacing == pytest.approx((6.2, 2.6, 1.6))


def test_slices_are_read_only_views(scene_builder, axis):
    volume = scene_builder.volume_in("oblique")
    scalars = volume.GetImageData().GetPointData().GetScalars()
    own_memory = vtk_to_numpy(scalars)
    before = own_memory.tobytes(), volume.GetMTime(), volume.GetImageData().GetMTime(), scalars.GetMTime()

    stack = SliceStack(volume, axis)
    for index in range(stack.shape[0]):
        pixels = stack.slice_values(index)
        assert np.shares_memory(pixels, own_memory)
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0] = 1

    assert before == (own_memory.tobytes(), volume.GetMTime(), volume.GetImageData().GetMTime(), scalars.GetMTime())


def test_a_mask_is_converted_back_without_a_copy(scene_builder, axis):
    stack = SliceStack(scene_builder.volume_in("oblique"), axis)
    mask = np.zeros(stack.shape, dtype=bool)
    assert np.shares_memory(stack.to_volume(mask), mask)
    with pytest.raises(InputError, match="shape"):
        stack.to_volume(mask[:-1])


def test_an_extent_that_does_not_start_at_zero_is_respected(scene_builder):
    volume = scene_builder.volume_in("oblique")
    at = SliceStack(volume, "K").slice_to_world(0) @ [3, 2, 1, 1]
    image = vtk.vtkImageData()
    image.DeepCopy(volume.GetImageData())
    image.SetExtent(3, 16, 2, 13, 1, 9)
    volume.SetAndObserveImageData(image)
    np.testing.assert_allclose(SliceStack(volume, "K").slice_to_world(0) @ [0, 0, 0, 1], at)


def test_a_labelmap_can_be_sliced(scene_builder):
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 2, 3] = 7
    stack = SliceStack(scene_builder.volume(labels, class_name="vtkMRMLLabelMapVolumeNode"), "I")
    assert stack.slice_values(3)[1, 2] == 7


def test_the_default_axis_has_the_largest_spacing_or_is_closest_to_superior(scene_builder):
    assert default_axis_of(scene_builder.volume_in("axes along the patient")) == "K"
    cube = np.zeros((4, 4, 4), np.uint8)
    assert default_axis_of(scene_builder.volume(cube, directions=np.eye(3)[:, [2, 0, 1]])) == "I"
    assert default_axis_of(scene_builder.volume(cube, parents=[np.diag([1.0, 3.0, 1.0])])) == "J"


@pytest.mark.parametrize("name", ["", "I J", "k", "Z"])
def test_an_unknown_axis_is_rejected(scene_builder, name):
    with pytest.raises(InputError, match="choose I, J or K"):
        SliceStack(scene_builder.volume_in("oblique"), name)


def test_unusable_volumes_are_rejected_with_their_name(scene_builder):
    empty = scene_builder.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing here")
    with pytest.raises(InputError, match="'nothing here' has no voxels"):
        SliceStack(empty, "K")
    for components, kind in ((3, np.float32), (3, np.uint16), (2, np.uint8), (9, np.uint8)):
        values = np.zeros((3, 4, 5, components), kind)
        field = scene_builder.volume(values, name="field", class_name="vtkMRMLVectorVolumeNode")
        with pytest.raises(InputError, match=f"'field' has {components} values per voxel that are no colours"):
            SliceStack(field, "K")
    line = scene_builder.volume(np.zeros((1, 4, 1), np.uint8), name="profile")
    with pytest.raises(InputError, match=r"'profile' is a line \(1 x 4 x 1 voxels\)"):
        SliceStack(line, "K")
    with pytest.raises(InputError, match="no volume is selected"):
        SliceStack(None, "K")
    squashed = scene_builder.volume_in("oblique", name="squashed")
    squashed.SetAndObserveTransformNodeID(scene_builder.transform(np.diag([1.0, 0.0, 1.0])))
    with pytest.raises(InputError, match="geometry of volume 'squashed' is not invertible"):
        SliceStack(squashed, "K")


def test_a_nonlinear_parent_transform_has_to_be_hardened(scene_builder):
    volume = scene_builder.volume_in("parent rotated and moved", name="bent")
    volume.GetParentTransformNode().SetAndObserveTransformNodeID(scene_builder.warp())
    for ask in (lambda: SliceStack(volume, "K"), lambda: default_axis_of(volume)):
        with pytest.raises(InputError, match="harden") as caught:
            ask()
        assert "volume 'bent'" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_three_slices_are_enough(scene_builder):
    stack = SliceStack(scene_builder.volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5)), "K")
    assert stack.shape == (3, 4, 5)
    with pytest.raises(InputError, match="slices run from 0 to 2"):
        stack.slice_to_world(3)


def test_microscopic_voxels_are_not_rejected_as_flat(scene_builder):
    volume = scene_builder.volume(np.zeros((3, 4, 5), np.uint8), spacing=(1e-5, 1e-5, 1e-4))
    assert SliceStack(volume, "K").spacing == pytest.approx((1e-4, 1e-5, 1e-5))
    assert isinstance(volume, slicer.vtkMRMLScalarVolumeNode)


@pytest.mark.parametrize("components", [3, 4])
def test_slices_of_a_colour_volume_have_red_green_and_blue(scene_builder, axis, components):
    voxels = np.random.default_rng(4).integers(0, 256, (4, 5, 6, components), dtype=np.uint8)
    volume = scene_builder.volume(voxels, class_name="vtkMRMLVectorVolumeNode")
    stack = SliceStack(volume, axis)
    for index in range(stack.shape[0]):
        expected = np.take(voxels[..., :3], index, axis="KJI".index(axis))
        np.testing.assert_array_equal(stack.slice_values(index), expected)
    assert stack.to_volume(np.zeros(stack.shape, bool)).shape == (4, 5, 6)


@pytest.mark.parametrize("flat", "KJI")
def test_a_single_slice_is_a_stack_across_it(scene_builder, flat):
    shape = [4, 5, 6]
    shape["KJI".index(flat)] = 1
    volume = scene_builder.volume(np.zeros(shape, np.uint8), spacing=(1.0, 2.0, 3.0), name="x-ray")
    assert default_axis_of(volume) == flat
    assert SliceStack(volume, flat).shape[0] == 1
