"""Why nothing can be contoured, or would not be seen, is said at the top of the options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from MedSAMSlicerLib.effect.hints import Hint, hint_of
from MedSAMSlicerLib.effect.option_choices import Available
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from support.contour_editor_fixture import ContourEditorFixture

READY = Available(models=(DEFAULT_MODEL,))


def hint(fixture: Any, available: Available = READY) -> Hint:
    return hint_of(fixture.parameters.node, fixture.parameters.get("Model"), available)


@pytest.fixture
def chosen(editor_fixture: ContourEditorFixture) -> ContourEditorFixture:
    """Volume, segmentation and segment are chosen in the Segment Editor."""
    node = editor_fixture.parameters.node
    node.SetAndObserveSourceVolumeNode(editor_fixture.volume)
    node.SetAndObserveSegmentationNode(editor_fixture.segmentation)
    node.SetSelectedSegmentID("tumour")
    editor_fixture.segmentation.CreateDefaultDisplayNodes()
    return editor_fixture


def test_nothing_is_missing(chosen: ContourEditorFixture) -> None:
    assert hint(chosen) == Hint("", False)


def test_what_is_to_be_installed_comes_first(chosen: ContourEditorFixture) -> None:
    chosen.parameters.node.SetAndObserveSourceVolumeNode(None)
    packages = hint(chosen, replace(READY, missing_packages=True))
    assert packages.text.startswith("Python packages are missing: ") and packages.set_up
    chosen.parameters.set("Model", "medsam")
    model = hint(chosen)
    assert model.text.startswith("MedSAM (ViT-B) is not installed: ") and model.set_up
    chosen.parameters.set("Model", DEFAULT_MODEL)
    assert hint(chosen) == Hint("No image is selected: choose the source volume above.", False)


def test_what_is_to_be_selected(chosen: ContourEditorFixture) -> None:
    chosen.parameters.node.SetSelectedSegmentID(None)
    assert hint(chosen).text.startswith("No segment is selected: ")
    chosen.parameters.node.SetAndObserveSegmentationNode(None)
    assert hint(chosen).text.startswith("No segmentation is selected: ")


@pytest.mark.parametrize("hide", ["SetVisibility", "SetSegmentVisibility", "both in slices"])
def test_a_hidden_segment(chosen: ContourEditorFixture, hide: str) -> None:
    display = chosen.segmentation.GetDisplayNode()
    if hide == "SetVisibility":
        display.SetVisibility(False)
    elif hide == "SetSegmentVisibility":
        display.SetSegmentVisibility("tumour", False)
    else:
        display.SetSegmentVisibility2DFill("tumour", False)
        assert hint(chosen).text == "", "its outline is seen"
        display.SetVisibility2DOutline(False)
    assert hint(chosen).text.startswith("Segment 'tumour' is hidden: ")


def test_the_first_block_says_it_and_opens_the_panel(effect_fixture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer.util

    fixture, ui, opened = effect_fixture, effect_fixture.ui, []
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    assert ui.planeLabel.visible and not ui.hintLabel.visible and not ui.setUpButton.visible
    fixture.host.editor.setSourceVolumeNode(None)
    assert ui.hintLabel.visible and "choose the source volume" in ui.hintLabel.text
    assert ui.planeLabel.text == "" and not ui.planeLabel.visible
    fixture.host.editor.setSourceVolumeNode(fixture.volume)
    assert ui.planeLabel.visible and not ui.hintLabel.visible
    fixture.effect.scriptedEffect.setParameter("Model", "sam_vit_h")
    assert "is not installed" in ui.hintLabel.text
    fixture.host.user.click(ui.setUpButton)
    assert opened == ["MedSAMSlicer"]


def test_it_follows_the_eye_beside_the_segment(effect_fixture: Any) -> None:
    ui, display = effect_fixture.ui, effect_fixture.segmentation.GetDisplayNode()
    display.SetSegmentVisibility("tumour", False)
    assert "is hidden" in ui.hintLabel.text
    display.SetSegmentVisibility("tumour", True)
    assert not ui.hintLabel.visible


def test_an_image_that_shows_nothing_is_named_before_anything_is_drawn(effect_fixture: Any) -> None:
    import slicer.util

    voxels = slicer.util.arrayFromVolume(effect_fixture.volume)
    voxels[:] = 7
    slicer.util.arrayFromVolumeModified(effect_fixture.volume)
    effect_fixture.effect.scriptedEffect.setParameter("Window", "auto")
    effect_fixture.host.wait_until(lambda: "every voxel has the value 7" in effect_fixture.ui.windowInUseLabel.text)
    assert effect_fixture.contouring.problem is None
