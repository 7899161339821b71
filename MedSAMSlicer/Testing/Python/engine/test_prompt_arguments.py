"""Prompts given as plain tuples and mappings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompt_arguments import prompt_from_box, prompt_from_key_slices, slice_prompt_from
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt

DIMENSIONS = (50, 40, 30)
BOX = ((10, 20), (5, 9), (2, 7))


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("K", StackPrompt.from_box3d(2, 7, Box(10, 5, 20, 9))),
        ("J", StackPrompt.from_box3d(5, 9, Box(10, 2, 20, 7))),
        ("I", StackPrompt.from_box3d(10, 20, Box(5, 2, 9, 7))),
    ],
)
def test_a_3d_box_in_slices_along_each_axis(axis: str, expected: StackPrompt) -> None:
    assert prompt_from_box(BOX, axis, DIMENSIONS) == expected
    assert prompt_from_box(np.array(BOX), axis, DIMENSIONS) == expected


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (((10, 20), (5, 9)), "give \\(\\(i0, i1\\), \\(j0, j1\\), \\(k0, k1\\)\\)"),
        ((10, 20, 5, 9, 2, 7), "no 3D box"),
        ("K", "no 3D box"),
        (((10, 20.5), (5, 9), (2, 7)), "no 3D box"),
        (((10, 20), (9, 5), (2, 7)), "J0 = 9 is above J1 = 5"),
        (((10, 20), (5, 9), (2, 30)), "K runs from 0 to 29"),
        (((-1, 20), (5, 9), (2, 7)), "I runs from 0 to 49"),
    ],
)
def test_a_box_that_cannot_be_used_is_refused(box: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prompt_from_box(box, "K", DIMENSIONS)


def test_key_slices_in_every_form() -> None:
    mask = np.zeros((4, 5), int)
    mask[1:3, 2] = 7
    given = SlicePrompt(points=Points(((1, 2),), (True,)))
    prompt = prompt_from_key_slices(
        {
            np.int64(7): (1, 2, 3, 4),
            3: Box(0, 0, 1, 1),
            5: given,
            6: {"box": (1, 2, 3, 4), "points": [(1.5, 2, True), (0, 0, False)], "mask": mask},
        },
        (2, 9),
    )
    assert list(prompt.slices) == [3, 5, 6, 7] and prompt.slice_range == (2, 9)
    assert prompt.slices[7] == SlicePrompt(Box(1, 2, 3, 4)) and prompt.slices[5] is given
    whole = prompt.slices[6]
    assert whole.points == Points(((1.5, 2), (0, 0)), (True, False)) and whole.box == Box(1, 2, 3, 4)
    assert whole.mask is not None and whole.mask.mask is not None
    np.testing.assert_array_equal(whole.mask.mask, mask > 0)


def test_a_mask_prompt_is_taken_as_it_is() -> None:
    logits = MaskPrompt(logits=np.zeros((4, 4), np.float32))
    assert slice_prompt_from({"mask": logits}).mask is logits


@pytest.mark.parametrize(
    ("key_slices", "message"),
    [
        ({}, "at least one slice"),
        ([(1, 2, 3, 4)], "give a mapping"),
        ({"middle": (1, 2, 3, 4)}, "give a mapping"),
        ({2.5: (1, 2, 3, 4)}, "give a mapping"),
        ({3: (1, 2, 3)}, "no box on a slice"),
        ({3: (3, 2, 1, 4)}, "lower edge"),
        ({3: {}}, "the prompt is empty"),
        ({3: {"rectangle": (1, 2, 3, 4)}}, "no 'rectangle'"),
        ({3: {"points": [(1, 2)]}}, "\\(x, y, True\\)"),
        ({3: np.arange(400).reshape(20, 20)}, "no box on a slice"),
        ({3: {"points": [(1, 2, False)]}}, "all points are negative"),
        ({3: {"mask": np.zeros((3, 3))}}, "empty"),
    ],
)
def test_key_slices_that_cannot_be_used_are_refused(key_slices: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        prompt_from_key_slices(key_slices)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("slice_range", [(4, 2), 3, (1,), ("a", "b")])
def test_a_slice_range_that_cannot_be_used_is_refused(slice_range: Any) -> None:
    with pytest.raises(InputError):
        prompt_from_key_slices({3: (1, 2, 3, 4)}, slice_range)
