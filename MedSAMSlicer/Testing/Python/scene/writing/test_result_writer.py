"""The current result in its segment: corrected forms take the place of earlier ones, Undo and Redo are followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.provenance import PROVENANCE_TAG
from MedSAMSlicerLib.engine.results import SliceResult, StackResult
from MedSAMSlicerLib.engine.review import REVIEWED_TAG
from MedSAMSlicerLib.scene.state.current_result import FinishedRun, ResultBasis
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters
from MedSAMSlicerLib.scene.state.prompts import KeySlice, Prompts
from MedSAMSlicerLib.scene.state.segment_state import SegmentState
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from MedSAMSlicerLib.scene.writing.result_writer import ResultWriter
from MedSAMSlicerLib.scene.writing.segment_editor import WriteError
from MedSAMSlicerLib.scene.writing.segment_tags import review_of, tag_of
from support.segment_writer_fixture import BEFORE, NEIGHBOUR, RESULT, SHAPE, SegmentWriterFixture, block, state

PROMPTS = Prompts(Plane("K"), {4: KeySlice(Box(2, 2, 9, 9), "drawn")})
BASIS = ResultBasis(Plane("K"), None, None, None, ModelChoice(), ())
CORRECTED = block(slice(3, 9), slice(3, 8), slice(5, 13))
FOUND = RESULT & ~BEFORE


class ResultFixture:
    """The state of the segment `tumour`, which holds `BEFORE`, and a writer of its results."""

    def __init__(self, fixture: SegmentWriterFixture) -> None:
        self.fixture = fixture
        node = fixture.scene_builder.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        parameters = EffectParameters(node)
        parameters.set_defaults()
        self.state = SegmentState(fixture.volume, fixture.segmentation, "tumour", parameters)
        self.writer = ResultWriter(self.state)
        self.prompts = PROMPTS

    def finish(self, mask: np.ndarray, corrects: bool = True, to_review: tuple[int, ...] = ()) -> None:
        """A run begins and finishes: with a correction of the result, or with the result for another object."""
        edits = self.writer.edits()
        if not corrects:
            self.prompts = replace(PROMPTS, lineage=self.prompts.lineage + 1)
        result = StackResult(SHAPE)
        for index in range(SHAPE[0]):
            result.add(SliceResult(index, mask[index], None, 0.9, 0.9, index in to_review))
        self.state.current.finish(FinishedRun(result, self.prompts, BASIS, None, "model a, box", edits=edits))

    def write(self, mode: str = "add") -> Any:
        self.state.parameters.set("Mode", mode)
        return self.writer.write(self.fixture.editor)

    @property
    def review(self) -> tuple[str, str]:
        """Slices that need review, and those that were looked at, as the segment tells."""
        found = review_of(self.fixture.segmentation.GetSegmentation().GetSegment("tumour"))
        needed, seen = (" ".join(sorted(name.partition(".")[2] for name in one)) for one in (found.needed, found.seen))
        return needed, seen

    @property
    def applied_and_undone(self) -> tuple[bool, bool]:
        self.writer.check_undo()
        return self.state.current.applied, self.state.current.undone

    @property
    def tumour(self) -> np.ndarray:
        return self.fixture.read()


@pytest.fixture
def one(writer_fixture: SegmentWriterFixture) -> ResultFixture:
    return ResultFixture(writer_fixture)


def test_a_correction_replaces_its_earlier_form_and_nothing_else_in_one_undo_step(one: ResultFixture) -> None:
    one.finish(RESULT)
    one.write()
    np.testing.assert_array_equal(one.tumour, BEFORE | RESULT)
    one.finish(CORRECTED)
    written = one.write()
    assert (written.voxels, written.voxels_masked) == (CORRECTED.sum(), 0)
    np.testing.assert_array_equal(one.tumour, BEFORE | CORRECTED)
    assert (FOUND & ~CORRECTED).any() and (BEFORE & RESULT & ~CORRECTED).any()
    one.fixture.logic.Undo()
    np.testing.assert_array_equal(one.tumour, BEFORE | RESULT)
    one.fixture.logic.Undo()
    np.testing.assert_array_equal(one.tumour, BEFORE)
    assert not one.fixture.logic.CanUndo()


def test_a_written_segment_keeps_where_it_comes_from_and_counts_as_not_reviewed(one: ResultFixture) -> None:
    tumour = one.fixture.segmentation.GetSegmentation().GetSegment("tumour")
    tumour.SetTag(REVIEWED_TAG, "yes")
    one.finish(RESULT)
    assert tag_of(tumour, PROVENANCE_TAG) == ""
    one.write()
    assert (tag_of(tumour, PROVENANCE_TAG), tag_of(tumour, REVIEWED_TAG)) == ("model a, box", "")
    assert one.applied_and_undone == (True, False)


def test_the_segment_tells_which_slices_need_review_and_were_looked_at(one: ResultFixture) -> None:
    one.finish(RESULT, to_review=(4, 5, 6))
    one.writer.look_at(4)
    assert one.review == ("", "")
    one.write()
    assert one.review == ("K4 K5 K6", "K4")
    one.writer.look_at(5)
    one.writer.look_at(2)  # needs none
    assert one.review == ("K4 K5 K6", "K4 K5")
    one.fixture.logic.Undo()
    assert one.review == ("", ""), "the segment is as it was"
    one.fixture.logic.Redo()
    one.writer.check_undo()
    # A correction that leaves slice 4 as it was, and needs no review on slice 6.
    corrected = RESULT.copy()
    corrected[5] = CORRECTED[5]
    one.finish(corrected, to_review=(4, 5))
    one.write()
    assert one.review == ("K4 K5", "K4")
    # Another object in the segment has slices of its own; those of the first are still to be looked at.
    one.finish(CORRECTED, corrects=False, to_review=(4, 7))
    one.write()
    assert one.review == ("K4 K5 K7", "")
    one.writer.look_at(4)
    one.finish(CORRECTED, corrects=False, to_review=(3,))
    one.write("replace")
    assert one.review == ("K3", "")


def test_the_last_of_many_corrections_replaces_them_all(one: ResultFixture) -> None:
    for shift in range(12):
        one.finish(np.roll(CORRECTED, shift, axis=1))
        one.write()
    one.finish(RESULT)
    one.write()
    np.testing.assert_array_equal(one.tumour, BEFORE | RESULT)


def test_another_object_is_added_to_the_first(one: ResultFixture) -> None:
    one.finish(RESULT)
    one.write()
    one.finish(CORRECTED, corrects=False)
    one.write()
    np.testing.assert_array_equal(one.tumour, BEFORE | RESULT | CORRECTED)


def test_what_masking_kept_out_is_not_taken_for_the_results_own(one: ResultFixture) -> None:
    """Voxels that the user adds later, where masking had kept the result out, are the user's."""
    one.fixture.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    one.finish(RESULT)
    written = one.write()
    assert written.voxels_masked == (RESULT & NEIGHBOUR).sum() > 0
    one.fixture.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    one.fixture.write(RESULT & NEIGHBOUR)
    one.finish(CORRECTED)
    one.write()
    np.testing.assert_array_equal(one.tumour, BEFORE | CORRECTED | (RESULT & NEIGHBOUR))


