"""Clicks refine what is previewed, are taken back one by one, and begin no run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.clicked_service import NotingService
from support.rods import FIRST, SECOND, Rods, same


def test_clicks_refine_the_preview_and_are_undone_one_by_one(rods: Rods) -> None:
    first, second = rods.first[7], rods.second[7]
    seen = []
    for where, negative in ((FIRST, False), (SECOND, False), (FIRST, True)):
        rods.click(where, negative)
        seen.append(rods.seen())
    assert same(seen[0], first) and same(seen[1], first | second) and same(seen[2], second)
    assert rods.keys[7].origin == "clicked" and rods.keys[7].points is not None
    assert rods.keys[7].points.positive == (True, True, False)
    for expected in (first | second, first):
        assert rods.contouring.clicks.undo()
        rods.wait()
        assert same(rods.seen(), expected)
    assert rods.contouring.clicks.undo()
    rods.wait()
    assert rods.keys == {} and rods.seen() is None
    assert not rods.contouring.clicks.can_undo and not rods.contouring.clicks.undo()
    assert rods.engine.runs == [] and rods.contouring.problem is None


def test_a_click_begins_no_run_whatever_the_reach(rods: Rods) -> None:
    for reach in ("object", "slice", "range"):
        rods.parameters.set("Reach", reach)
        rods.click(FIRST)
    assert rods.engine.runs == [] and rods.contouring.result is None
    rods.parameters.set("Reach", "slice")
    rods.run()
    assert same(rods.found()[7], rods.first[7]) and not rods.found()[6].any()


def test_a_run_goes_through_what_was_clicked(rods: Rods) -> None:
    rods.click(SECOND)
    assert rods.contouring.clicks.pending == [7]
    rods.run()
    assert same(rods.found(), rods.second)
    assert rods.results == 1 and rods.contouring.clicks.pending == []
    assert rods.seen() is None, "the result takes the place of the preview"


@pytest.mark.parametrize("axis", ["I", "J", "K"])
@pytest.mark.parametrize("name", ["straight", "oblique", "left-handed"])
def test_the_point_lies_where_was_clicked(world: Any, engine: NotingService, turn: Any, axis: str, name: str) -> None:
    """In the volume's own slices, whichever way these and the view lie."""
    tilted = turn(21, -13, 34)
    rods = Rods(world, engine, {"straight": None, "oblique": tilted}.get(name, tilted @ np.diag([1.0, 1.0, -1.0])))
    kji = (6, 11, 15)
    index = dict(zip("KJI", kji, strict=True))[axis]
    view = rods.along(axis, index)
    rods.click_at(view, rods.xy(view, *kji))
    assert list(rods.keys) == [index] and rods.contouring.plane == Plane(axis)
    column, row = {"K": (15, 11), "J": (15, 6), "I": (11, 6)}[axis]
    points = rods.keys[index].points
    assert points is not None and points.coordinates[0] == pytest.approx((column, row), abs=1e-6)
    expected = np.take(rods.first, index, axis="KJI".index(axis))
    assert same(rods.seen(), expected)


def test_a_click_in_an_oblique_view_lies_in_its_plane(rods: Rods, turn: Any) -> None:
    view = rods.along("K", 7, turn(0, 30, 0))
    xy = (150 + 3 * 8, 150 - 3 * 7)
    rods.click_at(view, xy)
    (index,) = rods.keys
    plane, points = rods.contouring.plane, rods.keys[index].points
    assert plane is not None and plane.axis is None and points is not None
    x, y = points.coordinates[0]
    world = rods.contouring.stack(plane).slice_to_world(index) @ [x, y, 0, 1]
    normal = view.slice_to_world[:3, 2]
    off = world[:3] - view.to_world(xy)
    assert np.linalg.norm(off - normal * (off @ normal)) < 1e-6
    assert abs(off @ normal) <= rods.contouring.stack(plane).spacing[0] / 2 + 1e-6


def test_escape_drops_the_clicks_since_the_last_run(rods: Rods) -> None:
    rods.click(FIRST)
    rods.run()
    after_run = rods.contouring.prompts
    rods.click(SECOND)
    rods.click(SECOND, negative=True, k=9)
    assert rods.contouring.escape()
    assert rods.contouring.prompts is after_run and rods.contouring.clicks.pending == []
    assert not rods.contouring.escape()
    assert rods.contouring.clicks.undo(), "one by one, clicks are undone beyond the run too"
    assert rods.keys == {}


def test_escape_during_the_run_ends_it_and_keeps_the_clicks(rods: Rods) -> None:
    rods.click(FIRST)
    rods.contouring.run()
    assert rods.contouring.running and rods.contouring.escape()
    rods.wait()
    assert rods.contouring.result is None and list(rods.keys) == [7]
    assert same(rods.seen(), rods.first[7])
    assert rods.contouring.escape() and rods.keys == {}


