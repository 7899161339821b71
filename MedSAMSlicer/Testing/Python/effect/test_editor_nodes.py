"""The editor's parameter node: one that knows nothing of this effect, and another one in the place of the first."""

from __future__ import annotations

from typing import Any

import pytest
import slicer

from effect.conftest import EffectFixture


@pytest.fixture
def strange_node(effect_fixture: EffectFixture) -> Any:
    """A node with this effect active, as a scene brings it that was saved without the extension."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    node.SetAndObserveSegmentationNode(effect_fixture.segmentation)
    node.SetAndObserveSourceVolumeNode(effect_fixture.volume)
    node.SetSelectedSegmentID("other")
    node.SetActiveEffectName("MedSAM")
    return node


def forget_options(node: Any) -> None:
    """As an imported scene does it, whose node overwrites the one that the editor has."""
    for name in [name for name in node.GetAttributeNames() if name.startswith("MedSAM.")]:
        node.RemoveAttribute(name)
    node.Modified()


def test_options_that_a_scene_lacks_show_their_defaults(effect_fixture: EffectFixture) -> None:
    from MedSAMSlicerLib.scene.state.effect_parameters import DEFAULTS

    node, ui = effect_fixture.host.editor.mrmlSegmentEditorNode(), effect_fixture.ui
    before = ui.modelComboBox.currentText, ui.deviceComboBox.currentText
    forget_options(node)
    effect_fixture.effect.updateGUIFromMRML()
    assert (ui.modelComboBox.currentText, ui.deviceComboBox.currentText) == before
    effect_fixture.host.editor.setActiveEffect(None)
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")
    assert {name: node.GetAttribute(f"MedSAM.{name}") for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("knows_the_effect", [True, False])
def test_the_active_effect_follows_the_editor_to_another_node(
    effect_fixture: EffectFixture, strange_node: Any, knows_the_effect: bool
) -> None:
    from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters

    if knows_the_effect:
        EffectParameters(strange_node).set_defaults()
    effect_fixture.effect.scriptedEffect.setParameter("Mode", "remove")
    effect_fixture.host.editor.setMRMLSegmentEditorNode(strange_node)
    assert effect_fixture.host.editor.activeEffect().self() is effect_fixture.effect
    assert effect_fixture.contouring.state.segment_id == "other"
    assert effect_fixture.contouring.parameters.node is strange_node
    assert effect_fixture.ui.modeComboBox.currentText == "Add to segment"
    strange_node.SetSelectedSegmentID("tumour")
    assert effect_fixture.contouring.state.segment_id == "tumour"


def test_a_press_belongs_to_what_is_selected_then(effect_fixture: EffectFixture, strange_node: Any) -> None:
    """Even where nothing told the effect of its node."""
    effect_fixture.effect.scriptedEffect.setParameterSetNode(strange_node)
    assert effect_fixture.contouring.state.segment_id == "tumour"
    assert effect_fixture.host.user.press("Red", effect_fixture.at("Red", -1))
    assert effect_fixture.contouring.state.segment_id == "other"
    assert effect_fixture.contouring.rectangle.drag is not None


def test_an_effect_that_was_cleaned_up_hears_no_more_of_its_timer(effect_fixture: EffectFixture) -> None:
    """A connection would hold on to the effect, where Python cannot see that nobody else does."""
    timer = effect_fixture.effect._controller._timer
    assert timer.timeout.connected() == 1
    effect_fixture.effect.cleanup()
    assert timer.timeout.connected() == 0


def test_a_module_that_is_loaded_again_makes_no_second_effect(
    effect_fixture: EffectFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MedSAMSlicerLib.effect import registration

    made: list[Any] = []
    make = registration.new_scripted_effect
    monkeypatch.setattr(registration, "new_scripted_effect", lambda: made.append(make()) or made[-1])
    registration.register_effect()
    assert made == []
