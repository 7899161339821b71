"""What becomes of a drag when views change under the mouse, or the button goes up where no view hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.prompts import Box

BOX = Box(27, 17, 53, 43)


def corner(fixture: Any, i: int, j: int, view: str = "Red") -> tuple[int, int]:
    return tuple(fixture.xy(view, 10, j, i))  # type: ignore[return-value]


def begin(fixture: Any) -> None:
    """Press at one corner of `BOX`, and move to the middle."""
    assert fixture.host.user.press("Red", corner(fixture, BOX.x0, BOX.y0))
    assert fixture.host.user.move("Red", corner(fixture, 40, 30))
    assert fixture.contouring.rectangle.drawing


def end(fixture: Any) -> Box:
    """Move to the other corner and release; the box that became of it."""
    other = corner(fixture, BOX.x1, BOX.y1)
    assert fixture.host.user.move("Red", other) and fixture.host.user.release("Red", other)
    (key,) = fixture.contouring.state.prompts.keys.values()
    return key.box  # type: ignore[no-any-return]


def nothing_is_drawn(fixture: Any) -> bool:
    """Whether moves over all views draw nothing, and nothing runs."""
    for view in ("Yellow", "Red"):
        fixture.host.user.enter(view, fixture.at(view, -1))
        if fixture.host.user.move(view, fixture.at(view, 1)) or fixture.visible("rectangle", view):
            return False
    return fixture.contouring.state.prompts is None and not fixture.contouring.running


@pytest.mark.parametrize("size", [(720, 300), (400, 640), (250, 180)])
def test_a_rectangle_keeps_its_place_when_its_view_is_resized(effect_fixture: Any, size: tuple[int, int]) -> None:
    begin(effect_fixture)
    effect_fixture.host.user.resize("Red", size)
    drawn = end(effect_fixture)
    assert np.abs(np.subtract(drawn.xyxy, BOX.xyxy)).max() <= 1


def test_a_rectangle_keeps_its_place_and_slice_when_its_view_moves(effect_fixture: Any) -> None:
    begin(effect_fixture)
    node = effect_fixture.host.user.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 4)
    x, y, z = node.GetFieldOfView()
    node.SetFieldOfView(2 * x, 2 * y, z)
    node.SetXYZOrigin(13, -9, 0)
    drawn = end(effect_fixture)
    assert np.abs(np.subtract(drawn.xyxy, BOX.xyxy)).max() <= 1
    assert list(effect_fixture.contouring.state.prompts.keys) == [10]


def turn_view(fixture: Any) -> None:
    fixture.host.user.view("Red").mrmlSliceNode().SetOrientation("Coronal")


def change_layout(_fixture: Any) -> None:
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView)


@pytest.mark.parametrize("how", [change_layout, turn_view])
def test_a_drag_ends_with_its_view(effect_fixture: Any, how: Callable[[Any], None]) -> None:
    begin(effect_fixture)
    how(effect_fixture)
    effect_fixture.host.user.release_elsewhere()
    assert nothing_is_drawn(effect_fixture)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    effect_fixture.host.user.view("Red").mrmlSliceNode().SetOrientation("Axial")
    effect_fixture.centre()
    effect_fixture.drag()
    assert (effect_fixture.result() == effect_fixture.truth).all()


def test_a_button_that_went_up_elsewhere_draws_no_longer(effect_fixture: Any) -> None:
    begin(effect_fixture)
    effect_fixture.host.user.release_elsewhere()
    assert not effect_fixture.host.user.move("Red", effect_fixture.at("Red", 1))
    assert effect_fixture.contouring.rectangle.drag is None and nothing_is_drawn(effect_fixture)


def test_a_drag_of_a_script_ends_when_the_mouse_enters_another_view(effect_fixture: Any) -> None:
    interactor = effect_fixture.host.user.view("Red").sliceView().interactor()
    interactor.SetEventInformation(*effect_fixture.at("Red", -1), 0, 0, "\0", 0, None)
    interactor.InvokeEvent("LeftButtonPressEvent")
    assert effect_fixture.host.user.move("Red", effect_fixture.at("Red", 1)), "scripts press no button of the mouse"
    effect_fixture.host.user.enter("Red")
    assert effect_fixture.contouring.rectangle.drawing
    assert nothing_is_drawn(effect_fixture)


def test_a_mouse_that_is_held_may_enter_other_views(effect_fixture: Any) -> None:
    begin(effect_fixture)
    effect_fixture.host.user.enter("Yellow")
    effect_fixture.host.user.enter("Red", corner(effect_fixture, 40, 30))
    assert end(effect_fixture) == BOX


def test_a_drag_that_ends_leaves_an_earlier_result(effect_fixture: Any) -> None:
    effect_fixture.drag()
    result = effect_fixture.result()
    begin(effect_fixture)
    assert not effect_fixture.visible("result")
    change_layout(effect_fixture)
    assert effect_fixture.visible("result") and (effect_fixture.result() == result).all()
    assert len(effect_fixture.contouring.state.prompts.keys) == 1


def test_the_options_are_worked_out_once_while_a_rectangle_follows_the_mouse(
    effect_fixture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    show = effect_fixture.effect._frame.show
    monkeypatch.setattr(effect_fixture.effect._frame, "show", lambda state: shown.append(state) or show(state))
    user, rectangle = effect_fixture.host.user, effect_fixture.contouring.rectangle
    user.press("Red", effect_fixture.at("Red", -1))
    user.move("Red", effect_fixture.at("Red", 0))
    ui = effect_fixture.ui
    effect_fixture.host.wait_until(lambda: rectangle.image is not None and not ui.progressFrame.visible)
    previews, before = {rectangle.shown.box}, len(shown)
    for n in range(1, 31):
        user.move("Red", effect_fixture.at("Red", n / 30))
        effect_fixture.host.wait_until(lambda: rectangle.shown.box == rectangle.drag.box)
        previews.add(rectangle.shown.box)
    assert len(previews) > 10 and len(shown) == before
    user.release("Red", effect_fixture.at("Red", 1))
    assert len(shown) > before and ui.progressFrame.visible


def test_what_changes_during_a_drag_is_shown_at_once(make_effect_fixture: Callable[[str], Any]) -> None:
    effect_fixture = make_effect_fixture("SlowService")
    effect_fixture.start()
    before = effect_fixture.ui.progressLabel.text
    effect_fixture.host.user.press("Red", effect_fixture.at("Red", -1))
    effect_fixture.host.user.move("Red", effect_fixture.at("Red", 1))
    effect_fixture.host.wait_until(lambda: effect_fixture.ui.progressLabel.text != before)
    assert effect_fixture.contouring.rectangle.drawing
