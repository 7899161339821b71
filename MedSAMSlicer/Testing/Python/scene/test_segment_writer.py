"""Results reach the segment they were meant for, as Segment Editor would write them, or nothing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.segment_writer import SegmentWriter, WriteError
from MedSAMSlicerLib.scene.slice_stack import SliceStack

SHAPE = (9, 12, 14)
MODES = ("add", "replace", "remove")


def block(k: slice, j: slice, i: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[k, j, i] = True
    return mask


RESULT = block(slice(2, 7), slice(3, 9), slice(4, 11))
BEFORE = block(slice(4, 9), slice(0, 6), slice(2, 8))
NEIGHBOUR = block(slice(0, 5), slice(5, 12), slice(6, 13)) & ~BEFORE


def state(segmentation: Any) -> list[tuple]:
    """Everything that a failed write must leave as it was, to the last bit."""
    part = segmentation.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    told: list[tuple] = [(part.GetConversionParameter(name), part.GetSourceRepresentationName())]
    layers: list[Any] = []
    for n in range(part.GetNumberOfSegments()):
        segment = part.GetNthSegment(n)
        labelmap = segment.GetRepresentation("Binary labelmap")
        if labelmap not in layers:
            layers.append(labelmap)
        matrix = vtk.vtkMatrix4x4()
        labelmap.GetImageToWorldMatrix(matrix)
        scalars = labelmap.GetPointData().GetScalars()
        told.append(
            (
                part.GetNthSegmentID(n),
                segment.GetName(),
                segment.GetColor(),
                segment.GetLabelValue(),
                slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentStatus(segment),
                layers.index(labelmap),
                labelmap.GetExtent(),
                str(matrix).split("Elements")[1],
                b"" if scalars is None or labelmap.IsEmpty() else vtk_to_numpy(scalars).tobytes(),
            )
        )
    return told


class Clinic:
    """A volume, a segmentation with the segments `tumour` and `organ`, and a writer."""

    def __init__(self, world: Any, segment_in: Any, geometry: str = "oblique", fill: bool = True) -> None:
        self.world = world
        self.read_segment = segment_in
        self.volume = world.volume_in(geometry)
        self.segmentation = world.segmentation(self.volume, "tumour", "organ")
        self.writer = SegmentWriter.for_nodes(self.segmentation, self.volume)
        self.logic = self.writer.logic
        self.editor = self.logic.GetSegmentEditorNode()
        if fill:
            self.write(BEFORE, "tumour")
            self.write(NEIGHBOUR, "organ")
            self.logic.ClearUndoState()

    def write(self, mask: np.ndarray, segment_id: str = "tumour", mode: str = "add") -> Any:
        return self.writer.write(mask, self.volume, segment_id, mode)

    def read(self, segment_id: str = "tumour", volume: Any = None) -> np.ndarray:
        return self.read_segment(self.segmentation, segment_id, volume or self.volume)


@pytest.fixture
def clinic(world, segment_in) -> Clinic:
    return Clinic(world, segment_in)


def expected(mode: str, tumour: np.ndarray, result: np.ndarray, editable: np.ndarray) -> np.ndarray:
    if mode == "add":
        return tumour | (result & editable)
    if mode == "replace":
        return (tumour & ~editable) | (result & editable)
    return tumour & ~(result & editable)


# -- geometry --------------------------------------------------------------------------------------------------------


def test_an_ellipsoid_comes_back_where_it_was(world, geometry, axis, world_points, segment_in):
    """Painted in world millimetres, found slice by slice, written, and read back by Slicer: the same voxels."""
    volume = world.volume_in(geometry)
    points = world_points(volume)
    reach = points.reshape(-1, 3).max(axis=0) - points.reshape(-1, 3).min(axis=0)
    middle = points.reshape(-1, 3).mean(axis=0) + 0.05 * reach
    ellipsoid = ((points - middle) ** 2 / (0.3 * reach) ** 2).sum(axis=-1) < 1
    voxels = vtk_to_numpy(volume.GetImageData().GetPointData().GetScalars()).reshape(SHAPE)
    voxels[ellipsoid] = 2000
    volume.GetImageData().Modified()
    segmentation = world.segmentation(volume, "tumour")
    before = voxels.tobytes(), volume.GetMTime(), volume.GetImageData().GetMTime()
    assert 50 < ellipsoid.sum() < 1000

    stack = SliceStack(volume, axis)
    found = np.stack([stack.slice_values(index) > 1000 for index in range(stack.shape[0])])
    writer = SegmentWriter.for_nodes(segmentation, volume)
    written = writer.write(stack.to_volume(found), volume, "tumour")

    assert before == (voxels.tobytes(), volume.GetMTime(), volume.GetImageData().GetMTime())
    assert (written.voxels, written.voxels_outside) == (ellipsoid.sum(), 0)
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), ellipsoid)


@pytest.mark.parametrize("elsewhere", ["axes permuted", "directions flipped"])
def test_the_same_voxels_counted_in_another_order_are_written_exactly(world, segment_in, elsewhere, axis):
    """The segmentation has the axes of another reconstruction: permuted or flipped, on the same grid."""
    volume = world.volume(np.zeros(SHAPE, np.int16))
    other = world.volume(
        np.zeros((30, 30, 30), np.int16),
        directions=np.eye(3)[:, [2, 0, 1]] if elsewhere == "axes permuted" else np.diag([-1.0, -1.0, 1.0]),
        origin=(-15.0, 26.0, 2.0) if elsewhere == "axes permuted" else (12.0, 52.0, 2.0),
    )
    segmentation = world.segmentation(other, "tumour")
    written = SegmentWriter.for_nodes(segmentation, volume).write(RESULT, volume, "tumour")
    assert (written.voxels, written.voxels_outside) == (RESULT.sum(), 0)
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), RESULT)


def test_a_segmentation_under_another_transform_gets_the_result_in_the_same_place_of_the_world(
    world, segment_in, geometry, turn
):
    volume = world.volume_in(geometry)
    segmentation = world.segmentation()
    moved = world.transform(np.c_[turn(40, -20, 70), [50.0, 60.0, -70.0]])
    segmentation.SetAndObserveTransformNodeID(moved)
    segmentation.GetSegmentation().AddEmptySegment("tumour", "tumour")
    written = SegmentWriter.for_nodes(segmentation, volume).write(RESULT, volume, "tumour")
    assert (written.voxels, written.voxels_outside) == (RESULT.sum(), 0)
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), RESULT)


@pytest.mark.parametrize("mode", MODES)
def test_each_voxel_of_another_grid_takes_the_voxel_that_its_centre_lies_in(
    world, world_points, segment_in, turn, mode
):
    volume = world.volume_in("oblique")
    centre = world_points(volume).reshape(-1, 3).mean(axis=0)
    grid = world.volume(
        np.zeros((40, 40, 40), np.uint8),
        (0.9, 0.7, 1.0),
        turn(5, 10, 15),
        origin=tuple(centre - turn(5, 10, 15) @ [18, 14, 20]),
    )
    segmentation = world.segmentation(grid, "tumour")
    writer = SegmentWriter.for_nodes(segmentation, volume)
    everything = np.ones(SHAPE, bool)
    if mode != "add":
        writer.write(everything, volume, "tumour")
    writer.write(RESULT, volume, "tumour", mode)

    ijk = np.rint(SliceStack(volume, "K").world_to_slice(world_points(grid).reshape(-1, 3))).astype(int)
    inside = ((ijk >= 0) & (ijk < SHAPE)).all(axis=1)
    truth = np.zeros(len(ijk), bool)
    truth[inside] = RESULT[tuple(ijk[inside].T)]
    if mode == "remove":
        truth = inside & ~truth
    assert truth.sum() > 1000
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", grid), truth.reshape(40, 40, 40))


def test_what_a_cropped_segmentation_cannot_hold_is_counted(world, segment_in):
    volume = world.volume(np.zeros(SHAPE, np.int16))
    cropped = world.volume(np.zeros((9, 12, 8), np.int16))  # lacks columns 8 and up
    segmentation = world.segmentation(cropped, "tumour")
    written = SegmentWriter.for_nodes(segmentation, volume).write(RESULT, volume, "tumour")
    kept = RESULT.copy()
    kept[..., 8:] = False
    assert (written.voxels, written.voxels_outside) == (kept.sum(), (RESULT & ~kept).sum())
    np.testing.assert_array_equal(segment_in(segmentation, "tumour", volume), kept)


def test_a_result_that_misses_the_segmentation_is_refused(world):
    volume = world.volume(np.zeros(SHAPE, np.int16))
    elsewhere = world.volume(np.zeros(SHAPE, np.int16), origin=(500.0, 0.0, 0.0))
    segmentation = world.segmentation(elsewhere, "tumour")
    before = state(segmentation)
    with pytest.raises(InputError, match="Specify geometry"):
        SegmentWriter.for_nodes(segmentation, volume).write(RESULT, volume, "tumour")
    assert state(segmentation) == before


def test_a_segmentation_without_geometry_grows_beyond_the_segments_it_came_with(world, segment_in):
    """As after an import: the bounds of the segments that are there must not become the bounds of editing."""
    clinic = Clinic(world, segment_in, "oblique")
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    clinic.segmentation.GetSegmentation().SetConversionParameter(name, "")
    written = clinic.write(np.ones(SHAPE, bool))
    assert (written.voxels, written.voxels_outside) == (np.prod(SHAPE), 0)
    assert clinic.read().all()


def test_a_segment_that_came_with_a_grid_of_its_own_is_replaced_as_a_whole(world, segment_in, turn):
    """Segment Editor's own Set takes such a segment for one on the modifier's grid."""
    clinic = Clinic(world, segment_in, fill=False)
    foreign = world.volume(np.ones((6, 6, 6), np.uint8), (1.7, 1.7, 1.7), turn(3, 3, 3), origin=(-9.0, 33.0, 9.0))
    labelmap = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(foreign)
    clinic.segmentation.AddSegmentFromBinaryLabelmapRepresentation(labelmap, "foreign", [1.0, 0.0, 0.0])
    (segment_id,) = (clinic.segmentation.GetSegmentation().GetSegmentIdBySegmentName("foreign"),)
    assert clinic.read(segment_id).any()
    clinic.write(RESULT, segment_id, "replace")
    np.testing.assert_array_equal(clinic.read(segment_id), RESULT)


# -- Segment Editor's rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_add_replace_and_remove(clinic, mode):
    clinic.write(RESULT, mode=mode)
    everywhere = np.ones(SHAPE, bool)
    np.testing.assert_array_equal(clinic.read(), expected(mode, BEFORE, RESULT, everywhere))


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
def test_masking_decides_where_the_segment_changes(clinic, mask_mode, mode):
    constant, editable = MASK_MODES[mask_mode]
    clinic.editor.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, constant))
    clinic.editor.SetMaskSegmentID("organ")
    clinic.editor.SetOverwriteMode(clinic.editor.OverwriteNone)
    clinic.segmentation.GetDisplayNode().SetSegmentVisibility("organ", False)
    if mask_mode == "inside the organ" and mode == "remove":
        editable = editable | BEFORE  # Segment Editor: what is cut off goes to the segment that is edited inside of

    clinic.write(RESULT, mode=mode)

    np.testing.assert_array_equal(clinic.read(), expected(mode, BEFORE, RESULT, editable))
    given = RESULT & editable if (mask_mode, mode) == ("inside the organ", "remove") else np.zeros(SHAPE, bool)
    np.testing.assert_array_equal(clinic.read("organ"), NEIGHBOUR | given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("visible", [True, False])
@pytest.mark.parametrize("overwrite", ["OverwriteAllSegments", "OverwriteVisibleSegments", "OverwriteNone"])
def test_overwrite_mode_decides_what_the_neighbour_loses(clinic, overwrite, visible, mode):
    clinic.editor.SetOverwriteMode(getattr(clinic.editor, overwrite))
    clinic.segmentation.GetDisplayNode().SetSegmentVisibility("organ", visible)
    clinic.write(RESULT, mode=mode)

    loses = mode != "remove" and (
        overwrite == "OverwriteAllSegments" or (overwrite == "OverwriteVisibleSegments" and visible)
    )
    np.testing.assert_array_equal(clinic.read("organ"), NEIGHBOUR & ~RESULT if loses else NEIGHBOUR)
    np.testing.assert_array_equal(clinic.read(), expected(mode, BEFORE, RESULT, np.ones(SHAPE, bool)))


@pytest.mark.parametrize("mode", MODES)
def test_only_voxels_in_the_editable_intensity_range_change(clinic, mode):
    voxels = SliceStack(clinic.volume, "K").slice_values
    editable = np.stack([(voxels(k) >= -300) & (voxels(k) <= 450) for k in range(SHAPE[0])])
    assert 0.2 < editable.mean() < 0.8
    clinic.editor.SetSourceVolumeIntensityMask(True)
    clinic.editor.SetSourceVolumeIntensityMaskRange(-300, 450)
    clinic.write(RESULT, mode=mode)
    np.testing.assert_array_equal(clinic.read(), expected(mode, BEFORE, RESULT, editable))


def test_segments_of_one_layer_do_not_eat_each_other(clinic):
    part = clinic.segmentation.GetSegmentation()
    part.AddEmptySegment("vessel", "vessel")
    clinic.write(block(slice(0, 9), slice(0, 12), slice(0, 2)), "vessel")
    part.CollapseBinaryLabelmaps(False)
    assert part.GetNumberOfLayers() == 1
    clinic.editor.SetOverwriteMode(clinic.editor.OverwriteNone)

    clinic.write(np.ones(SHAPE, bool), "tumour", "replace")

    assert part.GetNumberOfLayers() == 2
    assert clinic.read().all()
    np.testing.assert_array_equal(clinic.read("organ"), NEIGHBOUR)
    np.testing.assert_array_equal(clinic.read("vessel"), block(slice(0, 9), slice(0, 12), slice(0, 2)))


def test_the_segment_meant_is_written_whichever_is_selected(clinic):
    """The result may come when the user has already turned to another segment."""
    clinic.editor.SetSelectedSegmentID("organ")
    clinic.editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    clinic.write(RESULT, "tumour", "replace")
    np.testing.assert_array_equal(clinic.read(), (RESULT & ~NEIGHBOUR) | (BEFORE & NEIGHBOUR))
    np.testing.assert_array_equal(clinic.read("organ"), NEIGHBOUR)
    assert clinic.editor.GetSelectedSegmentID() == "organ"


def test_the_first_segment_of_an_empty_segmentation_can_be_replaced(world, segment_in):
    clinic = Clinic(world, segment_in, fill=False)
    clinic.write(RESULT, mode="replace")
    np.testing.assert_array_equal(clinic.read(), RESULT)
    clinic.write(np.zeros(SHAPE, bool), mode="replace")
    clinic.write(BEFORE, mode="replace")
    np.testing.assert_array_equal(clinic.read(), BEFORE)


# -- undo ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_write_is_one_step_to_undo_and_to_redo(clinic, mode):
    before = state(clinic.segmentation)
    clinic.write(RESULT, mode=mode)
    after = clinic.read()
    assert not clinic.logic.CanRedo()

    clinic.logic.Undo()
    assert state(clinic.segmentation) == before
    assert not clinic.logic.CanUndo()

    clinic.logic.Redo()
    np.testing.assert_array_equal(clinic.read(), after)
    assert not clinic.logic.CanRedo()


def test_an_empty_result_clears_on_replace_and_is_nothing_to_undo_otherwise(clinic):
    nothing = np.zeros(SHAPE, bool)
    before = state(clinic.segmentation)
    for mode in ("add", "remove"):
        assert clinic.write(nothing, mode=mode).voxels == 0
    assert state(clinic.segmentation) == before
    assert not clinic.logic.CanUndo()

    clinic.write(nothing, mode="replace")
    assert clinic.segmentation.GetSegmentation().GetSegment("tumour") is not None
    np.testing.assert_array_equal(clinic.read("organ"), NEIGHBOUR)
    clinic.logic.Undo()
    np.testing.assert_array_equal(clinic.read(), BEFORE)


# -- failures --------------------------------------------------------------------------------------------------------


class BreaksHalfWay:
    """A logic whose modification has changed both segments when it fails."""

    def __init__(self, logic: Any, failure: Exception) -> None:
        self._logic = logic
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logic, name)

    def ModifySegmentByLabelmap(self, *arguments: Any) -> None:
        self._logic.ModifySegmentByLabelmap(*arguments)
        raise self._failure


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("undo_states", [0, 1, 10])
@pytest.mark.parametrize("named", [True, False])
def test_a_failure_half_way_leaves_the_segmentation_bit_for_bit(clinic, mode, undo_states, named):
    clinic.logic.SetMaximumNumberOfUndoStates(undo_states)
    if not named:
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        clinic.segmentation.GetSegmentation().SetConversionParameter(name, "")
    before = state(clinic.segmentation)
    clinic.writer.logic = BreaksHalfWay(clinic.logic, MemoryError("full"))
    clinic.editor.SetSelectedSegmentID("organ")

    with pytest.raises(MemoryError):
        clinic.write(RESULT, mode=mode)

    assert state(clinic.segmentation) == before
    assert clinic.editor.GetSelectedSegmentID() == "organ"
    assert not clinic.logic.CanRedo()
    clinic.writer.logic = clinic.logic
    clinic.write(RESULT, mode=mode)
    np.testing.assert_array_equal(clinic.read(), expected(mode, BEFORE, RESULT, np.ones(SHAPE, bool)))


def test_damage_that_nobody_announced_is_put_right_too(clinic):
    class ScribblesAndDies(BreaksHalfWay):
        def ModifySegmentByLabelmap(self, segmentation: Any, segment_id: str, *rest: Any) -> None:
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            vtk_to_numpy(segment.GetRepresentation("Binary labelmap").GetPointData().GetScalars())[:] = 77
            raise self._failure

    before = state(clinic.segmentation)
    clinic.writer.logic = ScribblesAndDies(clinic.logic, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        clinic.write(RESULT)
    assert state(clinic.segmentation) == before


def test_what_the_logic_only_mutters_is_an_error_too(clinic):
    """vtkSlicerSegmentEditorLogic returns nothing and keeps quiet; its complaint has to reach the user."""

    class LosesItsNode(BreaksHalfWay):
        def ModifySegmentByLabelmap(self, segmentation: Any, _segment: str, *rest: Any) -> None:
            self._logic.ModifySegmentByLabelmap(segmentation, "not there", *rest)

    before = state(clinic.segmentation)
    clinic.writer.logic = LosesItsNode(clinic.logic, RuntimeError())
    with pytest.raises(WriteError, match="is as it was.*Invalid segment") as caught:
        clinic.write(RESULT)
    assert "\n" not in str(caught.value)
    assert state(clinic.segmentation) == before
    assert not clinic.logic.GetVerbose()


def refused(
    clinic: Clinic, message: str, mask: np.ndarray = RESULT, segment_id: str = "tumour", mode: str = "add"
) -> None:
    before = state(clinic.segmentation)
    undo = clinic.logic.CanUndo()
    with pytest.raises(InputError, match=message) as caught:
        clinic.write(mask, segment_id, mode)
    assert "\n" not in str(caught.value)
    assert state(clinic.segmentation) == before
    assert clinic.logic.CanUndo() == undo


def test_what_was_deleted_meanwhile_is_named(clinic):
    refused(clinic, "segment 'gone' of segmentation 'Segmentation' was deleted", segment_id="gone")
    clinic.world.scene.RemoveNode(clinic.volume)
    refused(clinic, "volume 'CT' was deleted")


def test_a_deleted_segmentation_is_named(clinic):
    clinic.world.scene.RemoveNode(clinic.segmentation)
    refused(clinic, "segmentation 'Segmentation' was deleted")


def test_the_result_does_not_go_into_another_segmentation(clinic):
    other = clinic.world.segmentation(clinic.volume, "tumour")
    clinic.editor.SetAndObserveSegmentationNode(other)
    untouched = state(other)
    refused(clinic, "no longer selected")
    assert state(other) == untouched


def test_a_writer_needs_nodes_of_a_scene(world, clinic):
    with pytest.raises(InputError, match="no segmentation is selected"):
        SegmentWriter.for_nodes(None, clinic.volume)
    with pytest.raises(InputError, match="no volume is selected"):
        SegmentWriter.for_nodes(clinic.segmentation, None)
    with pytest.raises(InputError, match="no segmentation is selected"):
        SegmentWriter(slicer.vtkSlicerSegmentEditorLogic())
    with pytest.raises(InputError, match="was deleted"):
        SegmentWriter.for_nodes(slicer.vtkMRMLSegmentationNode(), clinic.volume)


def test_unknown_modes_and_shapes_are_refused(clinic):
    refused(clinic, "choose add, replace or remove", mode="merge")
    refused(clinic, "shape", mask=RESULT[1:])
    refused(clinic, "shape", mask=RESULT[0])


def test_a_segmentation_kept_as_surfaces_has_to_be_converted_first(clinic):
    part = clinic.segmentation.GetSegmentation()
    assert part.CreateRepresentation("Closed surface")
    part.SetSourceRepresentationName("Closed surface")
    points = part.GetSegment("tumour").GetRepresentation("Closed surface").GetPoints().GetData()
    before = vtk_to_numpy(points).tobytes()
    with pytest.raises(InputError, match="make Binary labelmap its source"):
        clinic.write(RESULT)
    assert vtk_to_numpy(points).tobytes() == before
    assert not clinic.logic.CanUndo()


def test_masking_that_cannot_be_made_is_explained(clinic):
    clinic.editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    for missing in ("", "gone"):
        clinic.editor.SetMaskSegmentID(missing)
        refused(clinic, "choose it under Masking")
    clinic.editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    clinic.editor.SetSourceVolumeIntensityMask(True)
    clinic.editor.SetAndObserveSourceVolumeNode(None)
    refused(clinic, "editable intensity range has no source volume")


def test_a_segmentation_under_a_bending_transform_has_to_be_hardened_first(clinic):
    clinic.segmentation.SetAndObserveTransformNodeID(clinic.world.warp())
    refused(clinic, "segmentation 'Segmentation' lies under the nonlinear transform")
