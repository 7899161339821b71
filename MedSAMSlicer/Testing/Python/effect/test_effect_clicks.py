"""Clicks in slice views of the host, with a model that takes points in the inference process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from effect.conftest import SHAPE, Bench

FIRST, SECOND = (30, 40), (30, 66)
"""(j, i) of the middles of two bright balls on slice 10."""


@pytest.fixture
def bench(host: Any, repository: Any) -> Bench:
    made = Bench(host, repository, "support.clicked_service:clicked_service")
    k, j, i = np.indices(SHAPE)
    made.other = ((k - 10) * 2.0) ** 2 + (j - 30) ** 2 + (i - 66) ** 2 <= 8**2
    voxels = np.where(made.truth | made.other, 200, 20).astype(np.int16)
    slicer.util.updateVolumeFromArray(made.volume, voxels)
    made.effect.scriptedEffect.setParameter("Model", "sam_med2d")
    made.effect.scriptedEffect.setParameter("EncodeAhead", "0")
    made.centre()
    return made


def click(bench: Any, where: tuple[int, int], control: bool = False, view: str = "Red", k: int = 10) -> bool:
    """A click at (j, i) of slice k; the finger leaves Ctrl before the mouse. True if the effect kept it."""
    hands, xy = bench.host.hands, bench.xy(view, k, *where)
    taken = hands.press(view, xy, control=control)
    return bool(hands.release(view, (xy[0] + 1, xy[1])) and taken)


def answered(bench: Any) -> None:
    bench.host.wait_until(lambda: not bench.contouring.busy)


def seen(bench: Any) -> np.ndarray:
    image = bench.contouring.preview.image
    assert image is not None
    return np.asarray(image.values[0] > 0)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Where the outermost slices hold a few pixels only, propagation may end before them."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def marks(bench: Any, view: str = "Red") -> np.ndarray:
    (drawn,) = (one for one in bench.effect._overlays._views if one.widget is bench.host.hands.view(view))
    return np.asarray(drawn._points.centres)


def test_clicks_show_the_mask_and_their_marks_and_begin_no_run(bench: Any) -> None:
    assert click(bench, FIRST)
    answered(bench)
    assert bench.visible("preview") and (seen(bench) == bench.truth[10]).all()
    assert marks(bench) == pytest.approx(np.array([bench.xy("Red", 10, *FIRST)]), abs=1)
    assert not len(marks(bench, "Yellow")), "a view across the slice shows no marks"
    click(bench, SECOND)
    answered(bench)
    assert (seen(bench) == (bench.truth | bench.other)[10]).all()
    click(bench, FIRST, control=True)
    answered(bench)
    assert (seen(bench) == bench.other[10]).all() and len(marks(bench)) == 3
    assert bench.contouring.result is None and not bench.voxels().any()
    assert "Slice 10: 3 points." in bench.ui.clicksLabel.text
    assert bench.ui.keysTable.item(0, 2).text() == "clicked, 3 points"


def test_backspace_and_the_button_undo_one_by_one_and_the_editors_undo_stays(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    assert not ui.undoClickButton.enabled
    assert not hands.key("BackSpace"), "a key without a meaning is left to others"
    for where in (FIRST, SECOND):
        click(bench, where)
    assert hands.key("BackSpace")
    answered(bench)
    assert (seen(bench) == bench.truth[10]).all() and len(marks(bench)) == 1
    hands.click(ui.undoClickButton)
    answered(bench)
    assert not bench.visible("preview") and not len(marks(bench)) and not ui.undoClickButton.enabled
    assert bench.contouring.prompts is None


def test_enter_runs_and_apply_writes(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    assert not hands.key("Return")
    click(bench, FIRST)
    answered(bench)
    assert ui.runButton.text == "Contour" and ui.runButton.enabled
    assert hands.key("Return")
    bench.finish()
    assert (bench.result() == bench.truth).all() and bench.visible("result") and not bench.visible("preview")
    assert ui.runButton.text == "Run again" and not hands.key("Return")
    hands.click(ui.applyButton)
    assert (bench.voxels() == bench.truth).all()
    bench.host.editor.undo()
    assert not bench.voxels().any()


def test_the_button_runs_what_was_clicked(bench: Any) -> None:
    click(bench, SECOND)
    bench.host.hands.click(bench.ui.runButton)
    bench.finish()
    assert dice(bench.result(), bench.other) > 0.95 and not (bench.result() & bench.truth).any()


def test_a_correction_hides_the_result_of_its_slice_and_becomes_a_key_slice(bench: Any) -> None:
    hands = bench.host.hands
    hands.drag("Red", bench.xy("Red", 10, 10, 20), bench.xy("Red", 10, 50, 76))
    bench.finish()
    assert (bench.result()[10] == (bench.truth | bench.other)[10]).all()
    click(bench, SECOND, control=True)
    answered(bench)
    assert (seen(bench) == bench.truth[10]).all()
    assert bench.visible("preview") and not bench.visible("result")
    assert bench.visible("result", "Yellow"), "other slices still show what they have"
    key = bench.contouring.prompts.keys[10]
    assert key.box is not None and key.mask is not None and key.origin == "corrected"
    hands.key("Return")
    bench.finish()
    assert (bench.result() == bench.truth).all() and bench.visible("result")


def test_escape_drops_the_clicks_and_is_kept_from_others(bench: Any) -> None:
    hands = bench.host.hands
    for where in (FIRST, SECOND):
        click(bench, where)
    assert hands.key("Escape")
    answered(bench)
    assert bench.contouring.prompts is None and not bench.visible("preview")
    assert not hands.key("Escape")


def test_a_box_model_says_so_in_one_line_and_hides_the_controls(bench: Any) -> None:
    ui = bench.ui
    assert ui.clicksFrame.visible and ui.undoClickButton.visible and ui.startFromSegmentButton.visible
    bench.effect.scriptedEffect.setParameter("Model", "litemedsam")
    assert not ui.clicksFrame.visible
    click(bench, FIRST)
    assert bench.contouring.prompts is None and not bench.visible("preview")
    text = ui.noteLabel.text
    assert text.startswith("LiteMedSAM takes boxes only") and "SAM-Med2D" in text and "SAM ViT-B" in text
    assert ui.problemLabel.text == ""
    bench.effect.scriptedEffect.setParameter("Model", "sam_vit_b")
    assert ui.noteLabel.text == "" and ui.clicksFrame.visible


def test_other_buttons_and_other_views_click_nothing(bench: Any) -> None:
    hands = bench.host.hands
    xy = bench.xy("Red", 10, *FIRST)
    assert not hands.press("Red", xy, button="Right") and not hands.release("Red", xy, button="Right")
    hands.press("Red", xy)
    assert not hands.release("Yellow", bench.xy("Yellow", 10, *FIRST))
    assert bench.contouring.prompts is None


@pytest.mark.parametrize("view", ["Red", "Yellow", "Green"])
def test_every_view_takes_clicks(bench: Any, view: str) -> None:
    click(bench, FIRST, view=view)
    answered(bench)
    hands = bench.host.hands
    assert marks(bench, view) == pytest.approx(np.array([bench.xy(view, 10, *FIRST)]), abs=1)
    assert hands.key("Return", view=view)
    bench.finish()
    assert dice(bench.result(), bench.truth) > 0.95


def test_the_segment_is_where_the_model_starts(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    hands.click(ui.startFromSegmentButton)
    assert "the segment is empty on this slice" in ui.problemLabel.text
    part = np.zeros(SHAPE, np.uint8)
    part[10, 28:33, 64:69] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(part, bench.segmentation, "tumour", bench.volume)
    hands.click(ui.startFromSegmentButton)
    answered(bench)
    assert (seen(bench) == bench.other[10]).all() and ui.problemLabel.text == ""
    assert "Slice 10: from the segment." in ui.clicksLabel.text
    assert ui.keysTable.item(0, 2).text() == "from segment"
    hands.click(ui.undoClickButton)
    assert bench.contouring.prompts is None


def test_clicks_are_saved_with_the_scene(bench: Any) -> None:
    click(bench, FIRST)
    click(bench, SECOND, control=True)
    text = bench.host.editor.mrmlSegmentEditorNode().GetAttribute("MedSAM.Prompts")
    assert '"points"' in text
    prompts = bench.contouring.prompts
    bench.host.editor.mrmlSegmentEditorNode().SetSelectedSegmentID("other")
    assert bench.contouring.prompts is None and not len(marks(bench))
    bench.host.editor.mrmlSegmentEditorNode().SetSelectedSegmentID("tumour")
    assert bench.contouring.prompts == prompts and len(marks(bench)) == 2


def test_leaving_the_effect_and_coming_back_shows_the_clicks_again(bench: Any) -> None:
    click(bench, FIRST)
    answered(bench)
    bench.host.editor.setActiveEffect(None)
    bench.host.editor.setActiveEffectByName("MedSAM")
    answered(bench)
    assert bench.visible("preview") and len(marks(bench)) == 1
    assert (seen(bench) == bench.truth[10]).all()


def test_the_rectangle_of_a_clicked_slice_cannot_be_corrected_by_corners_that_it_has_not(bench: Any) -> None:
    click(bench, FIRST)
    answered(bench)
    bench.host.hands.click(bench.ui.correctKeyButton)
    answered(bench)
    assert bench.contouring.correcting is None and bench.visible("preview")


def test_a_second_click_in_quick_succession_counts_and_the_view_is_not_maximised(bench: Any) -> None:
    hands = bench.host.hands
    first, second = bench.xy("Red", 10, *FIRST), bench.xy("Red", 10, *SECOND)
    assert click(bench, FIRST)
    assert hands.press_again("Red", second, control=True) and hands.release("Red", second)
    answered(bench)
    (key,) = bench.contouring.prompts.keys.values()
    assert key.points.positive == (True, False)
    assert hands.double_click("Red", first)
    answered(bench)
    assert not bench.contouring.busy and (seen(bench) == bench.truth[10]).all()