def test_a_correction_that_finds_nothing_takes_its_earlier_form_away(one: ResultFixture) -> None:
    one.finish(RESULT)
    one.write()
    one.finish(np.zeros(SHAPE, bool))
    assert one.write().voxels == 0
    np.testing.assert_array_equal(one.tumour, BEFORE)
    assert one.applied_and_undone == (True, False)


@pytest.mark.parametrize(
    ("mode", "expected"), [("replace", CORRECTED), ("remove", BEFORE & ~RESULT & ~CORRECTED)], ids=["replace", "remove"]
)
def test_in_other_modes_corrections_are_results_like_any_other(
    one: ResultFixture, mode: str, expected: np.ndarray
) -> None:
    for mask in (RESULT, CORRECTED):
        one.finish(mask)
        one.write(mode)
    np.testing.assert_array_equal(one.tumour, expected)


def test_undo_and_redo_of_two_forms_are_followed(one: ResultFixture) -> None:
    one.finish(RESULT)
    one.write()
    assert one.applied_and_undone == (True, False)
    one.finish(CORRECTED)
    assert one.applied_and_undone == (False, False)
    one.write()
    logic = one.fixture.logic
    found = []
    for step in (logic.Undo, logic.Undo, logic.Redo, logic.Redo):
        step()
        assert one.writer.undo_suspected
        found.append(one.applied_and_undone)
    assert found == [(False, True)] * 3 + [(True, False)]


