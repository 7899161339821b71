"""Prompts are checked where they are made, and errors say what to do."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box, Points, StackPrompt


def test_a_box_includes_its_edges() -> None:
    assert (Box(3, 4, 3, 4).width, Box(3, 4, 7, 9).height) == (1, 6)


@pytest.mark.parametrize("xyxy", [(5, 0, 4, 3), (0, 5, 3, 4), (0, 0, float("nan"), 3), (0, 0, float("inf"), 3)])
def test_a_box_that_is_none_is_refused(xyxy: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box"):
        Box(*xyxy)


def test_the_box_around_a_mask_touches_it_on_every_side() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:9, 7] = mask[6, 3:22] = True
    assert Box.around(mask) == Box(3, 4, 21, 8)
    assert Box.around(np.zeros((5, 5), bool)) is None


def test_a_box_is_cut_at_another_one() -> None:
    assert Box(-5, 2, 50, 8).inside(Box.of_slice(10, 20)) == Box(0, 2, 19, 8)
    assert Box(30, 2, 50, 8).inside(Box.of_slice(10, 20)) is None


def test_points_need_a_sign_each() -> None:
    assert Points(((1, 2), (3, 4)), (True, False)).positive == (True, False)
    with pytest.raises(InputError, match="sign"):
        Points(((1, 2),), (True, False))


def test_a_3d_box_is_keyed_on_its_middle_slice() -> None:
    prompt = StackPrompt.from_box3d(4, 9, Box(1, 2, 3, 4))
    assert dict(prompt.keys) == {6: Box(1, 2, 3, 4)}
    assert (prompt.reach, prompt.bounds) == ((4, 9), Box(1, 2, 3, 4))


def test_key_slices_are_kept_in_order_and_cannot_be_changed() -> None:
    keys = {9: Box(0, 0, 1, 1), 2: Box(0, 0, 1, 1)}
    prompt = StackPrompt(keys)
    keys[5] = Box(0, 0, 1, 1)
    assert list(prompt.keys) == [2, 9]
    with pytest.raises(TypeError):
        prompt.keys[3] = Box(0, 0, 1, 1)  # type: ignore[index]


def test_prompts_that_contradict_themselves_are_refused() -> None:
    box = Box(0, 0, 1, 1)
    for make, words in (
        (lambda: StackPrompt({}), "no box"),
        (lambda: StackPrompt({3: box}, reach=(5, 2)), "turned over"),
        (lambda: StackPrompt({3: box}, reach=(5, 8)), "key slice 3"),
        (lambda: StackPrompt.from_box3d(5, 2, box), "turned over"),
    ):
        with pytest.raises(InputError, match=words):
            make()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (StackPrompt({10: Box(0, 0, 1, 1)}), "slices run from 0 to 9"),
        (StackPrompt({5: Box(0, 0, 30, 1)}), "columns run from 0 to 29"),
        (StackPrompt({5: Box(0, 0, 1, 1)}, bounds=Box(0, 0, 1, 20)), "rows from 0 to 19"),
        (StackPrompt({5: Box(0, 0, 1, 1)}, reach=(0, 10)), "slice 10"),
    ],
)
def test_a_prompt_outside_the_stack_is_refused(prompt: StackPrompt, words: str) -> None:
    with pytest.raises(InputError, match=words):
        prompt.checked_for((10, 20, 30))
