"""Clicks together with rectangles, 3D boxes, results and what the segment holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.volume.geometry import ijk_to_world
from support.rods import FIRST, SECOND, SHAPE, Rods, same


def test_clicks_go_with_the_rectangle_that_the_slice_has(rods: Rods) -> None:
    rods.draw_both()
    assert same(rods.found(), rods.first | rods.second)
    box = rods.keys[7].box
    rods.click(SECOND, negative=True)
    assert same(rods.seen(), rods.first[7])
    assert rods.keys[7].box == box and rods.keys[7].origin == "corrected"
    _model, asked = rods.engine.previews[-1]
    assert asked.kinds == {"box", "points", "mask"}
    rods.run()
    assert same(rods.found(), rods.first)


def test_a_correction_starts_from_the_logits_of_the_key_slice(rods: Rods) -> None:
    """The first answer has one rod only; with its logits as mask, a click between the rods can name no other."""
    rods.click(FIRST)
    rods.run()
    rods.click(SECOND)
    _model, asked = rods.engine.previews[-1]
    assert asked.mask is not None and asked.mask.logits is not None
    assert same((asked.mask.logits > 0)[: SHAPE[1], : SHAPE[2]], rods.first[7])
    # Until the next run that stays the start, whatever is clicked.
    rods.click(FIRST, negative=True)
    assert rods.engine.previews[-1][1].mask is asked.mask


def test_a_correction_elsewhere_starts_from_the_result_and_runs_up_to_the_neighbours(rods: Rods) -> None:
    rods.draw_both(4)
    for k in (7, 10):
        rods.draw_both(k, add=True)
    before = {found.index: found for found in rods.contouring.result or ()}
    rods.click(SECOND, negative=True, k=6)
    _model, asked = rods.engine.previews[-1]
    assert asked.mask is not None and asked.mask.logits is not None
    assert same((asked.mask.logits > 0)[: SHAPE[1], : SHAPE[2]], (rods.first | rods.second)[6])
    assert same(rods.seen(), rods.first[6])
    runs = len(rods.engine.runs)
    rods.run()
    assert len(rods.engine.runs) == runs + 1
    prompt, slices = rods.engine.runs[-1]
    assert list(prompt.slices) == [0, 2, 3] and prompt.slices[2].points is not None
    assert slices == 4, "slices 4 to 7, counted from their first"
    assert list(rods.keys) == [4, 6, 7, 10] and rods.keys[6].origin == "corrected"
    assert same(rods.found()[6], rods.first[6])
    after = {found.index: found for found in rods.contouring.result or ()}
    changed = {index for index in before if not same(after[index].mask, before[index].mask)}
    assert 6 in changed and changed <= {5, 6} and set(after) == set(before)


def test_undo_takes_back_a_correction_to_the_last_bit(rods: Rods) -> None:
    rods.draw_both()
    before = rods.contouring.prompts
    rods.click(SECOND, negative=True)
    rods.contouring.clicks.undo()
    assert rods.contouring.prompts is before
    assert rods.contouring.clicks.pending == [] and rods.contouring.result is not None
    assert rods.contouring.preview.asked is None


def test_a_rectangle_on_a_clicked_slice_keeps_the_clicks(rods: Rods) -> None:
    rods.click(FIRST)
    rods.draw_both()
    assert rods.keys[7].box is not None and rods.keys[7].points is not None
    assert same(rods.found(), rods.first), "the click names one of the two rods in the rectangle"
    assert rods.engine.previews[-1][1].kinds == {"box", "points"}
    rods.parameters.set("Model", "litemedsam")
    rods.draw_both()
    assert rods.keys[7].is_box and same(rods.found(), rods.first | rods.second)


def test_a_click_outside_of_a_3d_box_says_that_the_object_leaves_it(rods: Rods) -> None:
    center = (ijk_to_world(rods.volume) @ [FIRST[1], FIRST[0], 7, 1])[:3]
    rods.contouring.take_roi(rods.world.roi(center, (14, 14, 9)))
    rods.wait()
    assert same(rods.found()[7], rods.first[7])
    before = rods.contouring.prompts
    assert before is not None and before.bounds is not None and before.reach is not None
    rods.click((FIRST[0] + 1, FIRST[1]), k=8)
    assert rods.contouring.prompts is not None and rods.contouring.prompts.bounds == before.bounds
    last = before.reach[1]
    rods.click(SECOND, k=last + 1)
    after = rods.contouring.prompts
    assert after is not None and after.bounds is None and after.reach == (before.reach[0], last + 1)
    rods.run()
    assert 8 in rods.engine.runs[-1][0].slices
    assert same(rods.found()[last + 1], rods.second[last + 1])


def test_a_click_in_a_turned_roi_stays_in_it_and_one_beside_it_does_not(rods: Rods, turn: Any) -> None:
    center = (ijk_to_world(rods.volume) @ [FIRST[1], FIRST[0], 7, 1])[:3]
    rods.contouring.take_roi(rods.world.roi(center, (9, 9, 9), turn(0, 0, 45)))
    rods.wait()
    in_roi = rods.found()[7]
    assert in_roi.any() and not same(in_roi, rods.first[7]), "the ROI is smaller than the rod"
    rods.click(FIRST)
    assert same(rods.seen(), in_roi), "what is previewed is what a run would find"
    rods.click(SECOND, k=10)
    assert same(rods.seen(), rods.second[10])
    assert rods.contouring.prompts is not None and rods.contouring.prompts.solid is None
    rods.contouring.clicks.undo()
    rods.contouring.look_at(rods.along("K", 7))
    rods.wait()
    assert same(rods.seen(), in_roi)


def test_points_in_a_3d_box_are_not_left_out(rods: Rods) -> None:
    """The only rectangle is the 3D box itself, which without clicks is gone through in a way of its own."""
    center = (ijk_to_world(rods.volume) @ [22, 20, 7, 1])[:3]
    rods.contouring.take_roi(rods.world.roi(center, (38, 36, 9)))
    rods.wait()
    assert same(rods.found()[6:9], (rods.first | rods.second)[6:9])
    prompts = rods.contouring.prompts
    assert prompts is not None and prompts.bounds is not None
    rods.click(SECOND, negative=True, k=8)
    rods.run()
    assert same(rods.found()[8], rods.first[8])


def test_the_segment_is_where_the_model_starts(rods: Rods) -> None:
    part = np.zeros(SHAPE, bool)
    part[7, 26:30, 29:33] = True
    rods.fill(part)
    clicks = rods.contouring.clicks
    clicks.start_from_segment(rods.along("K", 7))
    rods.wait()
    assert same(rods.seen(), rods.second[7]) and rods.keys[7].origin == "segment"
    _model, asked = rods.engine.previews[-1]
    assert asked.mask is not None and same(asked.mask.mask, part[7])
    rods.click(SECOND)
    assert rods.engine.previews[-1][1].kinds == {"points", "mask"}
    rods.run()
    assert same(rods.found(), rods.second)
    for _n in range(2):
        assert clicks.undo()
    assert rods.keys == {}


def test_an_empty_segment_or_a_model_without_masks_is_refused_in_words(rods: Rods) -> None:
    part = np.zeros(SHAPE, bool)
    part[7, 26:30, 29:33] = True
    rods.fill(part)
    with pytest.raises(InputError, match="the segment is empty on this slice"):
        rods.contouring.clicks.start_from_segment(rods.along("K", 8))
    rods.parameters.set("Model", "medsam")
    with pytest.raises(InputError, match=r"MedSAM \(ViT-B\) was not trained for masks"):
        rods.contouring.clicks.start_from_segment(rods.along("K", 7))
    assert rods.keys == {} and rods.engine.previews == []