def test_an_earlier_result_that_is_shown_again_is_applied_if_nothing_took_its_place(one: ResultFixture) -> None:
    one.finish(RESULT)
    one.write()
    first = one.state.current.run
    one.finish(CORRECTED, corrects=False)
    assert one.applied_and_undone == (False, False)
    one.state.current.finish(first)
    assert one.writer.undo_suspected and one.applied_and_undone == (True, False)
    one.prompts = first.prompts
    one.finish(CORRECTED)
    one.write()
    one.state.current.finish(first)
    assert one.applied_and_undone == (False, False), "its corrected form is in the segment"
    one.write()
    np.testing.assert_array_equal(one.tumour, BEFORE | RESULT)
    one.fixture.logic.Undo()
    assert one.applied_and_undone == (False, True)


def test_a_form_that_a_correction_has_replaced_was_not_undone(one: ResultFixture) -> None:
    one.finish(block(slice(0, 2), slice(9, 12), slice(0, 3)))
    one.write()
    one.finish(CORRECTED)
    one.write()
    one.fixture.write(block(slice(8, 9), slice(11, 12), slice(13, 14)))
    assert one.applied_and_undone == (True, False)
    for _step in range(2):
        one.fixture.logic.Undo()
    assert one.applied_and_undone == (False, True)


def test_after_undo_a_correction_only_adds(one: ResultFixture) -> None:
    one.finish(RESULT)
    one.write()
    one.fixture.logic.Undo()
    one.writer.check_undo()
    own = FOUND & block(slice(2, 3), slice(0, 12), slice(0, 14))
    one.fixture.write(own)
    one.finish(CORRECTED)
    one.write()
    assert (own & ~CORRECTED).any()
    np.testing.assert_array_equal(one.tumour, BEFORE | CORRECTED | own)


def test_after_the_geometry_has_changed_a_correction_only_adds(one: ResultFixture) -> None:
    """As Specify geometry does it: voxels are counted otherwise then."""
    one.finish(RESULT)
    one.write()
    finer = one.fixture.scene_builder.volume_in("oblique", tuple(2 * n for n in SHAPE))
    finer.SetSpacing(*(mm / 2 for mm in one.fixture.volume.GetSpacing()))
    one.fixture.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(finer)
    one.finish(CORRECTED)
    one.write()
    found = one.tumour
    assert found[CORRECTED].mean() > 0.9
    np.testing.assert_array_equal(found[~CORRECTED], (BEFORE | RESULT)[~CORRECTED])


def test_a_failed_write_changes_neither_segment_nor_flags(one: ResultFixture) -> None:
    class Failing:
        node = one.fixture.node

        def save_state_for_undo(self) -> None:
            one.fixture.editor.save_state_for_undo()

        def modify(self, labelmap: Any, mode: str) -> None:
            one.fixture.editor.modify(labelmap, mode)
            raise WriteError(one.fixture.segmentation, "half-way")

    one.finish(RESULT)
    one.write()
    one.finish(CORRECTED)
    before = state(one.fixture.segmentation)
    with pytest.raises(WriteError):
        one.writer.write(Failing())
    assert state(one.fixture.segmentation) == before
    assert one.applied_and_undone == (False, False)
    one.write()
    np.testing.assert_array_equal(one.tumour, BEFORE | CORRECTED)


def test_without_a_result_nothing_is_written(one: ResultFixture) -> None:
    before = state(one.fixture.segmentation)
    with pytest.raises(InputError, match="no result to write"):
        one.write()
    one.finish(RESULT)
    one.fixture.scene_builder.scene.RemoveNode(one.fixture.volume)
    with pytest.raises(InputError):
        one.write()
    assert state(one.fixture.segmentation) == before


def test_changes_of_the_segment_are_announced_once_until_they_are_looked_at(one: ResultFixture) -> None:
    told: list[int] = []
    one.state.changed.connect(lambda: told.append(1))
    one.fixture.write(RESULT)
    assert not told  # nothing was written that could have been undone
    one.finish(FOUND)
    one.write()
    told.clear()
    one.fixture.write(CORRECTED)
    one.fixture.write(NEIGHBOUR)
    assert len(told) == 1
    one.writer.close()
    one.writer.check_undo()
    one.fixture.write(RESULT)
    assert len(told) == 1 and not one.writer.undo_suspected
