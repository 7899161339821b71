"""Keys while the effect is active: Esc, which is also the Segment Editor's own, and the keys of several Segment Editors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import slicer
import slicer.util


def press_and_move(fixture: Any) -> None:
    fixture.host.user.press("Red", fixture.at("Red", -1))
    fixture.host.user.move("Red", fixture.at("Red", 1))


def active(fixture: Any) -> bool:
    return fixture.host.editor.activeEffect() is not None


def editors_escape_works(fixture: Any) -> bool:
    """Whether Esc puts whatever effect is active away, as without our extension."""
    fixture.host.editor.mrmlSegmentEditorNode().SetActiveEffectName("MedSAM")
    return bool(fixture.host.user.key("Escape")) and not active(fixture)


# Esc


def test_escape_ends_a_drag_and_the_effect_stays(effect_fixture: Any) -> None:
    user = effect_fixture.host.user
    press_and_move(effect_fixture)
    assert user.key("Escape")
    assert active(effect_fixture) and not effect_fixture.visible("rectangle")
    assert not user.release("Red", effect_fixture.at("Red", 1))
    assert effect_fixture.contouring.state.prompts is None and not effect_fixture.contouring.running
    assert user.key("Escape"), "nothing is left to drop: the editor's own Esc"
    assert not active(effect_fixture)


def test_escape_cancels_a_run_wherever_the_focus_is(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.start()
    effect_fixture.host.user.shortcut("Esc", effect_fixture.ui.runButton)
    assert active(effect_fixture) and not effect_fixture.contouring.running
    assert effect_fixture.contouring.state.prompts is None
    effect_fixture.host.wait_until(lambda: not effect_fixture.contouring.busy)
    assert effect_fixture.contouring.result is None and editors_escape_works(effect_fixture)


def test_one_stroke_of_escape_drops_one_thing(effect_fixture: Any) -> None:
    effect_fixture.drag()
    effect_fixture.ui.keysTable.selectRow(0)
    effect_fixture.host.user.click(effect_fixture.ui.correctKeyButton)
    effect_fixture.host.user.press("Red", effect_fixture.at("Red", -0.5))
    effect_fixture.host.user.move("Red", effect_fixture.at("Red", 0.5))
    assert effect_fixture.host.user.key("Escape")
    assert effect_fixture.contouring.rectangle.drag is None and effect_fixture.contouring.state.correcting == 10
    assert effect_fixture.host.user.key("Escape")
    assert effect_fixture.contouring.state.correcting is None and active(effect_fixture)
    assert effect_fixture.host.user.key("Escape")
    assert not active(effect_fixture)


def test_escape_over_a_view_in_a_window_without_shortcuts(effect_fixture: Any) -> None:
    """Layouts may have a window of their own, in which neither the editor's shortcuts work nor the effect's."""
    import qt

    window = qt.QWidget()
    window.show()
    effect_fixture.host.user.view("Red")._attach(window)
    press_and_move(effect_fixture)
    assert effect_fixture.host.user.key("Escape")
    assert effect_fixture.contouring.rectangle.drag is None
    assert not effect_fixture.host.user.key("Escape")
    assert active(effect_fixture)


@pytest.mark.parametrize("way", ["finished", "no effect", "another module", "segment", "scene", "failed", "deleted"])
def test_the_editors_own_escape_is_given_back(make_effect_fixture: Callable[[str], Any], way: str) -> None:
    effect_fixture = make_effect_fixture("CrashingService" if way == "failed" else "SlowService")
    host, editor = effect_fixture.host, effect_fixture.host.editor
    if way == "failed":
        effect_fixture.signal_on(14)
        effect_fixture.drag()
    elif way == "finished":
        effect_fixture.drag()
    else:
        effect_fixture.start()
    if way == "no effect":
        editor.setActiveEffect(None)
        assert only_the_editors_escape() and effect_fixture.contouring.running
        return
    if way == "another module":
        host.leave_editor()
        assert escapes() == []
        host.enter_editor()
        assert only_the_editors_escape() and effect_fixture.contouring.running
        return
    if way == "segment":
        editor.setCurrentSegmentID("other")
    elif way == "scene":
        host.scene.Clear(0)
        effect_fixture.segmentation = host.edit(effect_fixture.volume, "new")
    elif way == "deleted":
        editor.deleteLater()
        host.clock.advance(0)
        host.editor = None
        assert only_the_editors_escape(), "Slicer leaves it behind"
        return
    assert editors_escape_works(effect_fixture)


def escapes() -> list[Any]:
    """The shortcuts of the main window with Esc that are switched on."""
    found = [child for child in slicer.util.mainWindow().children() if child.inherits("QShortcut")]
    return [one for one in found if one.key.toString() == "Esc" and one.enabled]


def only_the_editors_escape() -> bool:
    return [one.property("effectIndex") for one in escapes()] == [0]


def test_the_editors_own_escape_that_comes_back_in_a_drag_hinders_only_once(effect_fixture: Any) -> None:
    """Another module may install the editor's shortcuts anew at any time; two enabled ones are ambiguous."""
    press_and_move(effect_fixture)
    effect_fixture.host.editor.installKeyboardShortcuts()
    strokes = 0
    while effect_fixture.contouring.rectangle.drag is not None and strokes < 2:
        strokes += effect_fixture.host.user.key("Escape")
    assert active(effect_fixture) and effect_fixture.contouring.rectangle.drag is None


