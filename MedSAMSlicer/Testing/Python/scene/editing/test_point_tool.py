"""Clicks refine what is previewed, are taken back one by one, and begin no run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.component_service import RecordingService
from support.two_rod_phantom import FIRST, SECOND, TwoRodPhantom, same


def test_clicks_refine_the_preview_and_are_undone_one_by_one(two_rods: TwoRodPhantom) -> None:
    first, second = two_rods.first[7], two_rods.second[7]
    seen = []
    for where, negative in ((FIRST, False), (SECOND, False), (FIRST, True)):
        two_rods.click(where, negative)
        seen.append(two_rods.seen())
    assert same(seen[0], first) and same(seen[1], first | second) and same(seen[2], second)
    assert two_rods.keys[7].origin == "clicked" and two_rods.keys[7].points is not None
    assert two_rods.keys[7].points.positive == (True, True, False)
    for expected in (first | second, first):
        assert two_rods.contouring.points.undo()
        two_rods.wait()
        assert same(two_rods.seen(), expected)
    assert two_rods.contouring.points.undo()
    two_rods.wait()
    assert two_rods.keys == {} and two_rods.seen() is None
    assert not two_rods.contouring.points.can_undo and not two_rods.contouring.points.undo()
    assert two_rods.engine.runs == [] and two_rods.contouring.problem is None


def test_a_click_begins_no_run_whatever_the_reach(two_rods: TwoRodPhantom) -> None:
    for reach in ("object", "slice", "range"):
        two_rods.parameters.set("Reach", reach)
        two_rods.click(FIRST)
    assert two_rods.engine.runs == [] and two_rods.contouring.result is None
    two_rods.parameters.set("Reach", "slice")
    two_rods.run()
    assert same(two_rods.found()[7], two_rods.first[7]) and not two_rods.found()[6].any()


def test_a_run_goes_through_what_was_clicked(two_rods: TwoRodPhantom) -> None:
    two_rods.click(SECOND)
    assert two_rods.contouring.points.pending == [7]
    two_rods.run()
    assert same(two_rods.found(), two_rods.second)
    assert two_rods.results == 1 and two_rods.contouring.points.pending == []
    assert two_rods.seen() is None, "the result takes the place of the preview"


@pytest.mark.parametrize("axis", ["I", "J", "K"])
@pytest.mark.parametrize("name", ["straight", "oblique", "left-handed"])
def test_the_point_lies_where_was_clicked(
    scene_builder: Any, engine: RecordingService, turn: Any, axis: str, name: str
) -> None:
    """In the volume's own slices, whichever way these and the view lie."""
    tilted = turn(21, -13, 34)
    two_rods = TwoRodPhantom(
        scene_builder, engine, {"straight": None, "oblique": tilted}.get(name, tilted @ np.diag([1.0, 1.0, -1.0]))
    )
    kji = (6, 11, 15)
    index = dict(zip("KJI", kji, strict=True))[axis]
    view = two_rods.along(axis, index)
    two_rods.click_at(view, two_rods.xy(view, *kji))
    assert list(two_rods.keys) == [index] and two_rods.contouring.state.plane == Plane(axis)
    column, row = {"K": (15, 11), "J": (15, 6), "I": (11, 6)}[axis]
    points = two_rods.keys[index].points
    assert points is not None and points.coordinates[0] == pytest.approx((column, row), abs=1e-6)
    expected = np.take(two_rods.first, index, axis="KJI".index(axis))
    assert same(two_rods.seen(), expected)


def test_a_click_in_an_oblique_view_lies_in_its_plane(two_rods: TwoRodPhantom, turn: Any) -> None:
    view = two_rods.along("K", 7, turn(0, 30, 0))
    xy = (150 + 3 * 8, 150 - 3 * 7)
    two_rods.click_at(view, xy)
    (index,) = two_rods.keys
    plane, points = two_rods.contouring.state.plane, two_rods.keys[index].points
    assert plane is not None and plane.axis is None and points is not None
    x, y = points.coordinates[0]
    world = two_rods.contouring.state.stack(plane).slice_to_world(index) @ [x, y, 0, 1]
    normal = view.slice_to_world[:3, 2]
    off = world[:3] - view.to_world(xy)
    assert np.linalg.norm(off - normal * (off @ normal)) < 1e-6
    assert abs(off @ normal) <= two_rods.contouring.state.stack(plane).spacing[0] / 2 + 1e-6


