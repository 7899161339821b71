"""What was written can be undone in one step, and what cannot be written leaves the segmentation bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter, WriteError
from support.clinic import BEFORE, MODES, NEIGHBOUR, RESULT, SHAPE, Clinic, expected, state

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
