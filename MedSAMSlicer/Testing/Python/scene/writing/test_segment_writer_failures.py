"""What was written can be undone in one step, and what cannot be written leaves the segmentation bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.volume.voxel_box import CroppedMask
from MedSAMSlicerLib.scene.writing.segment_editor import LogicEditor, WriteError
from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter
from support.segment_writer_fixture import (
    BEFORE,
    MODES,
    NEIGHBOUR,
    RESULT,
    SHAPE,
    SegmentWriterFixture,
    expected,
    logic_editor,
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


class FailingEditor:
    """An editor that fails in one of its calls of `modify`.

    Args:
        fail: called instead of `modify`, with the true editor and the arguments.
        call: which call fails, counted from 0.
    """

    def __init__(self, editor: Any, fail: Callable[..., None], call: int = 0) -> None:
        self._editor, self._fail, self._calls_left = editor, fail, call

    @property
    def node(self) -> Any:
        return self._editor.node

    def save_state_for_undo(self) -> None:
        self._editor.save_state_for_undo()

    def modify(self, labelmap: Any, mode: str) -> None:
        if self._calls_left == 0:
            self._fail(self._editor, labelmap, mode)
        else:
            self._editor.modify(labelmap, mode)
        self._calls_left -= 1


def out_of_memory(editor: Any, labelmap: Any, mode: str) -> None:
    """Both segments have changed when this fails."""
    editor.modify(labelmap, mode)
    raise MemoryError


def write_nothing(_editor: Any, _labelmap: Any, _mode: str) -> None:
    """An effect prints its failures, and returns as if nothing had happened."""


def write_half(editor: Any, labelmap: Any, mode: str) -> None:
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars())
    voxels[: voxels.size // 2] = 0
    editor.modify(labelmap, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("undo_states", [0, 1, 10])
@pytest.mark.parametrize("named", [True, False])
def test_a_failure_half_way_leaves_the_segmentation_bit_for_bit(writer_fixture, mode, undo_states, named):
    writer_fixture.logic.SetMaximumNumberOfUndoStates(undo_states)
    if not named:
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        writer_fixture.segmentation.GetSegmentation().SetConversionParameter(name, "")
    before, editor = state(writer_fixture.segmentation), writer_fixture.editor
    writer_fixture.editor = FailingEditor(editor, out_of_memory)

    with pytest.raises(MemoryError):
        writer_fixture.write(RESULT, mode=mode)

    assert state(writer_fixture.segmentation) == before
    assert not writer_fixture.logic.CanRedo()
    writer_fixture.editor = editor
    writer_fixture.write(RESULT, mode=mode)
    np.testing.assert_array_equal(writer_fixture.read(), expected(mode, BEFORE, RESULT, np.ones(SHAPE, bool)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fail", [write_nothing, write_half])
def test_a_failure_that_the_editor_does_not_report_is_noticed(writer_fixture, fail, mode):
    before = state(writer_fixture.segmentation)
    writer_fixture.editor = FailingEditor(writer_fixture.editor, fail)
    with pytest.raises(WriteError, match="is as it was: [0-9]+ voxels were not written") as caught:
        writer_fixture.write(RESULT, mode=mode)
    assert "\n" not in str(caught.value)
    assert state(writer_fixture.segmentation) == before


@pytest.mark.parametrize("fail", [out_of_memory, write_nothing])
def test_when_a_correction_fails_its_earlier_form_stays(writer_fixture, fail):
    """The earlier form is removed in one call of `modify`, the corrected one added in the next."""
    earlier, corrected = RESULT.copy(), RESULT.copy()
    earlier[:3], corrected[5:] = False, False
    writer_fixture.write(earlier)
    before, replaced = state(writer_fixture.segmentation), CroppedMask.of(earlier & ~BEFORE)
    writer_fixture.editor = FailingEditor(writer_fixture.editor, fail, call=1)
    with pytest.raises((MemoryError, WriteError)):
        writer_fixture.writer().write(corrected, writer_fixture.volume, "add", replaced)
    assert state(writer_fixture.segmentation) == before


def test_damage_without_any_event_is_repaired(writer_fixture):
    def scribble(editor: Any, _labelmap: Any, _mode: str) -> None:
        segment = writer_fixture.segmentation.GetSegmentation().GetSegment("tumour")
        vtk_to_numpy(segment.GetRepresentation("Binary labelmap").GetPointData().GetScalars())[:] = 77
        raise KeyboardInterrupt

    before = state(writer_fixture.segmentation)
    writer_fixture.editor = FailingEditor(writer_fixture.editor, scribble)
    with pytest.raises(KeyboardInterrupt):
        writer_fixture.write(RESULT)
    assert state(writer_fixture.segmentation) == before


def test_views_redraw_after_a_failure(writer_fixture):
    def fail_and_listen(editor: Any, labelmap: Any, mode: str) -> None:
        editor.modify(labelmap, mode)
        event = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
        writer_fixture.segmentation.AddObserver(event, lambda *_: seen.append(writer_fixture.read()))
        raise MemoryError

    seen: list[np.ndarray] = []
    writer_fixture.editor = FailingEditor(writer_fixture.editor, fail_and_listen)
    with pytest.raises(MemoryError):
        writer_fixture.write(RESULT)
    np.testing.assert_array_equal(seen[-1], BEFORE)


def test_what_the_logic_reports_reaches_the_user(scene_builder, segment_in):
    def lose_the_segment(editor: Any, labelmap: Any, mode: str) -> None:
        fixture.select("not there")
        editor.modify(labelmap, mode)

    fixture = SegmentWriterFixture(scene_builder, segment_in, logic_editor)
    before = state(fixture.segmentation)
    fixture.editor = FailingEditor(fixture.editor, lose_the_segment)
    with pytest.raises(WriteError, match="is as it was.*Invalid segment") as caught:
        fixture.write(RESULT)
    assert "\n" not in str(caught.value)
    assert state(fixture.segmentation) == before


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
    refused(writer_fixture, "segmentation 'Segmentation' has no segment 'gone'", segment_id="gone")
    writer_fixture.scene_builder.scene.RemoveNode(writer_fixture.volume)
    refused(writer_fixture, "volume 'CT' was deleted")


def test_a_deleted_segmentation_is_named(writer_fixture):
    writer_fixture.scene_builder.scene.RemoveNode(writer_fixture.segmentation)
    refused(writer_fixture, "segmentation 'Segmentation' was deleted")


def test_the_result_does_not_go_into_another_segmentation(writer_fixture):
    other = writer_fixture.scene_builder.segmentation(writer_fixture.volume, "tumour")
    writer_fixture.node.SetAndObserveSegmentationNode(other)
    untouched = state(other)
    refused(writer_fixture, "no longer selected")
    assert state(other) == untouched


def test_the_result_does_not_go_into_another_segment(writer_fixture):
    """Masking and editing are those of the selected segment, which the user may have changed meanwhile."""
    before = state(writer_fixture.segmentation)
    writer_fixture.select("organ")
    with pytest.raises(InputError, match="segment 'tumour' is not selected"):
        writer_fixture.writer("tumour").write(RESULT, writer_fixture.volume)
    assert state(writer_fixture.segmentation) == before
    assert not writer_fixture.logic.CanUndo()


def test_an_editor_needs_nodes_of_a_scene_and_leaves_none_behind(scene_builder):
    volume = scene_builder.volume_in("oblique")
    segmentation = scene_builder.segmentation(volume, "tumour")
    nodes = scene_builder.scene.GetNumberOfNodes()
    for segmentation_node, segment_id, volume_node, message in (
        (None, "tumour", volume, "no segmentation is selected"),
        (segmentation, "tumour", None, "no volume is selected"),
        (slicer.vtkMRMLSegmentationNode(), "tumour", volume, "was deleted"),
        (segmentation, "other", volume, "no segment 'other'"),
    ):
        with pytest.raises(InputError, match=message):
            LogicEditor(segmentation_node, segment_id, volume_node)
    editor = LogicEditor(segmentation, "tumour", volume)
    SegmentWriter(segmentation, "tumour", editor).write(RESULT, volume)
    assert not editor.node.GetSaveWithScene()
    editor.close()
    assert scene_builder.scene.GetNumberOfNodes() == nodes


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
    writer_fixture.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    for missing in ("", "gone"):
        writer_fixture.node.SetMaskSegmentID(missing)
        refused(writer_fixture, "choose it under Masking")
    writer_fixture.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    writer_fixture.node.SetSourceVolumeIntensityMask(True)
    writer_fixture.node.SetAndObserveSourceVolumeNode(None)
    refused(writer_fixture, "editable intensity range has no source volume")


def test_a_segmentation_under_a_bending_transform_has_to_be_hardened_first(writer_fixture):
    writer_fixture.segmentation.SetAndObserveTransformNodeID(writer_fixture.scene_builder.warp())
    refused(writer_fixture, "segmentation 'Segmentation' is under the nonlinear transform")
