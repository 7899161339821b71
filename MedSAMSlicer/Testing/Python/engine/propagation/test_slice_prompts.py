"""Points and masks on key slices: what they name is followed through the stack, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.models.catalogue import ALL_PROMPTS
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.results import SliceResult, StackResult
from support.component_model import component_predictor
from support.shapes import ellipsoid, stack_of
from support.threshold_model import threshold_predictor

SHAPE = (12, 60, 100)


def column(x: int) -> np.ndarray:
    """An upright object on slices 1 to 10, of the same section on all of them."""
    truth = np.zeros(SHAPE, bool)
    truth[1:11] = ellipsoid((1, *SHAPE[1:]), (0, 30, x), (1, 10, 12))
    return truth


LEFT, RIGHT = column(25), column(70)
BOTH = stack_of(LEFT | RIGHT)


def run(prompt: StackPrompt, predictor: Predictor | None = None) -> dict[int, SliceResult]:
    found: dict[int, SliceResult] = {}
    for result in propagate(BOTH, prompt, predictor or component_predictor()):
        assert result.index not in found, "each slice once"
        found[result.index] = result
    return found


def click(x: float, y: float, positive: bool = True) -> SlicePrompt:
    return SlicePrompt(points=Points(((x, y),), (positive,)))


def assert_is(found: dict[int, SliceResult], truth: np.ndarray) -> None:
    for index, expected in enumerate(truth):
        mask = found[index].mask if index in found else np.zeros(truth.shape[1:], bool)
        assert dice(mask, expected) > 0.9, index


def test_one_click_names_one_of_two_objects_all_the_way() -> None:
    found = run(StackPrompt({5: click(70, 30)}))
    assert_is(found, RIGHT)
    assert [index for index, result in found.items() if result.key] == [5]
    assert found[5].box == Box.from_mask(RIGHT[5])


def test_a_mask_and_a_click_outside_take_the_left_one_out() -> None:
    prompt = SlicePrompt(points=Points(((25, 30),), (False,)), mask=MaskPrompt(mask=(LEFT | RIGHT)[5]))
    assert_is(run(StackPrompt({5: prompt})), RIGHT)


def test_a_box_on_one_key_slice_and_a_click_on_another_meet() -> None:
    around = Box.from_mask(LEFT[2])
    assert around is not None
    found = run(StackPrompt({2: around, 8: click(25, 30)}))
    assert_is(found, LEFT)
    assert sorted(index for index, result in found.items() if result.key) == [2, 8]


def test_a_click_into_nothing_holds_nobody_up() -> None:
    around = Box.from_mask(LEFT[2])
    assert around is not None
    found = run(StackPrompt({2: around, 6: click(50, 5), 8: click(25, 30)}))
    assert not found[6].mask.any() and found[6].needs_review
    assert found[5].mask.any() and found[7].mask.any()
    alone = run(StackPrompt({6: click(50, 5)}))
    assert list(alone) == [6]


def test_a_click_in_a_3d_box_corrects_its_slice_and_leaves_the_others_what_the_box_makes_of_them() -> None:
    """The box still says how large the object is on each slice; a chain from the click alone would drift."""
    bounds = Box(55, 15, 85, 45)
    alone = run(StackPrompt.from_box3d(3, 8, bounds))
    found = run(StackPrompt({7: SlicePrompt(bounds, Points(((70, 30),), (True,)))}, (3, 8), bounds))
    assert sorted(found) == [3, 4, 5, 6, 7, 8]
    assert np.array_equal(found[7].mask, RIGHT[7]), "the whole column, not the end of an ellipsoid"
    assert [index for index, result in found.items() if result.key] == [7]
    for index in (3, 4, 5, 6, 8):
        assert np.array_equal(found[index].mask, alone[index].mask)


def test_a_rectangle_on_one_slice_of_a_3d_box_is_a_fixed_point_in_it() -> None:
    bounds = Box(5, 10, 95, 50)
    left = Box.from_mask(LEFT[4])
    assert left is not None
    found = run(StackPrompt({6: bounds, 4: left}, (1, 10), bounds))
    assert np.array_equal(found[4].mask, LEFT[4]) and found[4].key and found[4].box == left
    assert sorted(found) == list(range(1, 11))


@pytest.mark.parametrize(
    "prompt",
    [
        StackPrompt({5: click(70, 30)}),
        StackPrompt({3: click(70, 30), 8: click(70, 30)}),
        # Where the object has ended nothing is found at first, and a second question is asked.
        StackPrompt.from_box3d(0, 11, Box(55, 15, 85, 45)),
    ],
)
def test_the_mask_beside_is_a_prompt_where_the_model_takes_masks(prompt: StackPrompt) -> None:
    predictor = component_predictor()
    assert_is(run(prompt, predictor), RIGHT) if prompt.slice_range is None else run(prompt, predictor)
    assert any(one.mask is not None for one in predictor.runtime.asked)  # type: ignore[attr-defined]
    only_boxes = component_predictor()
    only_boxes.prompts = ALL_PROMPTS - {"mask"}
    run(prompt, only_boxes)
    assert all(one.mask is None for one in only_boxes.runtime.asked)  # type: ignore[attr-defined]


def test_a_model_of_boxes_alone_refuses_the_click_and_names_itself() -> None:
    with pytest.raises(Exception, match="was not trained for points"):
        run(StackPrompt({5: click(70, 30)}), threshold_predictor())


def test_a_model_of_boxes_alone_obeys_clicks_beside_a_box() -> None:
    """On the key slice, whose neighbours follow it."""
    clicks = Points(((70, 30), (25, 45)), (False, True))
    both, predictor = Box(5, 5, 90, 50), threshold_predictor()
    plain, corrected = (
        run(StackPrompt({5: SlicePrompt(both, points)}), predictor)[5].mask for points in (None, clicks)
    )
    for (x, y), positive in zip(clicks.coordinates, clicks.positive, strict=True):
        assert corrected[int(y), int(x)] == positive != plain[int(y), int(x)]


def test_a_correction_may_start_from_the_logits_of_a_key_slice() -> None:
    first = run(StackPrompt({5: click(70, 30)}))[5]
    assert first.low_res_logits is not None
    again = SlicePrompt(points=Points(((70, 30),), (True,)), mask=MaskPrompt(logits=first.low_res_logits))
    assert_is(run(StackPrompt({5: again})), RIGHT)


@pytest.mark.parametrize(
    "prompt",
    [
        StackPrompt({5: click(70, 30)}),
        StackPrompt({3: click(70, 30), 8: click(70, 30)}),
        StackPrompt.from_box3d(0, 11, Box(55, 15, 85, 45)),
    ],
)
def test_every_slice_may_be_corrected_from_its_own_logits(prompt: StackPrompt) -> None:
    """In the result as it is kept; with a model that takes no masks nothing is kept for it."""
    predictor = component_predictor()
    kept = StackResult(SHAPE)
    for result in run(prompt, predictor).values():
        kept.add(result)
    inside = np.zeros(SHAPE[1:], bool)
    inside[15:46, 55:86] = True
    for result in kept:
        assert (result.low_res_logits is not None) == (result.key or bool(result.mask.any()))
        if result.low_res_logits is not None:
            assert result.low_res_logits.dtype == np.float32
            assert np.array_equal(predictor.mask_of(result.low_res_logits, *SHAPE[1:]) & inside, result.mask)
    assert sum(result.low_res_logits is not None for result in kept) >= 10
    only_boxes = component_predictor()
    only_boxes.prompts = ALL_PROMPTS - {"mask"}
    assert all(result.key or result.low_res_logits is None for result in run(prompt, only_boxes).values())
