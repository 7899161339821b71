"""Editors get labelmaps of the part that can change only, and do with them what they do with whole ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.engine.volume.voxel_box import VoxelBox
from MedSAMSlicerLib.scene.writing.segmentation_grid import make_labelmap, reference_geometry
from support.segment_writer_fixture import BEFORE, MODES, RESULT, SHAPE, SegmentWriterFixture, block, logic_editor

pytestmark = pytest.mark.slow

MASK_MODES = (
    "EditAllowedEverywhere",
    "EditAllowedInsideAllSegments",
    "EditAllowedInsideVisibleSegments",
    "EditAllowedOutsideAllSegments",
    "EditAllowedOutsideVisibleSegments",
    "EditAllowedInsideSingleSegment",
)
OVERWRITE_MODES = ("OverwriteAllSegments", "OverwriteVisibleSegments", "OverwriteNone")


class WholeLabelmaps:
    """An editor that pads each labelmap to the whole reference geometry before it edits."""

    def __init__(self, editor: Any, volume: Any) -> None:
        self._editor, self._volume = editor, volume
        self.node = editor.node

    def save_state_for_undo(self) -> None:
        self._editor.save_state_for_undo()

    def modify(self, labelmap: Any, mode: Any) -> None:
        reference = reference_geometry(self.node.GetSegmentationNode(), self._volume)
        whole, part = VoxelBox.from_extent(reference.GetExtent()), VoxelBox.from_extent(labelmap.GetExtent())
        voxels = np.zeros(whole.shape, bool)
        voxels[part.slices_in(whole)] = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(part.shape) > 0
        self._editor.modify(make_labelmap(reference, whole, voxels), mode)


class RecordingEditor:
    """An editor that records the extents of the labelmaps."""

    def __init__(self, editor: Any) -> None:
        self._editor, self.node = editor, editor.node
        self.extents: list[tuple[int, ...]] = []

    def save_state_for_undo(self) -> None:
        self._editor.save_state_for_undo()

    def modify(self, labelmap: Any, mode: Any) -> None:
        self.extents.append(labelmap.GetExtent())
        self._editor.modify(labelmap, mode)


@pytest.fixture
def make_fixture(scene_builder: Any, segment_in: Any) -> Callable[[], SegmentWriterFixture]:
    return lambda: SegmentWriterFixture(scene_builder, segment_in, logic_editor)


def add_vessel(fixture: SegmentWriterFixture, shared: bool) -> None:
    """A third segment far from the others, in a layer that all three share or each in a layer of its own."""
    fixture.segmentation.GetSegmentation().AddEmptySegment("vessel", "vessel")
    fixture.write(block(slice(0, 9), slice(0, 12), slice(0, 2)), "vessel")
    if shared:
        fixture.segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    else:
        for segment_id in ("tumour", "organ"):
            fixture.segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)


def segments_after(fixture: SegmentWriterFixture, segment_id: str, mode: str, whole: bool) -> list[np.ndarray]:
    """All segments after a write that is undone afterwards."""
    editor = fixture.editor
    if whole:
        fixture.editor = WholeLabelmaps(editor, fixture.volume)
    fixture.write(RESULT, segment_id, mode)
    segmentation = fixture.segmentation.GetSegmentation()
    found = [fixture.read(segmentation.GetNthSegmentID(n)) for n in range(segmentation.GetNumberOfSegments())]
    fixture.editor = editor
    fixture.logic.Undo()
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mask_mode", MASK_MODES)
@pytest.mark.parametrize("shared", [False, True])
def test_cropped_and_whole_labelmaps_give_the_same_segments(make_fixture, shared, mask_mode, mode):
    fixture = make_fixture()
    add_vessel(fixture, shared)
    node = fixture.node
    node.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, mask_mode))
    node.SetMaskSegmentID("organ")
    node.SetSourceVolumeIntensityMaskRange(-300, 450)
    fixture.segmentation.GetDisplayNode().SetSegmentVisibility("vessel", False)
    for overwrite, ranged in product(OVERWRITE_MODES, (False, True)):
        node.SetOverwriteMode(getattr(node, overwrite))
        node.SetSourceVolumeIntensityMask(ranged)
        cropped, whole = (segments_after(fixture, "tumour", mode, whole) for whole in (False, True))
        np.testing.assert_array_equal(cropped, whole, err_msg=f"{overwrite}, intensity range {ranged}")
        np.testing.assert_array_equal(fixture.read(), BEFORE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mask_mode", ["EditAllowedEverywhere", "EditAllowedOutsideAllSegments"])
@pytest.mark.parametrize("written", ["tumour", "foreign"])
def test_cropped_and_whole_labelmaps_give_the_same_where_a_segment_has_a_grid_of_its_own(
    make_fixture, turn, written, mask_mode, mode
):
    fixture = make_fixture()
    grid = fixture.scene_builder.volume(
        np.ones((6, 6, 6), np.uint8), (1.7, 1.7, 1.7), turn(3, 3, 3), origin=(-9.0, 33.0, 9.0)
    )
    labelmap = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(grid)
    fixture.segmentation.AddSegmentFromBinaryLabelmapRepresentation(labelmap, "foreign", [1.0, 0.0, 0.0])
    fixture.node.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, mask_mode))
    segment_id = fixture.segmentation.GetSegmentation().GetSegmentIdBySegmentName(written)
    cropped, whole = (segments_after(fixture, segment_id, mode, whole) for whole in (False, True))
    assert cropped[2].any()
    np.testing.assert_array_equal(cropped, whole)


@pytest.mark.parametrize("mode", MODES)
def test_labelmaps_cover_the_result_and_the_old_content_only_where_it_is_replaced(make_fixture, mode):
    fixture = make_fixture()
    fixture.editor = editor = RecordingEditor(fixture.editor)
    fixture.write(RESULT, mode=mode)
    expected = RESULT | BEFORE if mode == "replace" else RESULT
    assert editor.extents == [VoxelBox.from_mask(expected).extent]
    assert expected.size == np.prod(SHAPE) > np.prod(VoxelBox.from_mask(expected).shape)