def test_no_key_troubles_an_event_filter(effect_fixture: Any) -> None:
    """The filters of the extension get every key of the main window, as a plain event that does not tell which."""
    for key in ("a", "n", "Return", "Tab", "F1", "Escape"):
        effect_fixture.host.user.key(key)
    assert effect_fixture.host.escaped == []


# Two Segment Editors


class Second:
    """Another Segment Editor in a window of its own, with the effect active on another segmentation."""

    def __init__(self, fixture: Any) -> None:
        scene = fixture.host.scene
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.setMRMLScene(scene)
        self.editor.setMRMLSegmentEditorNode(scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        self.editor.show()
        segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(fixture.volume)
        segmentation.GetSegmentation().AddEmptySegment("lesion", "lesion")
        self.editor.setSegmentationNode(segmentation)
        self.editor.setSourceVolumeNode(fixture.volume)
        self.effect = self.editor.effectByName("MedSAM").self()
        self.effect._available._asked = True
        self.effect._available._take({"kind": "devices", "devices": ["cpu"]})
        self.effect.make_transport = fixture.effect.make_transport
        self.editor.setActiveEffectByName("MedSAM")
        self.effect.scriptedEffect.setParameter("Window", "127.5,255")

    @property
    def ui(self) -> Any:
        return self.effect._frame.ui


@pytest.fixture
def second(effect_fixture: Any) -> Any:
    made = Second(effect_fixture)
    yield made
    made.editor._delete()


def test_mouse_and_keys_go_to_the_editor_that_was_used_last(effect_fixture: Any, second: Any) -> None:
    host, first = effect_fixture.host, effect_fixture.contouring
    effect_fixture.drag(wait=False)
    host.wait_until(lambda: second.effect.contouring.result is not None and not second.effect.contouring.running)
    assert first.state.prompts is None and first.result is None
    host.user.shortcut("Ctrl+Return")
    assert second.effect.contouring.state.current.applied and effect_fixture.nothing_is_written


@pytest.mark.parametrize("how", ["a widget", "a segment", "the effect"])
def test_the_editor_that_is_used_gets_mouse_and_keys(effect_fixture: Any, second: Any, how: str) -> None:
    host = effect_fixture.host
    if how == "a widget":
        host.user.click(effect_fixture.ui.showInputButton)
    elif how == "a segment":
        host.editor.setCurrentSegmentID("other")
    else:
        host.editor.setActiveEffect(None)
        host.editor.setActiveEffectByName("MedSAM")
    effect_fixture.drag()
    assert effect_fixture.contouring.result is not None and second.effect.contouring.state.prompts is None
    host.user.shortcut("Ctrl+Enter")
    assert effect_fixture.contouring.state.current.applied


def test_escape_is_for_the_editor_that_was_used_last(effect_fixture: Any, second: Any) -> None:
    user = effect_fixture.host.user
    user.click(effect_fixture.ui.showInputButton)
    press_and_move(effect_fixture)
    user.click(second.ui.showInputButton)
    assert effect_fixture.contouring.rectangle.drag is None, "the drag of the other editor has ended"
    press_and_move(effect_fixture)
    assert second.effect.contouring.rectangle.drawing
    assert user.key("Escape")
    assert second.effect.contouring.rectangle.drag is None and second.editor.activeEffect() is not None
    assert active(effect_fixture)


@pytest.mark.parametrize("way", ["no effect", "deleted"])
def test_when_one_editor_is_done_the_other_has_mouse_and_keys(effect_fixture: Any, second: Any, way: str) -> None:
    if way == "deleted":
        second.editor._delete()
    else:
        second.editor.setActiveEffect(None)
    effect_fixture.drag()
    effect_fixture.host.user.shortcut("Ctrl+Return")
    assert effect_fixture.contouring.state.current.applied


def test_the_keys_work_in_the_window_of_the_editor(effect_fixture: Any, second: Any) -> None:
    effect_fixture.drag(wait=False)
    effect_fixture.host.wait_until(lambda: second.effect.contouring.result is not None)
    effect_fixture.host.wait_until(lambda: not second.effect.contouring.running)
    effect_fixture.host.user.shortcut("Ctrl+Return", second.ui.applyButton)
    assert second.effect.contouring.state.current.applied
