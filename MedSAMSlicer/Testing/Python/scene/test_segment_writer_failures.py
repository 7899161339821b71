"""What was written can be undone in one step, and what cannot be written leaves the segmentation bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter, WriteError
from support.segment_writer_fixture import (
    BEFORE,
    MODES,
    NEIGHBOUR,
    RESULT,
    SHAPE,
    SegmentWriterFixture,
    expected,
    state,
)

# -- undo ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_write_is_one_step_to_undo_and_to_redo(writer_fixture, mode):
    before = state(writer_fixture.segmentation)
    writer_fixture.write(RESULT, mode=mode)
    after = writer_fixture.read()
    assert not writer_fixture.logic.CanRedo()

    writer_fixture.logic.Undo()
    assert state(writer_fixture.segmentation) == before
    assert not writer_fixture.logic.CanUndo()

    writer_fixture.logic.Redo()
    np.testing.assert_array_equal(writer_fixture.read(), after)
    assert not writer_fixture.logic.CanRedo()


def test_an_empty_result_clears_on_replace_and_is_nothing_to_undo_otherwise(writer_fixture):
    nothing = np.zeros(SHAPE, bool)
    before = state(writer_fixture.segmentation)
    for mode in ("add", "remove"):
        assert writer_fixture.write(nothing, mode=mode).voxels == 0
    assert state(writer_fixture.segmentation) == before
    assert not writer_fixture.logic.CanUndo()

    writer_fixture.write(nothing, mode="replace")
    assert writer_fixture.segmentation.GetSegmentation().GetSegment("tumour") is not None
    np.testing.assert_array_equal(writer_fixture.read("organ"), NEIGHBOUR)
    writer_fixture.logic.Undo()
    np.testing.assert_array_equal(writer_fixture.read(), BEFORE)


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
def test_a_failure_half_way_leaves_the_segmentation_bit_for_bit(writer_fixture, mode, undo_states, named):
    writer_fixture.logic.SetMaximumNumberOfUndoStates(undo_states)
    if not named:
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        writer_fixture.segmentation.GetSegmentation().SetConversionParameter(name, "")
    before = state(writer_fixture.segmentation)
    writer_fixture.writer.logic = BreaksHalfWay(writer_fixture.logic, MemoryError("full"))
    writer_fixture.editor.SetSelectedSegmentID("organ")

    with pytest.raises(MemoryError):
        writer_fixture.write(RESULT, mode=mode)

    assert state(writer_fixture.segmentation) == before
    assert writer_fixture.editor.GetSelectedSegmentID() == "organ"
    assert not writer_fixture.logic.CanRedo()
    writer_fixture.writer.logic = writer_fixture.logic
    writer_fixture.write(RESULT, mode=mode)
    np.testing.assert_array_equal(writer_fixture.read(), expected(mode, BEFORE, RESULT, np.ones(SHAPE, bool)))


def test_damage_that_nobody_announced_is_put_right_too(writer_fixture):
    class ScribblesAndDies(BreaksHalfWay):
        def ModifySegmentByLabelmap(self, segmentation: Any, segment_id: str, *rest: Any) -> None:
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            vtk_to_numpy(segment.GetRepresentation("Binary labelmap").GetPointData().GetScalars())[:] = 77
            raise self._failure

    before = state(writer_fixture.segmentation)
    writer_fixture.writer.logic = ScribblesAndDies(writer_fixture.logic, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        writer_fixture.write(RESULT)
    assert state(writer_fixture.segmentation) == before


def test_what_the_logic_only_mutters_is_an_error_too(writer_fixture):
    """vtkSlicerSegmentEditorLogic returns nothing and keeps quiet; its complaint has to reach the user."""

    class LosesItsNode(BreaksHalfWay):
        def ModifySegmentByLabelmap(self, segmentation: Any, _segment: str, *rest: Any) -> None:
            self._logic.ModifySegmentByLabelmap(segmentation, "not there", *rest)

    before = state(writer_fixture.segmentation)
    writer_fixture.writer.logic = LosesItsNode(writer_fixture.logic, RuntimeError())
    with pytest.raises(WriteError, match="is as it was.*Invalid segment") as caught:
        writer_fixture.write(RESULT)
    assert "\n" not in str(caught.value)
    assert state(writer_fixture.segmentation) == before
    assert not writer_fixture.logic.GetVerbose()


def refused(
    writer_fixture: SegmentWriterFixture,
    message: str,
    mask: np.ndarray = RESULT,
    segment_id: str = "tumour",
    mode: str = "add",
) -> None:
    before = state(writer_fixture.segmentation)
    undo = writer_fixture.logic.CanUndo()
    with pytest.raises(InputError, match=message) as caught:
        writer_fixture.write(mask, segment_id, mode)
    assert "\n" not in str(caught.value)
    assert state(writer_fixture.segmentation) == before
    assert writer_fixture.logic.CanUndo() == undo


def test_what_was_deleted_meanwhile_is_named(writer_fixture):
    refused(writer_fixture, "segment 'gone' of segmentation 'Segmentation' was deleted", segment_id="gone")
    writer_fixture.scene_builder.scene.RemoveNode(writer_fixture.volume)
    refused(writer_fixture, "volume 'CT' was deleted")


def test_a_deleted_segmentation_is_named(writer_fixture):
    writer_fixture.scene_builder.scene.RemoveNode(writer_fixture.segmentation)
    refused(writer_fixture, "segmentation 'Segmentation' was deleted")


def test_the_result_does_not_go_into_another_segmentation(writer_fixture):
    other = writer_fixture.scene_builder.segmentation(writer_fixture.volume, "tumour")
    writer_fixture.editor.SetAndObserveSegmentationNode(other)
    untouched = state(other)
    refused(writer_fixture, "no longer selected")
    assert state(other) == untouched


def test_a_writer_needs_nodes_of_a_scene(scene_builder, writer_fixture):
    with pytest.raises(InputError, match="no segmentation is selected"):
        SegmentWriter.for_nodes(None, writer_fixture.volume)
    with pytest.raises(InputError, match="no volume is selected"):
        SegmentWriter.for_nodes(writer_fixture.segmentation, None)
    with pytest.raises(InputError, match="no segmentation is selected"):
        SegmentWriter(slicer.vtkSlicerSegmentEditorLogic())
    with pytest.raises(InputError, match="was deleted"):
        SegmentWriter.for_nodes(slicer.vtkMRMLSegmentationNode(), writer_fixture.volume)


def test_unknown_modes_and_shapes_are_refused(writer_fixture):
    refused(writer_fixture, "choose add, replace or remove", mode="merge")
    refused(writer_fixture, "shape", mask=RESULT[1:])
    refused(writer_fixture, "shape", mask=RESULT[0])


def test_a_segmentation_kept_as_surfaces_has_to_be_converted_first(writer_fixture):
    part = writer_fixture.segmentation.GetSegmentation()
    assert part.CreateRepresentation("Closed surface")
    part.SetSourceRepresentationName("Closed surface")
    points = part.GetSegment("tumour").GetRepresentation("Closed surface").GetPoints().GetData()
    before = vtk_to_numpy(points).tobytes()
    with pytest.raises(InputError, match="make Binary labelmap its source"):
        writer_fixture.write(RESULT)
    assert vtk_to_numpy(points).tobytes() == before
    assert not writer_fixture.logic.CanUndo()


def test_masking_that_cannot_be_made_is_explained(writer_fixture):
    writer_fixture.editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    for missing in ("", "gone"):
        writer_fixture.editor.SetMaskSegmentID(missing)
        refused(writer_fixture, "choose it under Masking")
    writer_fixture.editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    writer_fixture.editor.SetSourceVolumeIntensityMask(True)
    writer_fixture.editor.SetAndObserveSourceVolumeNode(None)
    refused(writer_fixture, "editable intensity range has no source volume")


def test_a_segmentation_under_a_bending_transform_has_to_be_hardened_first(writer_fixture):
    writer_fixture.segmentation.SetAndObserveTransformNodeID(writer_fixture.scene_builder.warp())
    refused(writer_fixture, "segmentation 'Segmentation' lies under the nonlinear transform")
