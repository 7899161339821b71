"""What the options frame shows, as plain values: no widgets, no application."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.effect.option_choices import CUSTOM_WINDOW, Available
from MedSAMSlicerLib.effect.options_state import OptionsState, options_state
from MedSAMSlicerLib.effect.result_summary import KEY_MARK, NO_RESULT, REVIEW_MARK, color_of, summary_of
from MedSAMSlicerLib.effect.texts import finished_text, progress_text
from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, DEFAULT_MODEL
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.models.catalogue import model_title
from MedSAMSlicerLib.engine.models.imported_adapters import imported_path
from MedSAMSlicerLib.engine.results import SliceResult, StackResult
from MedSAMSlicerLib.engine.serving import service as engine_service
from MedSAMSlicerLib.scene.worker.active_run import Stage
from MedSAMSlicerLib.scene.worker.progress import Progress
from support.adapters import imported_adapter
from support.component_model import load_component_model
from support.component_service import RecordingService
from support.contour_editor_fixture import ContourEditorFixture
from support.effect_services import NeedsReviewService
from support.in_process_client import InProcessClient
from support.scene_builder import SceneBuilder, new_scene
from support.two_rod_phantom import FIRST, TwoRodPhantom

AVAILABLE = Available(models=(DEFAULT_MODEL, "medsam"), devices=("cuda", "cpu"))


def shown(fixture: Any, k: float = 7, view: Any = None, **more: Any) -> OptionsState:
    """State while the user looks at slice `k`."""
    view = view or (fixture.view(k) if callable(fixture.view) else fixture.view)
    return options_state(fixture.contouring, fixture.parameters, more.pop("available", AVAILABLE), view, **more)


def test_without_a_segment_there_is_nothing_to_run() -> None:
    state = options_state(None, None, Available())
    assert state == OptionsState(run_text="Contour", keys_title="Key slices")
    assert not state.can_run and not state.can_run_in_roi and state.progress is None and state.result is None


def test_why_there_is_no_editor_and_what_waits_is_shown() -> None:
    state = options_state(
        None, None, Available(), problem=InputError("volume CT has no voxels"), waiting=["tumour", "node"]
    )
    assert state.problem == "⚠ volume CT has no voxels"
    assert state.note == "Not applied yet: tumour, node."


def test_before_the_first_rectangle(editor_fixture: ContourEditorFixture) -> None:
    state = shown(editor_fixture)
    assert state.plane == "Axial slices, 2 mm apart."
    assert state.problem == state.note == ""
    assert state.run_text == "Contour" and not state.can_run
    assert state.keys == () and state.result is None and state.clicks is None
    editor_fixture.contouring.run()
    assert shown(editor_fixture).problem.startswith("⚠ nothing is marked yet")


def test_the_plane_is_that_of_the_view(editor_fixture: ContourEditorFixture) -> None:
    turn = np.array([[1, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
    assert shown(editor_fixture, view=editor_fixture.view(7, "coronal")).plane.startswith("Coronal slices, ")
    oblique = shown(editor_fixture, view=editor_fixture.view(7, turned=turn)).plane
    assert oblique.startswith("Oblique slices as in this view, closest to axial, ")
    assert options_state(editor_fixture.contouring, editor_fixture.parameters, AVAILABLE).plane == ""


def test_a_view_that_shows_a_slab_says_where_a_rectangle_lies(editor_fixture: ContourEditorFixture) -> None:
    thin, thick = (replace(editor_fixture.view(7), slab=slab) for slab in (2.0, 10.0))
    assert shown(editor_fixture, view=thin).plane == "Axial slices, 2 mm apart."
    assert shown(editor_fixture, view=thick).plane == (
        "Axial slices, 2 mm apart. The view shows a slab of 10 mm: a rectangle lies on the slice in its middle."
    )


def test_a_finished_result(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    state, found = shown(editor_fixture), int(editor_fixture.truth.any(axis=(1, 2)).sum())
    assert state.run_text == "Run again" and state.can_run and state.progress is None
    assert state.result is not None and state.result.can_apply
    assert state.result.text.startswith(f"Preview: {found} slices, none needs review. First slice after ")
    assert not state.result.can_go_to_review
    assert state.keys_title == "Key slices (1)"
    ((index, position, origin),) = state.keys
    assert (index, position, origin) == (7, "S 21.0 mm", "drawn")
    cells = state.result.summary.cells
    assert len(cells) == found and cells[7 - state.result.summary.first_slice].mark == KEY_MARK


@pytest.mark.parametrize(
    ("applied", "undone", "text"),
    [(True, False, "Applied: "), (False, True, "Undone, not in the segment: "), (False, False, "Preview: ")],
)
def test_whether_the_result_is_in_the_segment(
    editor_fixture: ContourEditorFixture, applied: bool, undone: bool, text: str
) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.contouring.state.current.applied, editor_fixture.contouring.state.current.undone = applied, undone
    result = shown(editor_fixture).result
    assert result is not None and result.text.startswith(text)


def test_a_box_without_an_object(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.contouring.mouse.press(editor_fixture.view(7), (62, 66), False)
    editor_fixture.contouring.mouse.move((76, 80))
    editor_fixture.contouring.mouse.release((76, 80))
    editor_fixture.wait()
    result = shown(editor_fixture).result
    assert result is not None
    assert result.text == "No object found in this box: draw a tighter rectangle, or choose another window."


def test_slices_that_need_review() -> None:
    fixture = ContourEditorFixture(SceneBuilder(new_scene()), InProcessClient(NeedsReviewService()))
    fixture.draw(fixture.view(7))
    result = shown(fixture).result
    assert result is not None and result.can_go_to_review
    marked = [result.summary.first_slice + n for n, cell in enumerate(result.summary.cells) if cell.mark == REVIEW_MARK]
    assert marked == [4, 8]
    assert ", 2 need review. " in result.text
    cell = result.summary.cells[8 - result.summary.first_slice]
    assert cell.tooltip == "Slice 8 (S 23.0 mm): confidence 20 %, needs review"
    assert cell.color != result.summary.cells[9 - result.summary.first_slice].color


def test_a_growing_result_costs_no_more_with_every_slice() -> None:
    """Ten times a second the strip is shown, of stacks with hundreds of slices."""
    result, named = StackResult((300, 4, 4)), []

    def name_of(index: int) -> str:
        named.append(index)
        return str(index)

    for index in (150, *range(151, 300), *range(149, -1, -1)):
        result.add(SliceResult(index, np.ones((4, 4), bool), None, 0.9, 0.9, needs_review=False))
        summary = summary_of(result, name_of)
    assert len(summary.cells) == summary.found == 300 and sorted(named) == list(range(300))
    result.add(SliceResult(7, np.zeros((4, 4), bool), None, 0.9, 0.1, needs_review=True))
    summary = summary_of(result, name_of)
    assert (summary.found, summary.to_review, summary.cells[7].mark) == (299, 1, REVIEW_MARK)


def test_the_strip_has_a_cell_for_slices_without_a_result() -> None:
    result = StackResult((9, 4, 4))
    mask = np.ones((4, 4), bool)
    for index, confidence in ((2, 0.0), (4, 1.4)):
        result.add(SliceResult(index, mask, None, 0.9, confidence, needs_review=index == 2))
    summary = summary_of(result, str)
    assert summary.first_slice == 2 and (summary.found, summary.to_review) == (2, 1)
    assert [cell.mark for cell in summary.cells] == [REVIEW_MARK, "", ""]
    assert summary.cells[1].color == NO_RESULT and summary.cells[1].tooltip == "Slice 3: no result"
    assert summary.cells[2].tooltip == "Slice 4: confidence 100 %"
    assert color_of(-1.0) == color_of(0.0) == summary.cells[0].color != summary.cells[2].color == color_of(1.0)


def test_the_strip_says_which_slices_the_model_has_not_seen() -> None:
    result = StackResult((9, 4, 4))
    mask = np.ones((4, 4), bool)
    for index, confidence in ((2, 0.9), (3, 0.9), (4, 0.3)):
        review = confidence < 0.5
        result.add(SliceResult(index, mask, None, 0.9, confidence, needs_review=review, interpolated=index > 2))
    assert [cell.tooltip for cell in summary_of(result, str).cells] == [
        "Slice 2: confidence 90 %",
        "Slice 3: confidence 90 %, interpolated",
        "Slice 4: confidence 30 %, interpolated, needs review",
    ]


def test_the_strip_says_which_slices_have_a_first_answer_only() -> None:
    result = StackResult((9, 4, 4))
    for provisional in (True, False):
        result.add(SliceResult(2, np.ones((4, 4), bool), None, 0.9, 0.8, False, provisional=provisional))
        (cell,) = summary_of(result, str).cells
        assert cell.tooltip == "Slice 2: confidence 80 %" + ", first answer" * provisional


def test_a_run_shows_its_progress_and_can_be_cancelled(editor_fixture: ContourEditorFixture) -> None:
    for name, value in (("ReachPlane", "K"), ("ReachStart", "4"), ("ReachEnd", "9"), ("Reach", "range")):
        editor_fixture.parameters.set(name, value)
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    editor_fixture.wait(lambda: getattr(editor_fixture.contouring.progress, "done", 0) > 1)
    state = shown(editor_fixture)
    assert state.progress is not None and not state.can_run
    assert (state.progress.done, state.progress.total) == (2, 6)
    assert state.progress.text.startswith("2 of 6 slices, ")
    assert state.can_cancel and state.result is not None and not state.result.can_apply
    assert state.result.text == "So far: 2 slices, none needs review."
    assert [state.result.summary.first_slice + n for n in range(len(state.result.summary.cells))] == [7, 8]
    editor_fixture.contouring.cancel()
    state = shown(editor_fixture)
    assert state.progress is None and state.can_run and not state.can_cancel and state.result is None


def test_a_correction_keeps_the_result_and_forbids_to_apply_it_meanwhile(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(9), add=True, half=6, wait=False)
    state = shown(editor_fixture)
    assert state.progress is not None and (state.progress.total, state.progress.text) == (0, "Starting…")
    assert state.result is not None and not state.result.can_apply
    editor_fixture.wait()
    assert [(key.slice_index, key.origin) for key in shown(editor_fixture).keys] == [(7, "drawn"), (9, "corrected")]


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (None, "Reading the image…"),
        (Progress(Stage.STARTING, 0, None, 0.2, None), "Starting the inference process…"),
        (Progress(Stage.LOADING, 0, 9, 0.2, None), "Loading the model…"),
        (Progress(Stage.LOADING, 0, 9, 21.4, None), "Loading the model… 21 s"),
        (Progress(Stage.SEGMENTING, 0, 9, 0.2, None), "0 of 9 slices"),
        (Progress(Stage.SEGMENTING, 0, 9, 5.2, None, 4.7), "0 of 9 slices; 4 s for this slice so far"),
        (Progress(Stage.SEGMENTING, 3, 9, 9.0, 0.0, 7.0), "3 of 9 slices, 1 s left; 7 s for this slice so far"),
        (Progress(Stage.SEGMENTING, 3, 9, 3.0, 6.2), "3 of 9 slices, 6 s left"),
        (Progress(Stage.SEGMENTING, 8, 9, 3.0, 0.2), "8 of 9 slices, 1 s left"),
        (Progress(Stage.SEGMENTING, 0, None, 2.2, None), "2 s so far, looking for the end of the object"),
        (Progress(Stage.SEGMENTING, 1, None, 2.6, None), "1 slice, 3 s so far, looking for the end of the object"),
        (Progress(Stage.SEGMENTING, 5, None, 3.2, None), "5 slices, 3 s so far, looking for the end of the object"),
    ],
)
def test_texts_of_the_progress(progress: Progress | None, text: str) -> None:
    assert progress_text(progress) == text


def test_a_rectangle_that_is_corrected(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.contouring.mouse.correct(7)
    editor_fixture.contouring.state.notes = ["3 voxels were left out."]
    state = shown(editor_fixture, waiting=["node"])
    assert state.note == (
        "Slice 7 (S 21.0 mm): drag a corner of the rectangle, or draw a new one. Esc leaves it unchanged. "
        "3 voxels were left out. Not applied yet: node."
    )


def test_the_ends_of_the_range(editor_fixture: ContourEditorFixture) -> None:
    assert shown(editor_fixture).range_ends == ("–", "–")
    for name, value in (("ReachPlane", "K"), ("ReachStart", "4"), ("ReachEnd", "99")):
        editor_fixture.parameters.set(name, value)
    assert shown(editor_fixture).range_ends == ("4 (S 15.0 mm)", "–"), "there is no slice 99"
    assert shown(editor_fixture, view=editor_fixture.view(7, "coronal")).range_ends == ("–", "–")


def test_a_volume_that_cannot_be_used_any_more(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.contouring.mouse.correct(7)
    editor_fixture.volume.SetAndObserveTransformNodeID(editor_fixture.scene_builder.warp())
    state = shown(editor_fixture)
    assert "nonlinear transform" in state.plane
    assert [(key.slice_index, key.position) for key in state.keys] == [(7, "–")]
    assert "drag a corner" not in state.note


def test_a_segment_that_is_gone(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    editor_fixture.segmentation.GetSegmentation().RemoveSegment("tumour")
    state = shown(editor_fixture)
    assert state.result is None and state.keys == () and not state.can_run and state.run_text == "Contour"
    assert "tumour" in state.problem


# Clicks


@pytest.fixture
def two_rods(monkeypatch: pytest.MonkeyPatch) -> TwoRodPhantom:
    monkeypatch.setattr(engine_service, "load_predictor", load_component_model)
    return TwoRodPhantom(SceneBuilder(new_scene()), RecordingService())


def test_clicks_are_offered_with_models_that_accept_them(two_rods: TwoRodPhantom) -> None:
    clicks = shown(two_rods).clicks
    assert clicks is not None and clicks.accepts_masks and not shown(two_rods).can_undo_prompt
    assert clicks.text.startswith("Click inside the object, or Ctrl+click outside it")
    two_rods.click(FIRST)
    clicks = shown(two_rods).clicks
    assert clicks is not None and shown(two_rods).can_undo_prompt
    assert clicks.text == "Slice 7 (S 21.0 mm): 1 point. Press Enter or 'Contour' to run."
    assert shown(two_rods).keys[0].origin == "clicked, 1 point"
    two_rods.click(FIRST, k=9)
    clicks = shown(two_rods).clicks
    assert clicks is not None and clicks.text == "2 slices refined. Press Enter or 'Contour' to run."
    two_rods.run()
    assert shown(two_rods).run_text == "Run again"
    two_rods.click(FIRST, k=5)
    assert shown(two_rods).run_text == "Contour", "what was clicked has not been run yet"


def test_a_refused_click_is_explained(two_rods: TwoRodPhantom) -> None:
    two_rods.parameters.set("Model", "litemedsam")
    two_rods.click(FIRST)
    state = shown(two_rods)
    assert state.clicks is None and state.keys == ()
    assert state.note == "" and (state.offer.button, state.offer.model) == ("Set up", None)
    installed = replace(AVAILABLE, models=("litemedsam", "mobile_sam", "sam_med2d"))
    assert shown(two_rods, available=installed).offer == (
        "LiteMedSAM takes clicks only where there is a rectangle or a result: drag a rectangle, or use MobileSAM.",
        "Use MobileSAM",
        "mobile_sam",
    )
    two_rods.parameters.set("Model", "sam_med2d")
    assert shown(two_rods).offer.text == ""


def test_with_a_model_of_boxes_clicks_are_explained_once_there_is_something_to_correct(two_rods: TwoRodPhantom) -> None:
    two_rods.parameters.set("Model", "litemedsam")
    two_rods.draw_both()
    clicks = shown(two_rods).clicks
    assert clicks is not None and clicks.text.startswith("Click where the mask misses the object, or Ctrl+click ")
    assert not clicks.accepts_masks
    two_rods.click(FIRST)
    clicks = shown(two_rods).clicks
    assert clicks is not None and clicks.text.endswith(": 1 point. Press Enter or 'Contour' to run.")


# Options


def choices(fixture: ContourEditorFixture, available: Available = AVAILABLE) -> Any:
    return shown(fixture, available=available).choices


def test_options_are_shown_as_they_are_in_the_scene(editor_fixture: ContourEditorFixture) -> None:
    found = choices(editor_fixture)
    assert (found.combos["Reach"].text, found.combos["Mode"].text) == ("Whole object", "Add to segment")
    assert found.checked == {"ApplyAtOnce": False, "EncodeAhead": True, "ShowModelInput": False}
    options = {"Reach": "range", "Mode": "remove", "Window": "lung", "ApplyAtOnce": "1", "EncodeAhead": "0"}
    for name, value in options.items():
        editor_fixture.parameters.set(name, value)
    found = choices(editor_fixture)
    assert (found.combos["Reach"].text, found.combos["Mode"].text) == ("Range of slices", "Remove from segment")
    assert found.combos["Window"].text == "CT lung (level -600, width 1500)" and found.level_and_width is None
    assert found.checked == {"ApplyAtOnce": True, "EncodeAhead": False, "ShowModelInput": False}


def test_an_invalid_option_shows_as_its_default(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.parameters.node.SetAttribute("MedSAM.Reach", "everywhere")
    editor_fixture.parameters.node.SetAttribute("MedSAM.Window", "10,wide")
    found = choices(editor_fixture)
    assert found.combos["Reach"].value == "object" and found.combos["Window"].value == "auto"


def test_a_window_of_its_own(editor_fixture: ContourEditorFixture) -> None:
    state = shown(editor_fixture)
    assert state.choices is not None and state.choices.combos["Window"].value == CUSTOM_WINDOW
    assert state.choices.level_and_width == (127.5, 255.0) and state.window_levels is None
    assert state.window_in_use == "Determining the window…"
    editor_fixture.draw(editor_fixture.view(7))
    state = shown(editor_fixture)
    assert state.window_in_use == "In use: level 127.5, width 255"
    assert state.window_levels == (127.5, 255.0)
    editor_fixture.parameters.set("Window", "brain")
    editor_fixture.wait(lambda: editor_fixture.contouring.reader.window is not None)
    assert shown(editor_fixture).window_in_use == "In use: CT brain (level 40, width 80)"


def test_models_that_the_user_has_imported(
    editor_fixture: ContourEditorFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    imported_adapter("livers", title="Our livers")
    available = Available(models=("litemedsam", "livers"))
    editor_fixture.parameters.set("Model", "livers")
    found = shown(editor_fixture, available=available)
    assert found.choices is not None and not found.hint.set_up and found.clicks is None
    assert found.choices.combos["Model"].items == (("litemedsam", "LiteMedSAM"), ("livers", "Our livers (livers)"))
    hint = shown(editor_fixture).hint
    assert hint.set_up and hint.text.startswith("Our livers (livers) is not installed")
    imported_path("livers").unlink()
    assert choices(editor_fixture).combos["Model"].text == "livers (not installed)"
    with pytest.raises(InputError, match="option Model is 'livers': choose one of litemedsam_plus, "):
        editor_fixture.parameters.get("Model")


def test_models(editor_fixture: ContourEditorFixture) -> None:
    assert choices(editor_fixture).combos["Model"].items == (
        (DEFAULT_MODEL, model_title(DEFAULT_MODEL)),
        ("medsam", "MedSAM (ViT-B)"),
    )
    editor_fixture.parameters.set("Model", "sam_vit_h")
    assert choices(editor_fixture).combos["Model"].text == "SAM ViT-H (not installed)"
    editor_fixture.parameters.node.SetAttribute("MedSAM.Model", "of_another_version")
    state = shown(editor_fixture)
    assert state.choices is not None and state.choices.combos["Model"].text == "of_another_version (not installed)"
    assert state.clicks is None


@pytest.mark.parametrize(
    ("device", "known", "texts"),
    [
        ("auto", (), ["Automatic", "CPU"]),
        ("cuda", (), ["Automatic", "CPU", "CUDA"]),
        ("auto", ("mps", "cpu"), ["Automatic", "MPS", "CPU"]),
        ("cuda", ("mps", "cpu"), ["Automatic", "MPS", "CPU", "CUDA (not on this computer)"]),
    ],
)
def test_devices(editor_fixture: ContourEditorFixture, device: str, known: tuple[str, ...], texts: list[str]) -> None:
    editor_fixture.parameters.set("Device", device)
    found = choices(editor_fixture, replace(AVAILABLE, devices=known)).combos["Device"]
    assert [text for _, text in found.items] == texts and found.value == device


@pytest.mark.parametrize(
    ("preferred", "text"),
    [
        (("auto", "auto"), "Automatic"),
        (("cpu", "openvino"), "Automatic (CPU, OpenVINO)"),
        (("cuda", "auto"), "Automatic (CUDA)"),
    ],
)
def test_the_automatic_device_is_named(
    editor_fixture: ContourEditorFixture, preferred: tuple[str, str], text: str
) -> None:
    assert choices(editor_fixture, replace(AVAILABLE, preferred=preferred)).combos["Device"].text == text


def test_an_roi_has_to_be_chosen_before_a_run_inside_it(editor_fixture: ContourEditorFixture) -> None:
    assert not shown(editor_fixture).can_run_in_roi
    roi = editor_fixture.scene_builder.roi((0, 0, 0), (10, 10, 10))
    editor_fixture.parameters.set_reference("ROI", roi)
    state = shown(editor_fixture)
    assert state.can_run_in_roi and state.choices is not None and state.choices.roi is roi


def test_the_message_of_a_run_that_finished_unseen(editor_fixture: ContourEditorFixture) -> None:
    assert finished_text(editor_fixture.contouring) == (
        "MedSAM: the result for 'tumour' is ready. Open the Segment Editor to review and apply it."
    )
