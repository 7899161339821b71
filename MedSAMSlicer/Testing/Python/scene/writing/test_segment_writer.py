"""Results reach the segment they were meant for, where they belong and as Segment Editor would write them."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack
from support.segment_writer_fixture import (
    BEFORE,
    MODES,
    NEIGHBOUR,
    RESULT,
    SHAPE,
    block,
    expected,
    state,
)

# -- geometry --------------------------------------------------------------------------------------------------------


def test_an_ellipsoid_comes_back_where_it_was(editing, geometry, axis, world_points, segment_in):
    """Painted in world millimetres, found slice by slice, written, and read back by Slicer: the same voxels."""
    volume = editing.scene_builder.volume_in(geometry)
    points = world_points(volume)
    reach = points.reshape(-1, 3).max(axis=0) - points.reshape(-1, 3).min(axis=0)
    middle = points.reshape(-1, 3).mean(axis=0) + 0.05 * reach
    ellipsoid = ((points - middle) ** 2 / (0.3 * reach) ** 2).sum(axis=-1) < 1
    voxels = vtk_to_numpy(volume.GetImageData().GetPointData().GetScalars()).reshape(SHAPE)
    voxels[ellipsoid] = 2000
    volume.GetImageData().Modified()
    segmentation = editing.scene_builder.segmentation(volume, "tumour")
    before = voxels.tobytes(), volume.GetMTime(), volume.GetImageData().GetMTime()
    assert 50 < ellipsoid.sum() < 1000

    stack = SliceStack(volume, axis)
    found = np.stack([stack.slice_values(index) > 1000 for index in range(stack.shape[0])])
    writer = editing.writer(segmentation, volume)
    written = writer.write(stack.to_volume(found), volume)

    assert before == (voxels.tobytes(), volume.GetMTime(), volume.GetImageData().GetMTime())
    assert (written.voxels, written.voxels_outside) == (ellipsoid.sum(), 0)
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), ellipsoid)


@pytest.mark.parametrize("elsewhere", ["axes permuted", "directions flipped"])
def test_the_same_voxels_counted_in_another_order_are_written_exactly(editing, segment_in, elsewhere, axis):
    """The segmentation has the axes of another reconstruction: permuted or flipped, on the same grid."""
    volume = editing.scene_builder.volume(np.zeros(SHAPE, np.int16))
    other = editing.scene_builder.volume(
        np.zeros((30, 30, 30), np.int16),
        directions=np.eye(3)[:, [2, 0, 1]] if elsewhere == "axes permuted" else np.diag([-1.0, -1.0, 1.0]),
        origin=(-15.0, 26.0, 2.0) if elsewhere == "axes permuted" else (12.0, 52.0, 2.0),
    )
    segmentation = editing.scene_builder.segmentation(other, "tumour")
    written = editing.writer(segmentation, volume).write(RESULT, volume)
    assert (written.voxels, written.voxels_outside) == (RESULT.sum(), 0)
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), RESULT)


def test_a_segmentation_under_another_transform_gets_the_result_in_the_same_place_of_the_world(
    editing, segment_in, geometry, turn
):
    volume = editing.scene_builder.volume_in(geometry)
    segmentation = editing.scene_builder.segmentation()
    moved = editing.scene_builder.transform(np.c_[turn(40, -20, 70), [50.0, 60.0, -70.0]])
    segmentation.SetAndObserveTransformNodeID(moved)
    segmentation.GetSegmentation().AddEmptySegment("tumour", "tumour")
    written = editing.writer(segmentation, volume).write(RESULT, volume)
    assert (written.voxels, written.voxels_outside) == (RESULT.sum(), 0)
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), RESULT)


@pytest.mark.parametrize("mode", MODES)
def test_each_voxel_of_another_grid_takes_the_voxel_that_its_centre_lies_in(
    editing, world_points, segment_in, turn, mode
):
    volume = editing.scene_builder.volume_in("oblique")
    centre = world_points(volume).reshape(-1, 3).mean(axis=0)
    grid = editing.scene_builder.volume(
        np.zeros((40, 40, 40), np.uint8),
        (0.9, 0.7, 1.0),
        turn(5, 10, 15),
        origin=tuple(centre - turn(5, 10, 15) @ [18, 14, 20]),
    )
    segmentation = editing.scene_builder.segmentation(grid, "tumour")
    writer = editing.writer(segmentation, volume)
    everything = np.ones(SHAPE, bool)
    if mode != "add":
        writer.write(everything, volume)
    writer.write(RESULT, volume, mode)

    ijk = np.rint(SliceStack(volume, "K").world_to_slice(world_points(grid).reshape(-1, 3))).astype(int)
    inside = ((ijk >= 0) & (ijk < SHAPE)).all(axis=1)
    truth = np.zeros(len(ijk), bool)
    truth[inside] = RESULT[tuple(ijk[inside].T)]
    if mode == "remove":
        truth = inside & ~truth
    assert truth.sum() > 1000
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", grid), truth.reshape(40, 40, 40))


def test_what_a_cropped_segmentation_cannot_hold_is_counted(editing, segment_in):
    volume = editing.scene_builder.volume(np.zeros(SHAPE, np.int16))
    cropped = editing.scene_builder.volume(np.zeros((9, 12, 8), np.int16))  # lacks columns 8 and up
    segmentation = editing.scene_builder.segmentation(cropped, "tumour")
    written = editing.writer(segmentation, volume).write(RESULT, volume)
    kept = RESULT.copy()
    kept[..., 8:] = False
    assert (written.voxels, written.voxels_outside) == (kept.sum(), (RESULT & ~kept).sum())
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), kept)


def test_a_result_that_misses_the_segmentation_is_refused(editing):
    volume = editing.scene_builder.volume(np.zeros(SHAPE, np.int16))
    elsewhere = editing.scene_builder.volume(np.zeros(SHAPE, np.int16), origin=(500.0, 0.0, 0.0))
    segmentation = editing.scene_builder.segmentation(elsewhere, "tumour")
    before = state(segmentation)
    with pytest.raises(InputError, match="Specify geometry"):
        editing.writer(segmentation, volume).write(RESULT, volume)
    assert state(segmentation) == before


def test_a_segmentation_without_geometry_grows_beyond_the_segments_it_came_with(make_writer_fixture):
    """As after an import: the bounds of the segments that are there must not become the bounds of editing."""
    writer_fixture = make_writer_fixture("oblique")
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    writer_fixture.segmentation.GetSegmentation().SetConversionParameter(name, "")
    written = writer_fixture.write(np.ones(SHAPE, bool))
    assert (written.voxels, written.voxels_outside) == (np.prod(SHAPE), 0)
    assert writer_fixture.read().all()


def test_a_segment_that_came_with_a_grid_of_its_own_is_replaced_as_a_whole(make_writer_fixture, turn):
    """Segment Editor's own Set takes such a segment for one on the modifier's grid."""
    writer_fixture = make_writer_fixture(fill=False)
    foreign = writer_fixture.scene_builder.volume(
        np.ones((6, 6, 6), np.uint8), (1.7, 1.7, 1.7), turn(3, 3, 3), origin=(-9.0, 33.0, 9.0)
    )
    labelmap = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(foreign)
    writer_fixture.segmentation.AddSegmentFromBinaryLabelmapRepresentation(labelmap, "foreign", [1.0, 0.0, 0.0])
    (segment_id,) = (writer_fixture.segmentation.GetSegmentation().GetSegmentIdBySegmentName("foreign"),)
    assert writer_fixture.read(segment_id).any()
    writer_fixture.write(RESULT, segment_id, "replace")
    np.testing.assert_array_equal(writer_fixture.read(segment_id), RESULT)


# -- Segment Editor's rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_add_replace_and_remove(writer_fixture, mode):
    writer_fixture.write(RESULT, mode=mode)
    everywhere = np.ones(SHAPE, bool)
    np.testing.assert_array_equal(writer_fixture.read(), expected(mode, BEFORE, RESULT, everywhere))


MASK_MODES = {
    "everywhere": ("EditAllowedEverywhere", np.ones(SHAPE, bool)),
    "inside all segments": ("EditAllowedInsideAllSegments", BEFORE | NEIGHBOUR),
    "inside visible segments": ("EditAllowedInsideVisibleSegments", BEFORE),
    "outside all segments": ("EditAllowedOutsideAllSegments", ~NEIGHBOUR),
    "outside visible segments": ("EditAllowedOutsideVisibleSegments", np.ones(SHAPE, bool)),
    "inside the organ": ("EditAllowedInsideSingleSegment", NEIGHBOUR),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mask_mode", MASK_MODES)
def test_masking_decides_where_the_segment_changes(writer_fixture, mask_mode, mode):
    constant, editable = MASK_MODES[mask_mode]
    writer_fixture.node.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, constant))
    writer_fixture.node.SetMaskSegmentID("organ")
    writer_fixture.node.SetOverwriteMode(writer_fixture.node.OverwriteNone)
    writer_fixture.segmentation.GetDisplayNode().SetSegmentVisibility("organ", False)
    if mask_mode == "inside the organ" and mode == "remove":
        editable = editable | BEFORE  # Segment Editor: what is cut off goes to the segment that is edited inside of

    becomes = expected(mode, BEFORE, RESULT, editable)
    with pytest.raises(InputError) if (becomes == BEFORE).all() else nullcontext():
        writer_fixture.write(RESULT, mode=mode)

    np.testing.assert_array_equal(writer_fixture.read(), becomes)
    given = RESULT & editable if (mask_mode, mode) == ("inside the organ", "remove") else np.zeros(SHAPE, bool)
    np.testing.assert_array_equal(writer_fixture.read("organ"), NEIGHBOUR | given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("overwrite", ["OverwriteAllSegments", "OverwriteVisibleSegments", "OverwriteNone"])
def test_overwrite_mode_decides_what_the_neighbour_loses(writer_fixture, overwrite, visible, mode):
    writer_fixture.node.SetOverwriteMode(getattr(writer_fixture.node, overwrite))
    writer_fixture.segmentation.GetDisplayNode().SetSegmentVisibility("organ", visible)
    writer_fixture.write(RESULT, mode=mode)

    loses = mode != "remove" and (
        overwrite == "OverwriteAllSegments" or (overwrite == "OverwriteVisibleSegments" and visible)
    )
    np.testing.assert_array_equal(writer_fixture.read("organ"), NEIGHBOUR & ~RESULT if loses else NEIGHBOUR)
    np.testing.assert_array_equal(writer_fixture.read(), expected(mode, BEFORE, RESULT, np.ones(SHAPE, bool)))


@pytest.mark.parametrize("mode", MODES)
def test_only_voxels_in_the_editable_intensity_range_change(writer_fixture, mode):
    voxels = SliceStack(writer_fixture.volume, "K").slice_values
    editable = np.stack([(voxels(k) >= -300) & (voxels(k) <= 450) for k in range(SHAPE[0])])
    assert 0.2 < editable.mean() < 0.8
    writer_fixture.node.SetSourceVolumeIntensityMask(True)
    writer_fixture.node.SetSourceVolumeIntensityMaskRange(-300, 450)
    writer_fixture.write(RESULT, mode=mode)
    np.testing.assert_array_equal(writer_fixture.read(), expected(mode, BEFORE, RESULT, editable))


def test_segments_of_one_layer_do_not_eat_each_other(writer_fixture):
    part = writer_fixture.segmentation.GetSegmentation()
    part.AddEmptySegment("vessel", "vessel")
    writer_fixture.write(block(slice(0, 9), slice(0, 12), slice(0, 2)), "vessel")
    part.CollapseBinaryLabelmaps(False)
    assert part.GetNumberOfLayers() == 1
    writer_fixture.node.SetOverwriteMode(writer_fixture.node.OverwriteNone)

    writer_fixture.write(np.ones(SHAPE, bool), "tumour", "replace")

    assert part.GetNumberOfLayers() == 2
    assert writer_fixture.read().all()
    np.testing.assert_array_equal(writer_fixture.read("organ"), NEIGHBOUR)
    np.testing.assert_array_equal(writer_fixture.read("vessel"), block(slice(0, 9), slice(0, 12), slice(0, 2)))


def test_what_masking_has_kept_is_counted(writer_fixture):
    writer_fixture.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    free = RESULT & ~NEIGHBOUR
    written = writer_fixture.write(RESULT)
    assert (written.voxels, written.voxels_masked) == (free.sum(), (RESULT & NEIGHBOUR).sum())
    assert 0 < free.sum() < RESULT.sum()

    writer_fixture.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    written = writer_fixture.write(RESULT, mode="remove")
    assert (written.voxels, written.voxels_masked) == ((free | (RESULT & BEFORE)).sum(), 0)


@pytest.mark.parametrize("mode", MODES)
def test_a_result_that_masking_keeps_out_altogether_is_refused(writer_fixture, mode):
    writer_fixture.node.SetSourceVolumeIntensityMask(True)
    writer_fixture.node.SetSourceVolumeIntensityMaskRange(1e6, 2e6)
    before = state(writer_fixture.segmentation)
    with pytest.raises(InputError, match="masking keeps all"):
        writer_fixture.write(RESULT, mode=mode)
    assert state(writer_fixture.segmentation) == before


def test_the_first_segment_of_an_empty_segmentation_can_be_replaced(make_writer_fixture):
    writer_fixture = make_writer_fixture(fill=False)
    writer_fixture.write(RESULT, mode="replace")
    np.testing.assert_array_equal(writer_fixture.read(), RESULT)
    writer_fixture.write(np.zeros(SHAPE, bool), mode="replace")
    writer_fixture.write(BEFORE, mode="replace")
    np.testing.assert_array_equal(writer_fixture.read(), BEFORE)
