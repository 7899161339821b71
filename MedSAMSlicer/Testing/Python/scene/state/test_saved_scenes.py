"""Scenes saved by earlier versions load with options, prompts and result.

`data/scene-0.1.mrb` was saved by version 0.1: the two rods of `TwoRodPhantom`; segment "tumour" with a rectangle on
slice 5, clicks and logits on slice 7, and a click and the segment's own mask on slice 9; segment "other" with a rotated
ROI around the second rod.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.prompts import Box, Points
from MedSAMSlicerLib.scene.editing.contour_editor import ContourEditor
from MedSAMSlicerLib.scene.editing.segment_slice import segment_on_slice
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters
from MedSAMSlicerLib.scene.state.segment_state import SegmentState
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.component_service import RecordingService
from support.in_process_client import InProcessClient
from support.scene_builder import new_scene
from support.two_rod_phantom import TwoRodPhantom, same


class SavedScene:
    """The nodes of the loaded scene, and an editor for any of its segments."""

    def __init__(self, file: Path, folder: Path) -> None:
        with zipfile.ZipFile(file) as bundle:
            bundle.extractall(folder)
        self.scene = new_scene()
        for kind in ("MarkupsROINode", "MarkupsROIDisplayNode", "MarkupsROIJsonStorageNode"):
            self.scene.RegisterNodeClass(getattr(slicer, f"vtkMRML{kind}")())
        self.scene.SetURL(str(folder / "scene-0.1" / "scene-0.mrml"))
        assert self.scene.Connect()
        self.volume = self.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        self.segmentation = self.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        self.node = self.scene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
        self.parameters = EffectParameters(self.node)

    def editor(self, segment: str, engine: RecordingService) -> ContourEditor:
        state = SegmentState(self.volume, self.segmentation, segment, self.parameters)
        return ContourEditor(state, InProcessClient(engine))


@pytest.fixture
def saved(repository: Path, tmp_path: Path) -> SavedScene:
    return SavedScene(repository / "MedSAMSlicer" / "Testing" / "Python" / "data" / "scene-0.1.mrb", tmp_path)


def run(editor: ContourEditor) -> np.ndarray:
    """The result in the volume's voxels."""
    editor.run()
    while editor.busy:
        editor.step()
    assert editor.problem is None and editor.result is not None, editor.problem
    return np.asarray(editor.state.stack().to_volume(editor.result.to_stack()))


def test_options_are_read(saved: SavedScene) -> None:
    parameters = saved.parameters
    values = {name: parameters.get(name) for name in ("Model", "Device", "Window", "Mode", "Reach", "ReachPlane")}
    assert values == {
        "Model": "sam_med2d",
        "Device": "cpu",
        "Window": "127.5,255",
        "Mode": "replace",
        "Reach": "range",
        "ReachPlane": "K",
    }
    assert (parameters.number("ReachStart"), parameters.number("ReachEnd")) == (4, 11)
    flags = {name: parameters.flag(name) for name in ("ApplyAtOnce", "EncodeAhead", "ShowModelInput")}
    assert flags == {"ApplyAtOnce": True, "EncodeAhead": False, "ShowModelInput": True}
    roi: Any = parameters.reference("ROI")
    assert roi.GetSize() == pytest.approx((16, 12, 14))
    assert saved.node.GetSelectedSegmentID() == "tumour"


def test_key_slices_with_box_points_and_masks_are_read(saved: SavedScene, engine: RecordingService) -> None:
    state = saved.editor("tumour", engine).state
    assert state.problem is None and state.prompts is not None
    prompts = state.prompts
    assert (prompts.plane, list(prompts.keys)) == (Plane("K"), [5, 7, 9])
    assert (prompts.slice_range, prompts.box3d, prompts.oriented_box) == (None, None, None)
    box, clicks, started = prompts.keys.values()
    assert (box.origin, box.box, box.points, box.mask) == ("drawn", Box(5, 5, 22, 20), None, None)
    assert (clicks.origin, clicks.box) == ("corrected", None)
    assert clicks.points == Points(((13, 12), (31, 28)), (True, False))
    assert clicks.mask is not None and clicks.mask.prompt.logits is not None
    assert clicks.mask.fits("sam_med2d") and not clicks.mask.fits("sam_vit_b")
    assert started.points == Points(((13, 12),), (True,)) and started.mask is not None
    assert same(
        started.mask.prompt.mask, segment_on_slice(state.segmentation_node, "tumour", state.stack(), 9)
    )  # fmt: skip


def test_the_prompts_of_an_roi_are_read_with_its_box_and_its_rotation(
    saved: SavedScene, engine: RecordingService
) -> None:
    state = saved.editor("other", engine).state
    assert state.problem is None and state.prompts is not None
    assert [(index, key.origin, key.box) for index, key in state.prompts.keys.items()] == [
        (7, "roi", Box(22, 19, 40, 37))
    ]
    assert (state.prompts.slice_range, state.prompts.box3d) == ((4, 10), Box(22, 19, 40, 37))
    from_roi = type(state.prompts).from_roi(state.parameters.reference("ROI"), saved.volume)
    assert from_roi == state.prompts


def test_what_is_written_again_is_what_was_read(saved: SavedScene, engine: RecordingService) -> None:
    """Version 0.1 could read it: the names in the scene have stayed."""
    text = saved.node.GetAttribute("MedSAM.Prompts")
    for segment in ("tumour", "other"):
        state = saved.editor(segment, engine).state
        saved.parameters.set_prompts_of(segment, saved.volume, saved.segmentation, None)
        state.change_prompts(state.prompts)
    assert json.loads(saved.node.GetAttribute("MedSAM.Prompts")) == json.loads(text)


def test_both_segments_are_run_from_what_was_saved(
    saved: SavedScene, engine: RecordingService, two_rods: TwoRodPhantom
) -> None:
    tumour = run(saved.editor("tumour", engine))
    expected = two_rods.first.copy()
    expected[:4] = False  # the range begins at slice 4
    assert same(tumour, expected)
    other = run(saved.editor("other", engine))
    assert not (other & ~two_rods.second).any() and other[4:11].any(axis=(1, 2)).all()
    roi: Any = saved.parameters.reference("ROI")
    columns = np.flatnonzero(other.any(axis=(0, 1)))
    assert columns.size and roi.IsPointInROIWorld([-12.0 + columns[0], 30.0 + 28, 7.0 + 14])
