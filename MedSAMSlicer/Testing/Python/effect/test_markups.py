"""Markups in slice views while the effect is active: Slicer's own displayable manager hovers over them and drags them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer


def ras(fixture: Any, view: str, xy: tuple[int, int]) -> np.ndarray:
    """World position of a view pixel."""
    matrix = slicer.util.arrayFromVTKMatrix(fixture.host.user.view(view).mrmlSliceNode().GetXYToRAS())
    return np.asarray(matrix @ [*xy, 0, 1])[:3]


def measure(fixture: Any, start: tuple[int, int], end: tuple[int, int]) -> Any:
    """A measured distance between two pixels of the Red view."""
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    line.CreateDefaultDisplayNodes()
    for xy in (start, end):
        line.AddControlPointWorld(*ras(fixture, "Red", xy))
    return line


def end_of(line: Any) -> list[float]:
    return list(line.GetNthControlPointPositionWorld(1))


def nothing_drawn(fixture: Any) -> bool:
    return fixture.contouring.rectangle.drag is None and not fixture.contouring.running


@pytest.fixture
def line(effect_fixture: Any) -> Any:
    return measure(effect_fixture, effect_fixture.at("Red", -1), effect_fixture.at("Red", 1))


def test_the_end_of_a_measurement_is_dragged_and_key_slices_stay(effect_fixture: Any, line: Any) -> None:
    user, end, target = effect_fixture.host.user, effect_fixture.at("Red", 1), effect_fixture.at("Red", 1.6)
    effect_fixture.drag("Red", half=0.8)
    drawn = effect_fixture.contouring.state.prompts
    user.move("Red", end)
    assert not user.drag("Red", end, target)
    assert end_of(line) == pytest.approx(ras(effect_fixture, "Red", target))
    assert nothing_drawn(effect_fixture) and effect_fixture.contouring.state.prompts is drawn


def test_any_point_is_left_to_its_markup_also_at_a_double_click(effect_fixture: Any) -> None:
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.CreateDefaultDisplayNodes()
    points.AddControlPointWorld(*ras(effect_fixture, "Red", effect_fixture.at("Red", 0.4)))
    user, at = effect_fixture.host.user, effect_fixture.at("Red", 0.4)
    user.move("Red", at)
    assert not user.press("Red", at) and not user.release("Red", at) and not user.press_again("Red", at)
    assert nothing_drawn(effect_fixture)


@pytest.mark.parametrize("why", ["locked", "hidden", "of another view", "far away", "only its line"])
def test_what_is_no_handle_here_hinders_no_rectangle(effect_fixture: Any, line: Any, why: str) -> None:
    user, end = effect_fixture.host.user, effect_fixture.at("Red", 1)
    at = {"far away": effect_fixture.at("Red", 1.5), "only its line": effect_fixture.at("Red", 0.5)}.get(why, end)
    user.move("Red", at)
    if why == "locked":
        line.SetLocked(True)
    elif why == "hidden":
        line.GetDisplayNode().SetVisibility(False)
    elif why == "of another view":
        line.GetDisplayNode().SetViewNodeIDs(["vtkMRMLSliceNodeYellow"])
    assert user.drag("Red", at, effect_fixture.at("Red", -1))
    assert effect_fixture.contouring.running


def test_the_mouse_that_leaves_a_handle_draws_again(effect_fixture: Any, line: Any) -> None:
    user = effect_fixture.host.user
    user.move("Red", effect_fixture.at("Red", 1))
    assert not user.press("Red", effect_fixture.at("Red", 1))
    user.release("Red", effect_fixture.at("Red", 1))
    user.move("Red", effect_fixture.at("Red", 1.5))
    assert user.press("Red", effect_fixture.at("Red", 1.5))


def test_placing_a_markup_puts_the_effect_away(effect_fixture: Any) -> None:
    user, at = effect_fixture.host.user, effect_fixture.at("Red", 0.5)
    user.press("Red", effect_fixture.at("Red", -1))
    user.move("Red", effect_fixture.at("Red", 1))
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    slicer.modules.markups.logic().SetActiveListID(points)
    slicer.app.applicationLogic().GetInteractionNode().SwitchToSinglePlaceMode()
    assert effect_fixture.host.editor.activeEffect() is None
    for event in (user.move, user.press, user.release):
        assert not event("Red", at)
    assert points.GetNumberOfControlPoints() == 1
    assert effect_fixture.contouring.rectangle.drag is None and effect_fixture.contouring.state.prompts is None


@pytest.mark.parametrize("offset", [0, 2])
def test_handles_of_any_roi_are_left_to_it(effect_fixture: Any, offset: int) -> None:
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.CreateDefaultDisplayNodes()
    centre, edge = effect_fixture.at("Red", 0), effect_fixture.at("Red", 1)
    width = 2 * abs(ras(effect_fixture, "Red", edge) - ras(effect_fixture, "Red", centre))
    roi.SetCenter(*ras(effect_fixture, "Red", centre))
    roi.SetSize(width[0], width[1], 20)
    user, handle = effect_fixture.host.user, (edge[0] + offset, centre[1])
    user.move("Red", handle)
    assert not user.drag("Red", handle, effect_fixture.at("Red", 1.4))
    assert nothing_drawn(effect_fixture)
    if offset:  # exactly on the outline, Slicer itself takes hold of nothing
        assert abs(roi.GetSize()[0] - width[0]) > 1