def test_a_first_click_that_only_says_where_nothing_is_is_refused(rods: Rods) -> None:
    rods.click(FIRST, negative=True)
    assert "add a positive point" in str(rods.contouring.problem)
    assert rods.keys == {} and rods.engine.previews == []
    rods.click(FIRST)
    assert rods.contouring.problem is None


def test_a_model_without_points_is_not_asked(rods: Rods) -> None:
    rods.parameters.set("Model", "litemedsam")
    rods.click(FIRST)
    clicks = rods.contouring.clicks
    assert clicks.refused and rods.keys == {} and rods.engine.previews == []
    assert rods.contouring.problem is None
    rods.parameters.set("Model", "sam_med2d")
    assert not clicks.refused
    rods.click(FIRST)
    assert same(rods.seen(), rods.first[7]) and not clicks.refused


def test_a_model_without_points_does_not_preview_clicks_and_names_itself_in_the_run(rods: Rods) -> None:
    rods.click(FIRST)
    asked = len(rods.engine.previews)
    rods.parameters.set("Model", "medsam")
    rods.contouring.read_prompts()
    rods.wait()
    assert rods.seen() is None and len(rods.engine.previews) == asked
    rods.contouring.run()
    rods.wait()
    assert "MedSAM (ViT-B) was not trained for points" in str(rods.contouring.problem)
    rods.parameters.set("Model", "sam_vit_b")
    rods.contouring.read_prompts()
    rods.wait()
    assert same(rods.seen(), rods.first[7]) and rods.engine.previews[-1][0] == "sam_vit_b"


def test_the_clicks_of_a_slice_are_seen_again_when_the_view_comes_back(rods: Rods) -> None:
    rods.click(FIRST)
    rods.click(SECOND, k=9)
    assert rods.contouring.preview.shown is not None and rods.contouring.preview.shown.index == 9
    rods.contouring.look_at(rods.along("K", 7))
    rods.wait()
    assert rods.contouring.preview.shown.index == 7 and same(rods.seen(), rods.first[7])
    assert rods.contouring.clicks.shows(Plane("K"), 7) and not rods.contouring.clicks.shows(Plane("K"), 9)
    rods.contouring.look_at(rods.along("J", 12))
    rods.wait()
    assert same(rods.seen(), rods.first[7]), "a look at another view leaves it where it is"


def test_a_drag_that_comes_to_nothing_gives_the_preview_back(rods: Rods) -> None:
    rods.click(FIRST)
    view = rods.along("K", 7)
    rods.contouring.press(view, (100, 100), False)
    assert same(rods.seen(), rods.first[7])
    rods.contouring.move((160, 160))
    rods.wait()
    assert rods.contouring.escape()
    rods.wait()
    assert same(rods.seen(), rods.first[7]) and list(rods.keys) == [7]
    rods.contouring.press(view, (100, 100), False)
    rods.contouring.move((160, 101))
    rods.contouring.release((101, 101))
    assert rods.keys[7].points is not None and len(rods.keys[7].points) == 1, "what went away and back is no click"


def test_a_click_in_another_plane_is_refused_and_nothing_is_lost(rods: Rods) -> None:
    rods.click(FIRST)
    view = rods.along("J", FIRST[0])
    rods.click_at(view, rods.xy(view, 7, *FIRST))
    assert "another plane" in str(rods.contouring.problem)
    assert list(rods.keys) == [7] and rods.contouring.plane == Plane("K")


def test_a_click_during_a_run_is_newer_than_what_the_run_finds(rods: Rods) -> None:
    rods.click(FIRST)
    rods.contouring.run()
    for _n in range(3):
        rods.contouring.step()
    rods.click(SECOND)
    assert rods.contouring.result is not None and same(rods.found(), rods.first)
    assert rods.contouring.clicks.pending == [7] and same(rods.seen(), (rods.first | rods.second)[7])
    assert rods.contouring.escape()
    assert rods.contouring.clicks.pending == []


@pytest.mark.parametrize("way", ["discard", "another", "remove"])
def test_what_else_changes_the_prompts_ends_the_way_back(rods: Rods, way: str) -> None:
    rods.click(FIRST)
    change: dict[str, Callable[[], None]] = {
        "discard": rods.contouring.discard,
        "another": lambda: rods.draw((4, 4), (20, 20), k=9),
        "remove": lambda: rods.contouring.remove_key(7),
    }
    change[way]()
    rods.wait()
    assert not rods.contouring.clicks.undo()
    assert list(rods.keys) == ([9] if way == "another" else [])
