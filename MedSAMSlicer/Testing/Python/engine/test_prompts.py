"""Prompts are checked where they are made, and errors say what to do."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt


def test_a_box_includes_its_edges() -> None:
    assert (Box(3, 4, 3, 4).width, Box(3, 4, 7, 9).height) == (1, 6)


@pytest.mark.parametrize("xyxy", [(5, 0, 4, 3), (0, 5, 3, 4), (0, 0, float("nan"), 3), (0, 0, float("inf"), 3)])
def test_a_box_that_is_none_is_refused(xyxy: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box"):
        Box(*xyxy)


def test_the_box_around_a_mask_touches_it_on_every_side() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:9, 7] = mask[6, 3:22] = True
    assert Box.from_mask(mask) == Box(3, 4, 21, 8)
    assert Box.from_mask(np.zeros((5, 5), bool)) is None


def test_a_box_is_cut_at_another_one() -> None:
    assert Box(-5, 2, 50, 8).intersection(Box.of_slice(10, 20)) == Box(0, 2, 19, 8)
    assert Box(30, 2, 50, 8).intersection(Box.of_slice(10, 20)) is None


def test_points_need_a_sign_each() -> None:
    assert Points(((1, 2), (3, 4)), (True, False)).positive == (True, False)
    with pytest.raises(InputError, match="sign"):
        Points(((1, 2),), (True, False))


def test_a_3d_box_is_keyed_on_its_middle_slice() -> None:
    prompt = StackPrompt.from_box3d(4, 9, Box(1, 2, 3, 4))
    assert dict(prompt.slices) == {6: SlicePrompt(Box(1, 2, 3, 4))}
    assert (prompt.slice_range, prompt.box3d) == ((4, 9), Box(1, 2, 3, 4))


def test_key_slices_are_kept_in_order_and_cannot_be_changed() -> None:
    keys = {9: Box(0, 0, 1, 1), 2: Box(0, 0, 1, 1)}
    prompt = StackPrompt(keys)
    keys[5] = Box(0, 0, 1, 1)
    assert list(prompt.slices) == [2, 9]
    with pytest.raises(TypeError):
        prompt.slices[3] = SlicePrompt(Box(0, 0, 1, 1))  # type: ignore[index]


def test_prompts_that_contradict_themselves_are_refused() -> None:
    box = Box(0, 0, 1, 1)
    for make, words in (
        (lambda: StackPrompt({}), "there is no prompt"),
        (lambda: StackPrompt({3: box}, slice_range=(5, 2)), "are reversed"),
        (lambda: StackPrompt({3: box}, slice_range=(5, 8)), "key slice 3"),
        (lambda: StackPrompt.from_box3d(5, 2, box), "are reversed"),
    ):
        with pytest.raises(InputError, match=words):
            make()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (StackPrompt({10: Box(0, 0, 1, 1)}), "slices run from 0 to 9"),
        (StackPrompt({5: Box(0, 0, 30, 1)}), "columns run from 0 to 29"),
        (StackPrompt({5: Box(0, 0, 1, 1)}, box3d=Box(0, 0, 1, 20)), "rows from 0 to 19"),
        (StackPrompt({5: Box(0, 0, 1, 1)}, slice_range=(0, 10)), "slice 10"),
    ],
)
def test_a_prompt_outside_the_stack_is_refused(prompt: StackPrompt, words: str) -> None:
    with pytest.raises(InputError, match=words):
        prompt.checked_for((10, 20, 30))


def test_clicks_are_added_and_undone_one_by_one() -> None:
    first = Points(((3, 4),), (True,))
    second = first.with_point(7.5, 2, False)
    assert (second.coordinates, second.positive) == (((3, 4), (7.5, 2)), (True, False))
    assert second.without_last() == first and first.without_last() is None and len(second) == 2
    with pytest.raises(InputError, match="not a number"):
        first.with_point(float("nan"), 2, True)


def test_a_mask_prompt_is_logits_or_a_mask_of_the_slice() -> None:
    logits, mask = np.zeros((64, 64), np.float32), np.eye(5, dtype=bool)
    assert SlicePrompt(mask=MaskPrompt(logits)).kinds == {"mask"}
    for given, words in (
        ({}, "one of the two"),
        ({"logits": logits, "mask": mask}, "one of the two"),
        ({"logits": logits.astype(float)}, "float64"),
        ({"logits": logits + np.float32("inf")}, "finite"),
        ({"mask": mask.astype(np.uint8)}, "uint8"),
        ({"mask": np.zeros((5, 5), bool)}, "empty"),
    ):
        with pytest.raises(InputError, match=words):
            MaskPrompt(**given)


def test_a_prompt_on_a_slice_says_something_and_lies_in_it() -> None:
    clicks = Points(((29.5, -0.5),), (True,))
    mask = MaskPrompt(mask=np.ones((20, 30), bool))
    whole = SlicePrompt(Box(0, 0, 29, 19), clicks, mask)
    assert whole.kinds == {"box", "points", "mask"} and whole.checked_for(20, 30) is whole
    with pytest.raises(InputError, match="empty"):
        SlicePrompt()
    with pytest.raises(InputError, match="all points are negative"):
        SlicePrompt(points=Points(((1, 1),), (False,)))
    assert SlicePrompt(Box(0, 0, 1, 1), Points(((1, 1),), (False,))).kinds == {"box", "points"}
    for prompt, words in (
        (SlicePrompt(Box(0, 0, 30, 5)), "columns run from 0 to 29"),
        (SlicePrompt(points=Points(((1, 1), (30, 3)), (True, True))), r"point \(30, 3\) lies outside"),
        (SlicePrompt(mask=MaskPrompt(mask=np.ones((30, 20), bool))), "does not fit a slice"),
    ):
        with pytest.raises(InputError, match=words):
            prompt.checked_for(20, 30)


def test_slices_with_points_are_key_slices_beside_those_with_boxes() -> None:
    box, click = Box(1, 2, 3, 4), SlicePrompt(points=Points(((3, 3),), (True,)))
    prompt = StackPrompt({4: box, 7: click, 2: click}).checked_for((10, 20, 30))
    assert list(prompt.slices) == [2, 4, 7]
    assert prompt.slices[4] == SlicePrompt(box) and prompt.slices[7] is click
    assert prompt.kinds == {"box", "points"}
    with pytest.raises(InputError, match="key slice 7 lies outside"):
        StackPrompt({7: click}, (0, 5))
    with pytest.raises(InputError, match="slice 12 lies outside the volume"):
        StackPrompt({12: click}).checked_for((10, 20, 30))
