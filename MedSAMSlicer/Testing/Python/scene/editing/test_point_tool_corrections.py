"""Clicks together with rectangles, 3D boxes, results and what the segment holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.scene.volume.geometry import ijk_to_world
from support.two_rod_phantom import FIRST, SECOND, SHAPE, TwoRodPhantom, same


def test_clicks_go_with_the_rectangle_that_the_slice_has(two_rods: TwoRodPhantom) -> None:
    two_rods.draw_both()
    assert same(two_rods.found(), two_rods.first | two_rods.second)
    box = two_rods.keys[7].box
    two_rods.click(SECOND, negative=True)
    assert same(two_rods.seen(), two_rods.first[7])
    assert two_rods.keys[7].box == box and two_rods.keys[7].origin == "corrected"
    _model, asked = two_rods.engine.previews[-1]
    assert asked.kinds == {"box", "points", "mask"}
    two_rods.run()
    assert same(two_rods.found(), two_rods.first)


def test_a_correction_starts_from_the_logits_of_the_key_slice(two_rods: TwoRodPhantom) -> None:
    """The first answer has one rod only; with its logits as mask, a click between the rods can name no other."""
    two_rods.click(FIRST)
    two_rods.run()
    two_rods.click(SECOND)
    _model, asked = two_rods.engine.previews[-1]
    assert asked.mask is not None and asked.mask.logits is not None
    assert same((asked.mask.logits > 0)[: SHAPE[1], : SHAPE[2]], two_rods.first[7])
    # Until the next run that stays the start, whatever is clicked.
    two_rods.click(FIRST, negative=True)
    assert two_rods.engine.previews[-1][1].mask is asked.mask


def test_a_correction_elsewhere_starts_from_the_result_and_runs_up_to_the_neighbours(two_rods: TwoRodPhantom) -> None:
    two_rods.draw_both(4)
    for k in (7, 10):
        two_rods.draw_both(k, add=True)
    before = {found.index: found for found in two_rods.contouring.result or ()}
    two_rods.click(SECOND, negative=True, k=6)
    _model, asked = two_rods.engine.previews[-1]
    assert asked.mask is not None and asked.mask.logits is not None
    assert same((asked.mask.logits > 0)[: SHAPE[1], : SHAPE[2]], (two_rods.first | two_rods.second)[6])
    assert same(two_rods.seen(), two_rods.first[6])
    runs = len(two_rods.engine.runs)
    two_rods.run()
    assert len(two_rods.engine.runs) == runs + 1
    prompt, slices = two_rods.engine.runs[-1]
    assert list(prompt.slices) == [0, 2, 3] and prompt.slices[2].points is not None
    assert slices == 4, "slices 4 to 7, counted from their first"
    assert list(two_rods.keys) == [4, 6, 7, 10] and two_rods.keys[6].origin == "corrected"
    assert same(two_rods.found()[6], two_rods.first[6])
    after = {found.index: found for found in two_rods.contouring.result or ()}
    changed = {index for index in before if not same(after[index].mask, before[index].mask)}
    assert 6 in changed and changed <= {5, 6} and set(after) == set(before)


def test_undo_takes_back_a_correction_to_the_last_bit(two_rods: TwoRodPhantom) -> None:
    two_rods.draw_both()
    before = two_rods.contouring.state.prompts
    two_rods.click(SECOND, negative=True)
    two_rods.contouring.points.undo()
    assert two_rods.contouring.state.prompts is before
    assert two_rods.contouring.points.pending == [] and two_rods.contouring.result is not None
    assert two_rods.contouring.preview.tag is None


def test_a_rectangle_on_a_clicked_slice_keeps_the_clicks(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.draw_both()
    assert two_rods.keys[7].box is not None and two_rods.keys[7].points is not None
    assert same(two_rods.found(), two_rods.first), "the click names one of the two rods in the rectangle"
    assert two_rods.engine.previews[-1][1].kinds == {"box", "points"}
    two_rods.parameters.set("Model", "litemedsam")
    two_rods.draw_both()
    assert two_rods.keys[7].points is not None, "there they correct the mask in the rectangle"


def test_a_click_outside_of_a_3d_box_says_that_the_object_leaves_it(two_rods: TwoRodPhantom) -> None:
    center = (ijk_to_world(two_rods.volume) @ [FIRST[1], FIRST[0], 7, 1])[:3]
    two_rods.contouring.take_roi(two_rods.scene_builder.roi(center, (14, 14, 9)))
    two_rods.wait()
    assert same(two_rods.found()[7], two_rods.first[7])
    before = two_rods.contouring.state.prompts
    assert before is not None and before.box3d is not None and before.slice_range is not None
    two_rods.click((FIRST[0] + 1, FIRST[1]), k=8)
    assert two_rods.contouring.state.prompts is not None and two_rods.contouring.state.prompts.box3d == before.box3d
    last = before.slice_range[1]
    two_rods.click(SECOND, k=last + 1)
    after = two_rods.contouring.state.prompts
    assert after is not None and after.box3d is None and after.slice_range == (before.slice_range[0], last + 1)
    two_rods.run()
    assert 8 in two_rods.engine.runs[-1][0].slices
    assert same(two_rods.found()[last + 1], two_rods.second[last + 1])


def test_a_click_in_a_turned_roi_stays_in_it_and_one_beside_it_does_not(two_rods: TwoRodPhantom, turn: Any) -> None:
    center = (ijk_to_world(two_rods.volume) @ [FIRST[1], FIRST[0], 7, 1])[:3]
    two_rods.contouring.take_roi(two_rods.scene_builder.roi(center, (9, 9, 9), turn(0, 0, 45)))
    two_rods.wait()
    in_roi = two_rods.found()[7]
    assert in_roi.any() and not same(in_roi, two_rods.first[7]), "the ROI is smaller than the rod"
    two_rods.click(FIRST)
    assert same(two_rods.seen(), in_roi), "what is previewed is what a run would find"
    two_rods.click(SECOND, k=10)
    assert same(two_rods.seen(), two_rods.second[10])
    assert two_rods.contouring.state.prompts is not None and two_rods.contouring.state.prompts.oriented_box is None
    two_rods.contouring.points.undo()
    two_rods.contouring.look_at(two_rods.along("K", 7))
    two_rods.wait()
    assert same(two_rods.seen(), in_roi)


def test_points_in_a_3d_box_are_not_left_out(two_rods: TwoRodPhantom) -> None:
    """The only rectangle is the 3D box itself, which without clicks is gone through in a way of its own."""
    center = (ijk_to_world(two_rods.volume) @ [22, 20, 7, 1])[:3]
    two_rods.contouring.take_roi(two_rods.scene_builder.roi(center, (38, 36, 9)))
    two_rods.wait()
    assert same(two_rods.found()[6:9], (two_rods.first | two_rods.second)[6:9])
    prompts = two_rods.contouring.state.prompts
    assert prompts is not None and prompts.box3d is not None
    two_rods.click(SECOND, negative=True, k=8)
    two_rods.run()
    assert same(two_rods.found()[8], two_rods.first[8])


def test_the_segment_is_where_the_model_starts(two_rods: TwoRodPhantom) -> None:
    part = np.zeros(SHAPE, bool)
    part[7, 26:30, 29:33] = True
    two_rods.fill(part)
    clicks = two_rods.contouring.points
    clicks.start_from_segment(two_rods.along("K", 7))
    two_rods.wait()
    assert same(two_rods.seen(), two_rods.second[7]) and two_rods.keys[7].origin == "segment"
    _model, asked = two_rods.engine.previews[-1]
    assert asked.mask is not None and same(asked.mask.mask, part[7])
    two_rods.click(SECOND)
    assert two_rods.engine.previews[-1][1].kinds == {"points", "mask"}
    two_rods.run()
    assert same(two_rods.found(), two_rods.second)
    for _n in range(2):
        assert clicks.undo()
    assert two_rods.keys == {}


def test_an_empty_segment_or_a_model_without_masks_is_refused_in_words(two_rods: TwoRodPhantom) -> None:
    part = np.zeros(SHAPE, bool)
    part[7, 26:30, 29:33] = True
    two_rods.fill(part)
    with pytest.raises(InputError, match="the segment is empty on this slice"):
        two_rods.contouring.points.start_from_segment(two_rods.along("K", 8))
    two_rods.parameters.set("Model", "medsam")
    with pytest.raises(InputError, match=r"MedSAM \(ViT-B\) was not trained for masks"):
        two_rods.contouring.points.start_from_segment(two_rods.along("K", 7))
    assert two_rods.keys == {} and two_rods.engine.previews == []
