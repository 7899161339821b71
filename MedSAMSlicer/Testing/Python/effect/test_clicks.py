"""Clicks in slice views of the host, with a model that takes points in the inference process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from effect.conftest import SHAPE, EffectFixture
from MedSAMSlicerLib.engine.masks import dice

FIRST, SECOND = (30, 40), (30, 66)
"""(j, i) of the middles of two bright balls on slice 10."""


@pytest.fixture
def effect_fixture(host: Any, repository: Any) -> EffectFixture:
    made = EffectFixture(host, repository, "support.component_service:component_service")
    k, j, i = np.indices(SHAPE)
    made.other = ((k - 10) * 2.0) ** 2 + (j - 30) ** 2 + (i - 66) ** 2 <= 8**2
    voxels = np.where(made.truth | made.other, 200, 20).astype(np.int16)
    slicer.util.updateVolumeFromArray(made.volume, voxels)
    made.effect.scriptedEffect.setParameter("Model", "sam_med2d")
    made.effect.scriptedEffect.setParameter("EncodeAhead", "0")
    made.centre()
    return made


def click(effect_fixture: Any, where: tuple[int, int], control: bool = False, view: str = "Red", k: int = 10) -> bool:
    """A click at (j, i) of slice k; the finger leaves Ctrl before the mouse. True if the effect kept it."""
    user, xy = effect_fixture.host.user, effect_fixture.xy(view, k, *where)
    taken = user.press(view, xy, control=control)
    return bool(user.release(view, (xy[0] + 1, xy[1])) and taken)


def answered(effect_fixture: Any) -> None:
    effect_fixture.host.wait_until(lambda: not effect_fixture.contouring.busy)


def seen(effect_fixture: Any) -> np.ndarray:
    image = effect_fixture.contouring.preview.image
    assert image is not None
    return np.asarray(image.values[0] > 0)


def marks(effect_fixture: Any, view: str = "Red") -> np.ndarray:
    (drawn,) = (
        one for one in effect_fixture.effect._overlays._views if one.widget is effect_fixture.host.user.view(view)
    )
    return np.asarray(drawn._points.centres)


def test_clicks_show_the_mask_and_their_marks_and_begin_no_run(effect_fixture: Any) -> None:
    assert click(effect_fixture, FIRST)
    answered(effect_fixture)
    assert effect_fixture.visible("preview") and (seen(effect_fixture) == effect_fixture.truth[10]).all()
    assert marks(effect_fixture) == pytest.approx(np.array([effect_fixture.xy("Red", 10, *FIRST)]), abs=1)
    assert not len(marks(effect_fixture, "Yellow")), "a view across the slice shows no marks"
    click(effect_fixture, SECOND)
    answered(effect_fixture)
    assert (seen(effect_fixture) == (effect_fixture.truth | effect_fixture.other)[10]).all()
    click(effect_fixture, FIRST, control=True)
    answered(effect_fixture)
    assert (seen(effect_fixture) == effect_fixture.other[10]).all() and len(marks(effect_fixture)) == 3
    assert effect_fixture.contouring.result is None and not effect_fixture.voxels().any()
    assert "Slice 10 (S 20.0 mm): 3 points." in effect_fixture.ui.clicksLabel.text
    assert effect_fixture.ui.keysTable.item(0, 2).text() == "clicked, 3 points"


def test_backspace_and_the_button_undo_one_by_one_and_the_editors_undo_stays(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    assert not ui.undoPromptButton.enabled
    assert not user.key("BackSpace"), "a key without a meaning is left to others"
    for where in (FIRST, SECOND):
        click(effect_fixture, where)
    assert user.key("BackSpace")
    answered(effect_fixture)
    assert (seen(effect_fixture) == effect_fixture.truth[10]).all() and len(marks(effect_fixture)) == 1
    user.click(ui.undoPromptButton)
    answered(effect_fixture)
    assert not effect_fixture.visible("preview") and not len(marks(effect_fixture)) and not ui.undoPromptButton.enabled
    assert effect_fixture.contouring.state.prompts is None


def test_enter_runs_and_apply_writes(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    assert not user.key("Return")
    click(effect_fixture, FIRST)
    answered(effect_fixture)
    assert ui.runButton.text == "Contour" and ui.runButton.enabled
    assert user.key("Return")
    effect_fixture.finish()
    assert (
        (effect_fixture.result() == effect_fixture.truth).all()
        and effect_fixture.visible("result")
        and not effect_fixture.visible("preview")
    )
    assert ui.runButton.text == "Run again" and not user.key("Return")
    user.click(ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
    effect_fixture.host.editor.undo()
    assert not effect_fixture.voxels().any()


def test_the_button_runs_what_was_clicked(effect_fixture: Any) -> None:
    click(effect_fixture, SECOND)
    effect_fixture.host.user.click(effect_fixture.ui.runButton)
    effect_fixture.finish()
    assert (
        dice(effect_fixture.result(), effect_fixture.other) > 0.95
        and not (effect_fixture.result() & effect_fixture.truth).any()
    )


def test_a_correction_hides_the_result_of_its_slice_and_becomes_a_key_slice(effect_fixture: Any) -> None:
    user = effect_fixture.host.user
    user.drag("Red", effect_fixture.xy("Red", 10, 10, 20), effect_fixture.xy("Red", 10, 50, 76))
    effect_fixture.finish()
    assert (effect_fixture.result()[10] == (effect_fixture.truth | effect_fixture.other)[10]).all()
    click(effect_fixture, SECOND, control=True)
    answered(effect_fixture)
    assert (seen(effect_fixture) == effect_fixture.truth[10]).all()
    assert effect_fixture.visible("preview") and not effect_fixture.visible("result")
    assert effect_fixture.visible("result", "Yellow"), "other slices still show what they have"
    key = effect_fixture.contouring.state.prompts.keys[10]
    assert key.box is not None and key.mask is not None and key.origin == "corrected"
    user.key("Return")
    effect_fixture.finish()
    assert (effect_fixture.result() == effect_fixture.truth).all() and effect_fixture.visible("result")


def test_escape_drops_the_clicks_and_is_kept_from_others(effect_fixture: Any) -> None:
    user = effect_fixture.host.user
    for where in (FIRST, SECOND):
        click(effect_fixture, where)
    assert user.key("Escape")
    answered(effect_fixture)
    assert effect_fixture.contouring.state.prompts is None and not effect_fixture.visible("preview")
    assert not effect_fixture.effect.escape(), "nothing is left to drop"


def test_a_box_model_without_a_rectangle_offers_another_model_and_hides_the_controls(
    effect_fixture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui = effect_fixture.ui
    assert ui.clicksFrame.visible and ui.startFromSegmentButton.visible
    effect_fixture.effect.scriptedEffect.setParameter("Model", "litemedsam")
    assert not ui.clicksFrame.visible
    click(effect_fixture, FIRST)
    assert effect_fixture.contouring.state.prompts is None and not effect_fixture.visible("preview")
    only_there = "LiteMedSAM takes clicks only where there is a rectangle or a result: drag a rectangle, or"
    assert ui.offerLabel.text == f"{only_there} install MobileSAM." and ui.offerButton.text == "Set up"
    assert ui.problemLabel.text == ui.noteLabel.text == ""
    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    effect_fixture.host.user.click(ui.offerButton)
    assert opened == ["MedSAMSlicer"]
    availability = effect_fixture.effect._available
    monkeypatch.setattr(availability, "current", replace(availability.current, models=("litemedsam", "sam_med2d")))
    click(effect_fixture, FIRST)
    assert ui.offerLabel.text == f"{only_there} use SAM-Med2D." and ui.offerButton.text == "Use SAM-Med2D"
    effect_fixture.host.user.click(ui.offerButton)
    assert effect_fixture.contouring.parameters.get("Model") == "sam_med2d"
    assert not ui.offerLabel.visible and not ui.offerButton.visible and ui.clicksFrame.visible


def test_other_buttons_and_other_views_click_nothing(effect_fixture: Any) -> None:
    user = effect_fixture.host.user
    xy = effect_fixture.xy("Red", 10, *FIRST)
    assert not user.press("Red", xy, button="Right") and not user.release("Red", xy, button="Right")
    user.press("Red", xy)
    assert not user.release("Yellow", effect_fixture.xy("Yellow", 10, *FIRST))
    assert effect_fixture.contouring.state.prompts is None


@pytest.mark.parametrize("view", ["Red", "Yellow", "Green"])
def test_every_view_takes_clicks(effect_fixture: Any, view: str) -> None:
    click(effect_fixture, FIRST, view=view)
    answered(effect_fixture)
    user = effect_fixture.host.user
    assert marks(effect_fixture, view) == pytest.approx(np.array([effect_fixture.xy(view, 10, *FIRST)]), abs=1)
    assert user.key("Return", view=view)
    effect_fixture.finish()
    assert dice(effect_fixture.result(), effect_fixture.truth) > 0.95


def test_the_segment_is_where_the_model_starts(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    user.click(ui.startFromSegmentButton)
    assert "the segment is empty on this slice" in ui.problemLabel.text
    part = np.zeros(SHAPE, np.uint8)
    part[10, 28:33, 64:69] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(part, effect_fixture.segmentation, "tumour", effect_fixture.volume)
    user.click(ui.startFromSegmentButton)
    answered(effect_fixture)
    assert (seen(effect_fixture) == effect_fixture.other[10]).all() and ui.problemLabel.text == ""
    assert "Slice 10 (S 20.0 mm): from the segment." in ui.clicksLabel.text
    assert ui.keysTable.item(0, 2).text() == "from segment"
    user.click(ui.undoPromptButton)
    assert effect_fixture.contouring.state.prompts is None


def test_clicks_are_saved_with_the_scene(effect_fixture: Any) -> None:
    click(effect_fixture, FIRST)
    click(effect_fixture, SECOND, control=True)
    text = effect_fixture.host.editor.mrmlSegmentEditorNode().GetAttribute("MedSAM.Prompts")
    assert '"points"' in text
    prompts = effect_fixture.contouring.state.prompts
    effect_fixture.host.editor.mrmlSegmentEditorNode().SetSelectedSegmentID("other")
    assert effect_fixture.contouring.state.prompts is None and not len(marks(effect_fixture))
    effect_fixture.host.editor.mrmlSegmentEditorNode().SetSelectedSegmentID("tumour")
    assert effect_fixture.contouring.state.prompts == prompts and len(marks(effect_fixture)) == 2


def test_leaving_the_effect_and_coming_back_shows_the_clicks_again(effect_fixture: Any) -> None:
    click(effect_fixture, FIRST)
    answered(effect_fixture)
    effect_fixture.host.editor.setActiveEffect(None)
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")
    answered(effect_fixture)
    assert effect_fixture.visible("preview") and len(marks(effect_fixture)) == 1
    assert (seen(effect_fixture) == effect_fixture.truth[10]).all()


def test_the_rectangle_of_a_clicked_slice_cannot_be_corrected_by_corners_that_it_has_not(effect_fixture: Any) -> None:
    click(effect_fixture, FIRST)
    answered(effect_fixture)
    effect_fixture.host.user.click(effect_fixture.ui.correctKeyButton)
    answered(effect_fixture)
    assert effect_fixture.contouring.state.correcting is None and effect_fixture.visible("preview")


def test_a_second_click_in_quick_succession_counts_and_the_view_is_not_maximised(effect_fixture: Any) -> None:
    user = effect_fixture.host.user
    first, second = effect_fixture.xy("Red", 10, *FIRST), effect_fixture.xy("Red", 10, *SECOND)
    assert click(effect_fixture, FIRST)
    assert user.press_again("Red", second, control=True) and user.release("Red", second)
    answered(effect_fixture)
    (key,) = effect_fixture.contouring.state.prompts.keys.values()
    assert key.points.positive == (True, False)
    assert user.double_click("Red", first)
    answered(effect_fixture)
    assert not effect_fixture.contouring.busy and (seen(effect_fixture) == effect_fixture.truth[10]).all()
