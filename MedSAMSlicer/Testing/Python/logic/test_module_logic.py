"""The Python API in Slicer: `slicer.util.getModuleLogic("MedSAMSlicer")`, from a script's point of view."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from host.application import Host
from logic.conftest import SHAPE, LogicFixture
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL

# From prompt to segment


def test_the_logic_is_found_without_a_main_window_or_an_editor(host: Host, repository: Path) -> None:
    host.hide_main_window()
    host.load_module(repository / "MedSAMSlicer" / "MedSAMSlicer.py")
    host.complete_startup()
    assert slicer.util.mainWindow() is None and slicer.app.layoutManager() is None
    logic = slicer.util.getModuleLogic("MedSAMSlicer")
    assert logic is slicer.util.getModuleLogic(slicer.modules.medsamslicer)
    assert callable(logic.segment) and callable(logic.startSegmentation)


def test_segment_waits_and_returns_the_id_of_a_new_segment(logic_fixture: LogicFixture) -> None:
    logic_fixture.host.hide_main_window()
    events: list[int] = []
    logic_fixture.host.clock.post(lambda: events.append(1))
    segment_id = logic_fixture.logic.segment(logic_fixture.volume, segmentName="GTV", **logic_fixture.prompt)
    assert events, "the application has processed events meanwhile"
    [segmentation] = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetSegment(segment_id).GetName() == "GTV"
    assert segmentation.GetDisplayNode() is not None
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, segment_id), logic_fixture.truth)


def test_the_segment_of_that_name_is_used_and_the_others_are_kept(logic_fixture: LogicFixture) -> None:
    segmentation = logic_fixture.segmentation("gtv", "GTV", "other")
    segment_id = logic_fixture.logic.segment(logic_fixture.volume, None, segmentation, "GTV", **logic_fixture.prompt)
    assert segment_id == "GTV"
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, "GTV"), logic_fixture.truth)
    assert not logic_fixture.voxels(segmentation, "gtv").any()


def test_an_roi_a_box_and_key_slices_name_the_same_object(logic_fixture: LogicFixture) -> None:
    segmentation = logic_fixture.segmentation()
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    low, high = np.array([8, 3, 4]) - 0.5, np.array([32, 27, 16]) + 0.5
    spacing = np.array(logic_fixture.volume.GetSpacing())
    roi.SetCenter(*((low + high) / 2 * spacing))
    roi.SetSize(*((high - low) * spacing))
    segment = logic_fixture.logic.segment
    options = {"window": "127.5,255"}
    ids = [
        segment(logic_fixture.volume, roi, segmentation, "from ROI", **options),
        segment(
            logic_fixture.volume, None, segmentation, "from box", box=((8, 32), (3, 27), (4, 16)), **options
        ),
        segment(
            logic_fixture.volume, None, segmentation, "from key slices",
            keySlices={10: {"box": (8, 3, 32, 27)}}, sliceRange=(4, 16), **options,
        ),
    ]  # fmt: skip
    assert len(set(ids)) == 3
    # By default a segment takes the voxels of the others, as in the Segment Editor.
    assert [int(logic_fixture.voxels(segmentation, one).sum()) for one in ids] == [0, 0, logic_fixture.truth.sum()]


def test_prompts_can_be_combined_for_models_that_take_them(logic_fixture: LogicFixture) -> None:
    segmentation = logic_fixture.segmentation()
    segment_id = logic_fixture.logic.segment(
        logic_fixture.volume, segmentationNode=segmentation, box=((8, 32), (3, 27), (4, 16)), window=(127.5, 255),
        points=[(20, 15, 10), (2, 2, 12)], pointLabels=[True, False], model="sam_med2d",
    )  # fmt: skip
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, segment_id), logic_fixture.truth)


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_modes(logic_fixture: LogicFixture, mode: str) -> None:
    segmentation = logic_fixture.segmentation("GTV")
    drawn = np.zeros(logic_fixture.truth.shape, bool)
    drawn[8:12, 10:15, 5:20] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn.astype(np.uint8), segmentation, "GTV", logic_fixture.volume)
    truth = logic_fixture.truth
    logic_fixture.logic.segment(logic_fixture.volume, None, segmentation, "GTV", mode=mode, **logic_fixture.prompt)
    expected = {"add": drawn | truth, "replace": truth, "remove": drawn & ~truth}[mode]
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, "GTV"), expected)


def test_start_returns_at_once_reports_progress_and_calls_finished_with_the_id(logic_fixture: LogicFixture) -> None:
    progress: list[Any] = []
    run = logic_fixture.start(progress=progress.append)
    assert run.running and run.progress is None and run.segment_id is None
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    outcome = logic_fixture.wait()
    assert outcome == run.segment_id and isinstance(outcome, str) and logic_fixture.outcomes == [outcome]
    assert not run.running and run.error is None
    assert [one.done for one in progress][-1] == len(run.result) and run.progress is progress[-1]
    assert run.info.loaded.model == DEFAULT_MODEL and run.written.voxels == logic_fixture.truth.sum()


def test_one_inference_process_serves_all_segmentations(logic_fixture: LogicFixture) -> None:
    for _ in range(3):
        logic_fixture.logic.segment(logic_fixture.volume, **logic_fixture.prompt)
    assert len(logic_fixture.transports) == 1


def test_one_undo_step_in_the_segment_editor_reverts_the_result(logic_fixture: LogicFixture) -> None:
    host = logic_fixture.host
    segmentation = host.edit(logic_fixture.volume, "other")
    segment_id = logic_fixture.logic.segment(logic_fixture.volume, None, segmentation, "GTV", **logic_fixture.prompt)
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, segment_id), logic_fixture.truth)
    host.editor.undo()
    assert segmentation.GetSegmentation().GetSegment(segment_id) is None
    host.editor.redo()
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, segment_id), logic_fixture.truth)


def test_the_editors_masking_applies_if_it_shows_the_segmentation(logic_fixture: LogicFixture) -> None:
    host, truth = logic_fixture.host, logic_fixture.truth
    segmentation = host.edit(logic_fixture.volume, "allowed", "GTV")
    allowed = np.zeros(truth.shape, bool)
    allowed[:, :15] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        allowed.astype(np.uint8), segmentation, "allowed", logic_fixture.volume
    )
    node = host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    node.SetMaskSegmentID("allowed")
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    before = node.GetSelectedSegmentID()
    logic_fixture.logic.segment(logic_fixture.volume, None, segmentation, "GTV", **logic_fixture.prompt)
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, "GTV"), truth & allowed)
    np.testing.assert_array_equal(logic_fixture.voxels(segmentation, "allowed"), allowed)
    assert node.GetSelectedSegmentID() == before
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == 1


# Cancel and failure


def test_cancel_ends_a_run_with_an_error_and_an_unchanged_scene(make_logic_fixture: Callable[..., Any]) -> None:
    from MedSAMSlicerLib.engine.errors import Cancelled

    one = make_logic_fixture("SlowService")
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    run = one.start()
    one.host.wait_until(lambda: run.progress is not None and run.progress.done > 2, 20)
    run.cancel()
    outcome = one.wait()
    assert isinstance(outcome, Cancelled) and run.error is outcome and run.segment_id is None
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert one.logic.segment(one.volume, **one.prompt), "the next one may start"


LEAVE: dict[str, Callable[[LogicFixture, Any], Any]] = {
    "volume": lambda one, _segmentation: slicer.mrmlScene.RemoveNode(one.volume),
    "segmentation": lambda _one, segmentation: slicer.mrmlScene.RemoveNode(segmentation),
    "segment": lambda _one, segmentation: segmentation.GetSegmentation().RemoveSegment("GTV"),
    "scene": lambda _one, _segmentation: slicer.mrmlScene.Clear(0),
}


@pytest.mark.parametrize("what", LEAVE)
def test_segment_ends_with_an_error_when_a_node_leaves_the_scene(
    make_logic_fixture: Callable[..., Any], what: str
) -> None:
    from MedSAMSlicerLib.engine.errors import InputError

    one = make_logic_fixture("SlowService")
    segmentation = one.segmentation("GTV")

    def leave(progress: Any) -> None:
        if progress.done == 3:
            LEAVE[what](one, segmentation)

    with pytest.raises(InputError, match=what):
        one.logic.segment(one.volume, None, segmentation, "GTV", progress=leave, **one.prompt)


def test_a_scene_that_closes_before_the_first_slice_ends_it_too(logic_fixture: LogicFixture) -> None:
    run = logic_fixture.start()
    slicer.mrmlScene.Clear(0)
    assert "scene was closed" in str(logic_fixture.wait())
    assert not run.running


def test_segment_ends_with_an_error_when_the_application_quits(make_logic_fixture: Callable[..., Any]) -> None:
    from MedSAMSlicerLib.engine.errors import MedSAMError

    one = make_logic_fixture("UninterruptibleService")
    voxels = slicer.util.arrayFromVolume(one.volume)
    voxels[10, 0, 0] = 99
    slicer.util.arrayFromVolumeModified(one.volume)
    quits: list[object] = []

    def quit_once(_progress: object) -> None:
        if not quits:
            quits.append(one.host.clock.post(lambda: slicer.app.exit(3), 0))

    with pytest.raises(MedSAMError, match="closing"):
        one.logic.segment(one.volume, progress=quit_once, **one.prompt)


def test_a_process_that_dies_is_an_error_and_is_replaced(make_logic_fixture: Callable[..., Any]) -> None:
    from MedSAMSlicerLib.engine.errors import WorkerError

    one = make_logic_fixture("CrashingService")
    voxels = slicer.util.arrayFromVolume(one.volume)
    voxels[0, 0, 1], voxels[0, 0, 2], voxels[10, 0, 0] = 0, 255, 99
    slicer.util.arrayFromVolumeModified(one.volume)
    with pytest.raises(WorkerError, match="giving up"):
        one.logic.segment(one.volume, **one.prompt)
    voxels[10, 0, 0] = 20
    slicer.util.arrayFromVolumeModified(one.volume)
    assert one.logic.segment(one.volume, **one.prompt)
    assert len(one.transports) == 2


def test_an_object_that_is_not_found_is_an_error_and_nothing_is_created(logic_fixture: LogicFixture) -> None:
    from MedSAMSlicerLib.engine.errors import InputError

    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError, match="no object"):
        logic_fixture.logic.segment(logic_fixture.volume, keySlices={2: (0, 0, 3, 3)}, window="127.5,255")
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


# What is refused


def test_a_second_call_is_rejected_while_one_is_running(logic_fixture: LogicFixture) -> None:
    from MedSAMSlicerLib.engine.errors import InputError

    refused: list[Exception] = []

    def again(progress: Any) -> None:
        if progress.done == 2:
            for call in (logic_fixture.logic.segment, logic_fixture.logic.startSegmentation):
                with pytest.raises(InputError, match="another segmentation is running") as error:
                    call(logic_fixture.volume, **logic_fixture.prompt)
                refused.append(error.value)

    assert logic_fixture.logic.segment(logic_fixture.volume, progress=again, **logic_fixture.prompt)
    assert len(refused) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keySlices": None}, "the prompt is empty"),
        ({"roiNode": "R", "keySlices": None}, "roiNode is a str"),
        ({"keySlices": None, "box": ((8, 32), (3, 27), (4, 20))}, "K runs from 0 to 19"),
        ({"keySlices": {20: (1, 1, 5, 5)}}, "slice 20"),
        ({"keyMasks": {10: np.ones((30, 40), bool)}}, "slice 10 has a key mask"),
        ({"keySlices": {10: (1, 1, 5)}}, "no box on a slice"),
        ({"keySlices": {10: {"points": [(20, 15, True)]}}}, "was not trained for points"),
        ({"points": [(20, 15, 11)]}, "was not trained for points"),
        ({"mask": np.ones(SHAPE, bool)}, "was not trained for masks"),
        ({"keySlices": None, "box": ((8, 32), (3, 27), (4, 16)), "sliceRange": (3, 9)}, "slice range"),
        ({"sliceRange": (11, 15)}, "outside slices 11 to 15"),
        ({"axis": "X"}, "axis 'X'"),
        ({"window": "nonsense"}, "nonsense"),
        ({"model": "yolo"}, "model 'yolo'"),
        ({"mode": "xor"}, "mode is 'xor'"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"device": np.zeros(3)}, "device is array"),
        ({"roiNode": 5}, "roiNode is a int"),
        ({"axis": 5}, "axis 5"),
        ({"points": [5]}, "points"),
        ({"segmentName": ""}, "no name"),
        ({"segmentationNode": "Segmentation"}, "segmentationNode is a str"),
        ({"volumeNode": None}, "volumeNode is a NoneType"),
    ],
)
def test_invalid_arguments_are_rejected_with_their_name(
    logic_fixture: LogicFixture, options: dict[str, Any], message: str
) -> None:
    from MedSAMSlicerLib.engine.errors import MedSAMError

    arguments = {"volumeNode": logic_fixture.volume, **logic_fixture.prompt, **options}
    with pytest.raises(MedSAMError, match=message) as error:
        logic_fixture.logic.segment(**arguments)
    assert "\n" not in str(error.value)
    assert not logic_fixture.transports, "no process was started for this"
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


# The inference process


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def process_id(one: LogicFixture) -> int:
    return int(one.transports[-1]._process.processId())


def test_the_process_ends_with_the_module(logic_fixture: LogicFixture) -> None:
    logic_fixture.logic.segment(logic_fixture.volume, **logic_fixture.prompt)
    pid = process_id(logic_fixture)
    assert exists(pid)
    slicer.modules.medsamslicer.widgetRepresentation().self().cleanup()
    logic_fixture.host.wait_until(lambda: not exists(pid), 10)


def test_closing_during_a_run_ends_it_with_an_error(make_logic_fixture: Callable[..., Any]) -> None:
    one = make_logic_fixture("SlowService")
    run = one.start()
    one.host.wait_until(lambda: run.progress is not None and run.progress.done > 2, 20)
    one.logic.close()
    assert not run.running and one.outcomes == [run.error]


def test_clearing_the_cache_ends_an_idle_process_and_waits_for_a_busy_one(
    make_logic_fixture: Callable[..., Any],
) -> None:
    from MedSAMSlicerLib.panel.setup import embedding_caches

    one = make_logic_fixture("SlowService")
    run = one.start()
    one.host.wait_until(lambda: run.progress is not None and run.progress.done > 2, 20)
    pid = process_id(one)
    assert embedding_caches.clear_all() == 1
    assert isinstance(one.wait(), str)
    one.host.wait_until(lambda: not exists(pid), 10)
    assert embedding_caches.clear_all() == 0, "there is no process any more"
    assert one.logic.segment(one.volume, **one.prompt)
    assert len(one.transports) == 2


def test_a_garbage_collected_logic_ends_its_process(logic_fixture: LogicFixture) -> None:
    logic_fixture.logic.segment(logic_fixture.volume, **logic_fixture.prompt)
    pid, forgotten = process_id(logic_fixture), weakref.ref(logic_fixture.logic.segmentationRunner)
    logic_fixture.logic.segmentationRunner = None
    gc.collect()
    assert forgotten() is None
    logic_fixture.host.wait_until(lambda: not exists(pid), 10)


def test_the_logic_does_not_keep_volumes_alive(logic_fixture: LogicFixture) -> None:
    logic_fixture.logic.segment(logic_fixture.volume, **logic_fixture.prompt)
    held = weakref.ref(logic_fixture.volume)
    logic_fixture.volume = None
    gc.collect()
    assert held() is None


def test_whatever_fails_ends_the_segmentation_and_the_next_one_runs(
    logic_fixture: LogicFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may be waiting for the end."""
    from MedSAMSlicerLib.scene.volume.slice_reader import SliceReader

    def fail(*_: object) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(SliceReader, "advance", fail)
        logic_fixture.start()
        assert "memory" in str(logic_fixture.wait())
    logic_fixture.start()
    assert isinstance(logic_fixture.wait(), str)


def test_a_progress_callback_that_raises_ends_the_segmentation_and_the_next_one_runs(
    logic_fixture: LogicFixture,
) -> None:
    def fail(_progress: object) -> None:
        raise ValueError("not mine")

    logic_fixture.start(progress=fail)
    assert "not mine" in str(logic_fixture.wait())
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    logic_fixture.start()
    assert isinstance(logic_fixture.wait(), str)
