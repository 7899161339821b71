"""Whether a write is still in the segment: seen in the voxels, whoever undid or edited it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.volume.voxel_box import VoxelBox
from MedSAMSlicerLib.scene.writing import result_writer
from MedSAMSlicerLib.scene.writing.result_writer import TrackedWrite
from MedSAMSlicerLib.scene.writing.segment_writer import SegmentChange
from MedSAMSlicerLib.scene.writing.segmentation_grid import SegmentVoxels, reference_geometry
from support.segment_writer_fixture import BEFORE, NEIGHBOUR, RESULT, SHAPE, SegmentWriterFixture

EVERYTHING = VoxelBox((0, 0, 0), SHAPE)


def voxels_of(fixture: SegmentWriterFixture, segment_id: str = "tumour") -> SegmentVoxels:
    return SegmentVoxels(fixture.segmentation, segment_id, reference_geometry(fixture.segmentation, fixture.volume))


def tracked(fixture: SegmentWriterFixture, mask: np.ndarray, mode: str = "add") -> TrackedWrite:
    change = fixture.write(mask, mode=mode).change
    assert change is not None
    return TrackedWrite(change)


def undone(write: TrackedWrite) -> bool:
    write.look()
    return write.undone


def test_the_voxels_of_one_segment_are_read_on_their_grid(writer_fixture: Any) -> None:
    """Also where segments share an image, and beyond it."""
    segmentation = writer_fixture.segmentation.GetSegmentation()
    for _layers in range(2):
        tumour = voxels_of(writer_fixture)
        assert tumour.on_grid and tumour.bounding_box() == VoxelBox.from_mask(BEFORE)
        np.testing.assert_array_equal(tumour.read(EVERYTHING), BEFORE)
        np.testing.assert_array_equal(voxels_of(writer_fixture, "organ").read(EVERYTHING), NEIGHBOUR)
        part = VoxelBox((3, 1, 2), (4, 6, 5))
        np.testing.assert_array_equal(tumour.read(part), BEFORE[part.slices_in(EVERYTHING)])
        assert not tumour.read(VoxelBox((-3, -3, -3), (3, 3, 3))).any()
        np.testing.assert_array_equal(tumour.holds(np.argwhere(np.ones(SHAPE, bool))), BEFORE.ravel())
        assert not tumour.holds(np.array([[-1, 0, 0], [0, 0, SHAPE[2]]])).any()
        segmentation.CollapseBinaryLabelmaps(False)
    assert segmentation.GetNumberOfLayers() == 1


def test_an_empty_segment_is_read_and_a_missing_one_is_not(writer_fixture: Any) -> None:
    writer_fixture.write(np.zeros(SHAPE, bool), mode="replace")
    tumour = voxels_of(writer_fixture)
    assert tumour.on_grid and tumour.bounding_box().empty and not tumour.read(EVERYTHING).any()
    writer_fixture.segmentation.GetSegmentation().RemoveSegment("tumour")
    assert not tumour.on_grid
    assert tumour.bounding_box() is None and tumour.read(EVERYTHING) is None
    assert tumour.holds(np.zeros((1, 3), int)) is None


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_undo_and_redo_are_noticed(writer_fixture: Any, mode: str) -> None:
    write = tracked(writer_fixture, RESULT, mode)
    assert not undone(write)
    writer_fixture.logic.Undo()
    assert undone(write)
    writer_fixture.logic.Redo()
    assert not undone(write)


def test_edits_that_leave_something_are_no_undo(writer_fixture: Any) -> None:
    write = tracked(writer_fixture, RESULT)
    half = RESULT.copy()
    half[4:] = False
    writer_fixture.write(half, mode="remove")
    assert not undone(write)
    writer_fixture.write(RESULT, mode="remove")
    assert undone(write)
    writer_fixture.write(half)
    assert undone(write)
    writer_fixture.write(RESULT)
    assert not undone(write)


def test_what_changes_nothing_or_is_gone_is_not_undone(writer_fixture: Any) -> None:
    nothing, something = tracked(writer_fixture, BEFORE), tracked(writer_fixture, RESULT)
    writer_fixture.logic.Undo()
    assert not undone(nothing) and undone(something)
    writer_fixture.logic.Redo()
    assert not undone(something)
    writer_fixture.segmentation.GetSegmentation().RemoveSegment("tumour")
    assert not undone(something)


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_few_of_many_voxels_are_enough(writer_fixture: Any, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(result_writer, "SAMPLED_VOXELS", 7)
    write = tracked(writer_fixture, RESULT, mode)
    assert 0 < max(len(write._added), len(write._removed)) <= 7
    assert not undone(write)
    writer_fixture.logic.Undo()
    assert undone(write)
    writer_fixture.logic.Redo()
    assert not undone(write)


def test_a_write_over_a_whole_volume_is_tracked_in_little_memory(writer_fixture: Any) -> None:
    box = VoxelBox((0, 0, 0), (120, 200, 200))
    before = np.ones(box.shape, bool)
    change = SegmentChange(voxels_of(writer_fixture), box, ~before, before, ~before)
    tracemalloc.start()
    try:
        write = TrackedWrite(change)
        held, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1e6 < before.nbytes and not write.undone