def test_escape_drops_the_clicks_since_the_last_run(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.run()
    after_run = two_rods.contouring.state.prompts
    two_rods.click(SECOND)
    two_rods.click(SECOND, negative=True, k=9)
    assert two_rods.contouring.mouse.escape()
    assert two_rods.contouring.state.prompts is after_run and two_rods.contouring.points.pending == []
    assert not two_rods.contouring.mouse.escape()
    assert two_rods.contouring.points.undo(), "one by one, clicks are undone beyond the run too"
    assert two_rods.keys == {}


def test_escape_during_the_run_ends_it_and_keeps_the_clicks(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.contouring.run()
    assert two_rods.contouring.running and two_rods.contouring.mouse.escape()
    two_rods.wait()
    assert two_rods.contouring.result is None and list(two_rods.keys) == [7]
    assert same(two_rods.seen(), two_rods.first[7])
    assert two_rods.contouring.mouse.escape() and two_rods.keys == {}


def test_a_first_click_that_only_says_where_nothing_is_is_refused(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST, negative=True)
    assert "add a positive point" in str(two_rods.contouring.problem)
    assert two_rods.keys == {} and two_rods.engine.previews == []
    two_rods.click(FIRST)
    assert two_rods.contouring.problem is None


def test_a_model_without_points_is_not_asked(two_rods: TwoRodPhantom) -> None:
    two_rods.parameters.set("Model", "litemedsam")
    two_rods.click(FIRST)
    clicks = two_rods.contouring.points
    assert clicks.refused and two_rods.keys == {} and two_rods.engine.previews == []
    assert two_rods.contouring.problem is None
    two_rods.parameters.set("Model", "sam_med2d")
    assert not clicks.refused
    two_rods.click(FIRST)
    assert same(two_rods.seen(), two_rods.first[7]) and not clicks.refused


def test_with_a_model_of_boxes_a_click_corrects_the_rectangle_of_its_slice(two_rods: TwoRodPhantom) -> None:
    two_rods.draw_both()
    box = two_rods.keys[7].box
    two_rods.parameters.set("Model", "litemedsam")
    two_rods.click(SECOND, negative=True)
    assert not two_rods.contouring.points.refused and same(two_rods.seen(), two_rods.first[7])
    assert two_rods.engine.previews[-1] == ("litemedsam", two_rods.keys[7].prompt)
    assert (two_rods.keys[7].box, two_rods.keys[7].mask, two_rods.keys[7].origin) == (box, None, "corrected")
    two_rods.run()
    assert same(two_rods.contouring.result.to_stack(), two_rods.first)
    assert two_rods.contouring.points.undo() and two_rods.keys[7].points is None and two_rods.keys[7].box == box


def test_with_a_model_of_boxes_a_click_corrects_a_result_where_no_rectangle_is(two_rods: TwoRodPhantom) -> None:
    two_rods.draw_both()
    two_rods.parameters.set("Model", "litemedsam")
    two_rods.click(SECOND, negative=True, k=9)
    assert (
        two_rods.keys[9].box == Box.from_mask((two_rods.first | two_rods.second)[9]) and two_rods.keys[9].mask is None
    )
    assert same(two_rods.seen(), two_rods.first[9])
    two_rods.click(FIRST, k=13)
    assert two_rods.contouring.points.refused and list(two_rods.keys) == [7, 9], "nothing was found on that slice"
    two_rods.click(SECOND, k=9)
    assert not two_rods.contouring.points.refused and len(two_rods.keys[9].points) == 2


def test_a_model_without_points_does_not_preview_clicks_and_names_itself_in_the_run(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    asked = len(two_rods.engine.previews)
    two_rods.parameters.set("Model", "medsam")
    two_rods.contouring.read_prompts()
    two_rods.wait()
    assert two_rods.seen() is None and len(two_rods.engine.previews) == asked
    two_rods.contouring.run()
    two_rods.wait()
    assert "MedSAM (ViT-B) was not trained for points" in str(two_rods.contouring.problem)
    two_rods.parameters.set("Model", "sam_vit_b")
    two_rods.contouring.read_prompts()
    two_rods.wait()
    assert same(two_rods.seen(), two_rods.first[7]) and two_rods.engine.previews[-1][0] == "sam_vit_b"


def test_the_clicks_of_a_slice_are_seen_again_when_the_view_comes_back(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.click(SECOND, k=9)
    assert two_rods.contouring.preview.shown is not None and two_rods.contouring.preview.shown.index == 9
    two_rods.contouring.look_at(two_rods.along("K", 7))
    two_rods.wait()
    assert two_rods.contouring.preview.shown.index == 7 and same(two_rods.seen(), two_rods.first[7])
    assert two_rods.contouring.points.shows(Plane("K"), 7) and not two_rods.contouring.points.shows(Plane("K"), 9)
    two_rods.contouring.look_at(two_rods.along("J", 12))
    two_rods.wait()
    assert same(two_rods.seen(), two_rods.first[7]), "a look at another view leaves it where it is"


def test_a_drag_that_comes_to_nothing_gives_the_preview_back(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    view = two_rods.along("K", 7)
    two_rods.contouring.mouse.press(view, (100, 100), False)
    assert same(two_rods.seen(), two_rods.first[7])
    two_rods.contouring.mouse.move((160, 160))
    two_rods.wait()
    assert two_rods.contouring.mouse.escape()
    two_rods.wait()
    assert same(two_rods.seen(), two_rods.first[7]) and list(two_rods.keys) == [7]
    two_rods.contouring.mouse.press(view, (100, 100), False)
    two_rods.contouring.mouse.move((160, 101))
    two_rods.contouring.mouse.release((101, 101))
    assert two_rods.keys[7].points is not None and len(two_rods.keys[7].points) == 1, (
        "what went away and back is no click"
    )


def test_a_click_in_another_plane_is_refused_and_nothing_is_lost(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    view = two_rods.along("J", FIRST[0])
    two_rods.click_at(view, two_rods.xy(view, 7, *FIRST))
    assert "another plane" in str(two_rods.contouring.problem)
    assert list(two_rods.keys) == [7] and two_rods.contouring.state.plane == Plane("K")


def test_a_click_during_a_run_is_newer_than_what_the_run_finds(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.contouring.run()
    for _n in range(3):
        two_rods.contouring.step()
    two_rods.click(SECOND)
    assert two_rods.contouring.result is not None and same(two_rods.found(), two_rods.first)
    assert two_rods.contouring.points.pending == [7] and same(two_rods.seen(), (two_rods.first | two_rods.second)[7])
    assert two_rods.contouring.mouse.escape()
    assert two_rods.contouring.points.pending == []


@pytest.mark.parametrize("way", ["discard", "another", "remove"])
def test_what_else_changes_the_prompts_ends_the_way_back(two_rods: TwoRodPhantom, way: str) -> None:
    two_rods.click(FIRST)
    change: dict[str, Callable[[], None]] = {
        "discard": two_rods.contouring.discard,
        "another": lambda: two_rods.draw((4, 4), (20, 20), k=9),
        "remove": lambda: two_rods.contouring.remove_key(7),
    }
    change[way]()
    two_rods.wait()
    assert not two_rods.contouring.points.undo()
    assert list(two_rods.keys) == ([9] if way == "another" else [])


def test_clicks_can_be_undone_after_a_rectangle_that_was_escaped(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.click(SECOND)
    clicked = two_rods.contouring.state.prompts
    mouse, view = two_rods.contouring.mouse, two_rods.along("K", 9)
    assert mouse.press(view, two_rods.xy(view, 9, 4, 4), True)
    mouse.move(two_rods.xy(view, 9, 35, 39))
    mouse.release(two_rods.xy(view, 9, 35, 39))
    assert list(two_rods.keys) == [7, 9]
    assert two_rods.contouring.running and mouse.escape()
    assert two_rods.contouring.state.prompts is clicked
    assert two_rods.contouring.points.undo() and len(two_rods.keys[7].points or ()) == 1
    assert mouse.escape() and two_rods.keys == {}


def test_clicks_and_rectangles_are_taken_back_in_their_order(two_rods: TwoRodPhantom) -> None:
    two_rods.draw_both()
    both = two_rods.contouring.result
    two_rods.click(SECOND, negative=True)
    two_rods.run()
    first = two_rods.contouring.result
    two_rods.draw((20, 20), (35, 39), k=9)
    assert list(two_rods.keys) == [9]
    assert two_rods.contouring.undo_prompt() and two_rods.contouring.result is first
    assert two_rods.keys[7].points is not None
    assert two_rods.contouring.undo_prompt() and two_rods.contouring.result is both
    assert two_rods.keys[7].points is None
    assert two_rods.contouring.undo_prompt() and not two_rods.keys and two_rods.contouring.result is None
    assert not two_rods.contouring.can_undo_prompt and not two_rods.contouring.undo_prompt()
