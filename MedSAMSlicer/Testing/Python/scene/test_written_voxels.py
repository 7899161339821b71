"""Whether a write is still in the segment: seen in the voxels, whoever undid or edited it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.writing.modifier_labelmap import reference_geometry
from MedSAMSlicerLib.scene.writing.undo_tracking import Part, SegmentVoxels, WrittenVoxels
from support.segment_writer_fixture import BEFORE, RESULT, SHAPE, SegmentWriterFixture


def undone(written: WrittenVoxels) -> bool:
    written.look()
    return written.undone


def reader(writer_fixture: SegmentWriterFixture) -> SegmentVoxels:
    return SegmentVoxels(
        writer_fixture.segmentation, "tumour", reference_geometry(writer_fixture.segmentation, writer_fixture.volume)
    )


ALL = Part((0, 0, 0), SHAPE)


def write(writer_fixture: SegmentWriterFixture, mask: np.ndarray, mode: str = "add") -> WrittenVoxels:
    segment = reader(writer_fixture)
    before = segment.read(ALL)
    writer_fixture.write(mask, mode=mode)
    return WrittenVoxels(segment, ALL, before, segment.read(ALL))


def test_the_voxels_of_the_right_segment_are_read(writer_fixture: Any) -> None:
    one = writer_fixture
    found = reader(one).read(ALL)
    assert (found == BEFORE).all()
    part = reader(one).read(Part((3, 1, 2), (4, 6, 5)))
    assert (part == BEFORE[3:7, 1:7, 2:7]).all() and part.any() and not part.all()


def test_a_part_lies_around_all_that_is_true() -> None:
    part = Part.around(RESULT)
    assert part == Part((2, 3, 4), (5, 6, 7)) and part.of(RESULT).all()
    nothing = Part.around(np.zeros_like(RESULT))
    assert nothing.size == (0, 0, 0) and part.together(nothing) == nothing.together(part) == part
    both = part.together(Part.around(BEFORE))
    assert both == Part((2, 0, 2), (7, 9, 9))
    assert (part.within(both).of(both.of(RESULT)) == part.of(RESULT)).all()


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_undo_and_redo_are_seen(writer_fixture: Any, mode: str) -> None:
    one = writer_fixture
    written = write(one, RESULT, mode)
    assert not undone(written)
    one.logic.Undo()
    assert undone(written)
    one.logic.Redo()
    assert not undone(written)


def test_edits_that_leave_something_are_no_undo(writer_fixture: Any) -> None:
    one = writer_fixture
    written = write(one, RESULT)
    half = RESULT.copy()
    half[4:] = False
    one.write(half, mode="remove")
    assert not undone(written)
    one.write(RESULT, mode="remove")
    assert undone(written)
    one.write(half)
    assert undone(written)
    one.write(RESULT)
    assert not undone(written)


def test_what_changes_nothing_or_is_gone_is_not_undone(writer_fixture: Any) -> None:
    one = writer_fixture
    nothing, something = write(one, BEFORE), write(one, RESULT)
    assert not undone(nothing)
    one.segmentation.GetSegmentation().RemoveSegment("tumour")
    assert not undone(something) and reader(one).read(ALL) is None
