"""The state of a segment: changes are told once, stored in the scene, and end when a node leaves it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import StackResult
from MedSAMSlicerLib.scene.state.current_result import FinishedRun
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters
from MedSAMSlicerLib.scene.state.prompts import KeySlice, Prompts
from MedSAMSlicerLib.scene.state.segment_state import SegmentState, Signal
from MedSAMSlicerLib.scene.volume.content import Content
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.scene_builder import SceneBuilder

DRAWN = Prompts(Plane("K"), {3: KeySlice(Box(2, 3, 8, 9))})
OTHER_PLANE = Prompts(Plane("I"), {3: KeySlice(Box(2, 3, 8, 9))})


class Nodes:
    """A volume, a segmentation and the options, with as many states on them as are opened."""

    def __init__(self, builder: SceneBuilder) -> None:
        self.scene = builder.scene
        self.volume = builder.volume(np.zeros((9, 12, 14), np.int16))
        self.segmentation = builder.segmentation(self.volume, "tumour", "other")
        self.parameters = EffectParameters(self.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))

    def open(self, segment: str = "tumour") -> SegmentState:
        return SegmentState(self.volume, self.segmentation, segment, self.parameters)


@pytest.fixture
def nodes(scene_builder: SceneBuilder) -> Nodes:
    return Nodes(scene_builder)


def finish_run(state: SegmentState, prompts: Prompts) -> None:
    """Gives the state a result of these prompts."""
    state.change_prompts(prompts)
    basis: Any = None
    state.current.finish(
        FinishedRun(StackResult(state.stack().shape), prompts, basis, Content(state.stack()).read([3]))
    )


def test_prompts_are_stored_for_their_segment_and_read_again(nodes: Nodes) -> None:
    state = nodes.open()
    state.change_prompts(DRAWN)
    again, other = nodes.open(), nodes.open("other")
    again.read_prompts()
    other.read_prompts()
    assert (again.prompts, other.prompts) == (DRAWN, None)
    state.change_prompts(None)
    again.read_prompts()
    assert again.prompts is None


def test_prompts_that_have_not_changed_in_the_scene_stay_the_same_object(nodes: Nodes) -> None:
    state = nodes.open()
    state.change_prompts(DRAWN)
    state.read_prompts()
    assert state.prompts is DRAWN


def test_prompts_that_cannot_be_read_are_a_problem_and_leave_those_in_use(nodes: Nodes) -> None:
    state, changes = nodes.open(), []
    state.change_prompts(DRAWN)
    state.changed.connect(lambda: changes.append(state.problem))
    nodes.parameters.set_prompts_of("tumour", nodes.volume, nodes.segmentation, {"plane": "K", "keys": {}})
    state.read_prompts()
    assert "cannot be read" in str(state.problem) and changes == [state.problem]
    assert state.prompts is DRAWN


def test_a_result_stays_with_prompts_in_its_plane_and_goes_with_others(nodes: Nodes) -> None:
    state = nodes.open()
    finish_run(state, DRAWN)
    corrected = DRAWN.with_key(5, KeySlice(Box(1, 1, 4, 4)), state.stack())
    state.change_prompts(corrected)
    assert state.current.result is not None and state.current.prompts is DRAWN
    state.change_prompts(OTHER_PLANE)
    assert state.current.result is None
    finish_run(state, DRAWN)
    state.change_prompts(None)
    assert state.current.result is None


def test_changes_of_the_prompts_are_taken_back_one_by_one_with_their_results(nodes: Nodes) -> None:
    state = nodes.open()
    assert not state.can_undo_prompts and not state.undo_prompts()
    finish_run(state, DRAWN)
    first = state.current.result
    state.current.applied = True
    finish_run(state, OTHER_PLANE)
    state.change_prompts(None)
    assert state.undo_prompts() and state.prompts is OTHER_PLANE and state.current.result not in (None, first)
    assert state.undo_prompts() and state.prompts is DRAWN and state.current.result is first
    assert not state.current.applied, "whether it is still there has to be found out"
    again = nodes.open()
    again.read_prompts()
    assert again.prompts == DRAWN and not again.can_undo_prompts
    assert state.undo_prompts() and state.prompts is None and state.current.result is None
    assert not state.can_undo_prompts


def test_results_of_another_object_go_with_its_prompts(nodes: Nodes) -> None:
    state = nodes.open()
    state.change_prompts(DRAWN)
    finish_run(state, Prompts(Plane("K"), {5: KeySlice(Box(1, 1, 4, 4))}))
    assert state.undo_prompts() and state.prompts is DRAWN
    assert state.current.result is None and state.current.image is None


def test_a_few_results_are_kept_at_most(nodes: Nodes) -> None:
    state = nodes.open()
    for n in range(30):
        finish_run(state, Prompts(Plane("K"), {5: KeySlice(Box(1, 1, 4 + n / 9, 4))}))
    count = 0
    while state.undo_prompts():
        count += 1
    assert count == 10


def test_a_rectangle_that_is_gone_is_not_corrected_any_more(nodes: Nodes) -> None:
    state = nodes.open()
    state.change_prompts(DRAWN)
    state.correcting = 3
    state.change_prompts(DRAWN.with_key(5, KeySlice(Box(1, 1, 4, 4)), state.stack()))
    assert state.correcting == 3
    state.change_prompts(Prompts(Plane("K"), {5: KeySlice(Box(1, 1, 4, 4))}))
    assert state.correcting is None


@pytest.mark.parametrize("what", ["segment", "segmentation", "volume", "scene"])
def test_what_leaves_the_scene_is_told_once(nodes: Nodes, what: str) -> None:
    state = nodes.open()
    finish_run(state, DRAWN)
    lost: list[InputError] = []
    gone_at_changes: list[bool] = []
    state.lost.connect(lost.append)
    state.changed.connect(lambda: gone_at_changes.append(state.gone))
    state.check_nodes()
    if what == "segment":
        nodes.segmentation.GetSegmentation().RemoveSegment("tumour")
    elif what == "scene":
        nodes.scene.Clear(0)
    else:
        nodes.scene.RemoveNode(getattr(nodes, what))
    assert state.gone and len(lost) == 1 and gone_at_changes == [True]
    assert state.problem is lost[0], "the result was not applied"
    assert state.current.result is None
    with pytest.raises(InputError):
        state.check_nodes()


def test_a_segmentation_that_slicer_empties_before_it_deletes_it(nodes: Nodes) -> None:
    """As the Data module does. The segment is called by the name that the user knows."""
    state = nodes.open()
    finish_run(state, DRAWN)
    nodes.segmentation.GetSegmentation().GetSegment("tumour").SetName("GTV")
    state.check_nodes()
    nodes.segmentation.GetSegmentation().RemoveAllSegments()
    nodes.scene.RemoveNode(nodes.segmentation)
    assert str(state.problem) == (
        "segment 'GTV', or its segmentation, was deleted, and nothing was written: choose another one"
    )


def test_what_was_applied_is_not_missed(nodes: Nodes) -> None:
    state = nodes.open()
    finish_run(state, DRAWN)
    state.current.applied = True
    nodes.segmentation.GetSegmentation().RemoveSegment("tumour")
    assert state.gone and state.problem is None


def test_a_closed_state_tells_nothing_and_is_released(nodes: Nodes) -> None:
    state, told = nodes.open(), []
    state.changed.connect(lambda: told.append("changed"))
    state.lost.connect(told.append)
    state.close()
    nodes.scene.RemoveNode(nodes.volume)
    state.fail(InputError("no"))
    assert told == []
    weak = weakref.ref(state)
    del state
    gc.collect()
    assert weak() is None


def test_a_state_needs_nodes_of_a_scene(nodes: Nodes) -> None:
    with pytest.raises(InputError, match="no segment 'nothing'"):
        nodes.open("nothing")
    with pytest.raises(InputError, match="was deleted"):
        SegmentState(slicer.vtkMRMLScalarVolumeNode(), nodes.segmentation, "tumour", nodes.parameters)


def test_a_volume_that_is_refused_is_not_watched(nodes: Nodes) -> None:
    """The error keeps what was half built alive; the scene must not call it when it closes."""
    nodes.volume = SceneBuilder(nodes.scene).volume(np.zeros((1, 12, 1), np.int16))
    with pytest.raises(InputError, match="is a line") as refused:
        nodes.open()
    assert refused.value.__traceback__ is not None
    assert not nodes.scene.HasObserver(slicer.vtkMRMLScene.StartCloseEvent)
    assert not nodes.scene.HasObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent)


def test_the_segments_name_is_its_id_once_it_is_gone(nodes: Nodes) -> None:
    state = nodes.open()
    nodes.segmentation.GetSegmentation().GetSegment("tumour").SetName("GTV")
    assert state.segment_name == "GTV"
    nodes.segmentation.GetSegmentation().RemoveSegment("tumour")
    assert state.segment_name == "tumour"


def test_a_signal_calls_its_callbacks_in_order_and_survives_changes_meanwhile() -> None:
    signal, calls = Signal(), []

    def first(value: int) -> None:
        calls.append(("first", value))
        signal.disconnect_all()

    signal.connect(first)
    signal.connect(lambda value: calls.append(("second", value)))
    signal.emit(1)
    signal.emit(2)
    assert calls == [("first", 1), ("second", 1)]
