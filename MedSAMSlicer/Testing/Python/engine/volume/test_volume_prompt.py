"""Prompts in voxel indices become prompts on the slices along any axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box, KeyMask, MaskPrompt, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.stack import slice_to_ijk
from MedSAMSlicerLib.engine.volume.oriented_box import OrientedBox
from MedSAMSlicerLib.engine.volume.volume_prompt import VolumePrompt, volume_prompt

DIMENSIONS = (30, 20, 10)
BOX = ((3, 8), (4, 9), (1, 5))
CENTER = (6.0, 7.5, 3.0)
# Axis -> key slice of the box, its slices, its rectangle, and the center as x, y.
ON_SLICES = {
    "K": (3, (1, 5), Box(3, 4, 8, 9), (6.0, 7.5)),
    "J": (6, (4, 9), Box(3, 1, 8, 5), (6.0, 3.0)),
    "I": (5, (3, 8), Box(4, 1, 9, 5), (7.5, 3.0)),
}
NEAREST = {"K": 3, "J": 8, "I": 6}
"""Slice of the center; halves go up."""


@pytest.mark.parametrize("axis", "IJK")
def test_a_3d_box_along_every_axis(axis: str) -> None:
    index, slice_range, face, _ = ON_SLICES[axis]
    assert volume_prompt(DIMENSIONS, axis, box=BOX) == VolumePrompt(axis, StackPrompt({index: face}, slice_range, face))
    assert volume_prompt(DIMENSIONS, axis, box=np.array(BOX)).stack.box3d == face


@pytest.mark.parametrize("axis", "IJK")
def test_a_point_belongs_to_the_nearest_slice_along_every_axis(axis: str) -> None:
    prompt = volume_prompt(DIMENSIONS, axis, points=[CENTER]).stack
    assert prompt == StackPrompt({NEAREST[axis]: SlicePrompt(points=Points((ON_SLICES[axis][3],), (True,)))})


@pytest.mark.parametrize("axis", "IJK")
def test_a_point_in_a_3d_box_comes_with_the_rectangle_of_the_box(axis: str) -> None:
    _, slice_range, face, xy = ON_SLICES[axis]
    prompt = volume_prompt(DIMENSIONS, axis, box=BOX, points=np.array([CENTER]), point_labels=np.array([False])).stack
    given = SlicePrompt(face, Points((xy,), (False,)))
    assert prompt == StackPrompt({NEAREST[axis]: given}, slice_range, face)


def test_points_keep_their_order_and_join_what_a_key_slice_has() -> None:
    prompt = volume_prompt(
        DIMENSIONS,
        "K",
        key_slices={3: {"box": (3, 4, 8, 9), "points": [(5, 5, True)]}, 4: (2, 2, 9, 9)},
        points=[(7, 8, 3), (1, 1, 3), (4, 4, 5)],
        point_labels=[True, False, True],
        slice_range=(2, 6),
    ).stack
    assert prompt.slices == {
        3: SlicePrompt(Box(3, 4, 8, 9), Points(((5, 5), (7, 8), (1, 1)), (True, True, False))),
        4: SlicePrompt(Box(2, 2, 9, 9)),
        5: SlicePrompt(points=Points(((4, 4),), (True,))),
    }
    assert (prompt.slice_range, prompt.box3d) == ((2, 6), None)


def test_key_slices_in_every_form() -> None:
    mask = np.zeros((4, 5), int)
    mask[1:3, 2] = 7
    given = SlicePrompt(points=Points(((1, 2),), (True,)))
    prompt = volume_prompt(
        (5, 4, 10),
        "K",
        key_slices={
            np.int64(7): (1, 2, 3, 3),
            3: Box(0, 0, 1, 1),
            5: given,
            6: {"box": (1, 2, 3, 3), "points": [(1.5, 2, True), (0, 0, False)], "mask": mask},
        },
        slice_range=(2, 9),
    ).stack
    assert list(prompt.slices) == [3, 5, 6, 7] and prompt.slice_range == (2, 9)
    assert prompt.slices[7] == SlicePrompt(Box(1, 2, 3, 3)) and prompt.slices[5] == given
    whole = prompt.slices[6]
    assert whole.points == Points(((1.5, 2), (0, 0)), (True, False)) and whole.box == Box(1, 2, 3, 3)
    assert whole.mask is not None and whole.mask.mask is not None
    np.testing.assert_array_equal(whole.mask.mask, mask > 0)


def test_a_mask_prompt_is_taken_as_it_is() -> None:
    logits = MaskPrompt(logits=np.zeros((4, 4), np.float32))
    prompt = volume_prompt(DIMENSIONS, "K", key_slices={3: {"mask": logits}}).stack
    assert prompt.slices[3].mask is logits


@pytest.mark.parametrize("axis", "IJK")
def test_a_rough_mask_prompts_every_slice_that_it_holds(axis: str) -> None:
    mask = np.zeros(DIMENSIONS[::-1], bool)
    mask[2:4, 5:9, 11:14] = True
    prompt = volume_prompt(DIMENSIONS, axis, mask=mask).stack
    slices = np.moveaxis(mask, {"K": 0, "J": 1, "I": 2}[axis], 0)
    assert list(prompt.slices) == {"K": [2, 3], "J": [5, 6, 7, 8], "I": [11, 12, 13]}[axis]
    for index, given in prompt.slices.items():
        assert given.kinds == {"mask"} and given.mask is not None
        np.testing.assert_array_equal(given.mask.mask, slices[index])


@pytest.mark.parametrize("axis", "IJK")
def test_nothing_is_left_outside_an_oriented_box(axis: str) -> None:
    """The box |x - 5| <= 2.2, |y - 6| <= 3.2, |z - 4| <= 1.2 mm; voxels of 1 mm, indices and RAS the same."""
    numbers = (1 / 2.2, 0, 0, -5 / 2.2, 0, 1 / 3.2, 0, -6 / 3.2, 0, 0, 1 / 1.2, -4 / 1.2)
    prompt = volume_prompt(DIMENSIONS, axis, (BOX, OrientedBox(numbers)))
    expected = np.zeros(DIMENSIONS[::-1], bool)
    expected[3:6, 3:10, 3:8] = True
    slices = np.moveaxis(expected, {"K": 0, "J": 1, "I": 2}[axis], 0)
    for index in range(len(slices)):
        result = SliceResult(index, np.ones(slices.shape[1:], bool), None, 1.0, 1.0, False)
        np.testing.assert_array_equal(prompt.limited(result, np.eye(4)).mask, slices[index])
    assert VolumePrompt(axis, prompt.stack).limited(result, np.eye(4)) is result


@pytest.mark.parametrize("axis", "IJK")
def test_the_matrix_of_a_slice_leads_to_its_voxels(axis: str) -> None:
    voxels = np.arange(np.prod(DIMENSIONS)).reshape(DIMENSIONS[::-1])
    i, j, k, _ = (slice_to_ijk(axis, 4) @ [2, 3, 1, 1]).astype(int)
    assert voxels[k, j, i] == np.moveaxis(voxels, {"K": 0, "J": 1, "I": 2}[axis], 0)[5, 3, 2]


MASK = np.zeros(DIMENSIONS[::-1], bool)
MASK[3, 5, 5] = True


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({}, "the prompt is empty"),
        ({"key_slices": {}}, "the prompt is empty"),
        ({"box": ((3, 8), (4, 9), (1, 10))}, "K = 1 to 10 lies outside the volume: K runs from 0 to 9"),
        ({"box": ((3, 8), (9, 4), (1, 5))}, "J0 = 9 is above J1 = 4"),
        ({"box": (3, 8, 4, 9, 1, 5)}, r"give \(\(i0, i1\), \(j0, j1\), \(k0, k1\)\)"),
        ({"box": ((3, 8), (4, 9))}, "no 3D box"),
        ({"box": "K"}, "no 3D box"),
        ({"box": ((3, 8.5), (4, 9), (1, 5))}, "no 3D box"),
        ({"box": ((-1, 8), (4, 9), (1, 5))}, "I runs from 0 to 29"),
        ({"box": BOX, "roi": (BOX, None)}, "a box and an ROI were given"),
        ({"key_slices": [(1, 2, 3, 4)]}, "give a mapping"),
        ({"key_slices": {"middle": (1, 2, 3, 4)}}, "give a mapping"),
        ({"key_slices": {2.5: (1, 2, 3, 4)}}, "give a mapping"),
        ({"key_slices": {3: (3, 2, 1, 4)}}, "lower edge"),
        ({"key_slices": {3: {}}}, "the prompt is empty"),
        ({"key_slices": {3: {"rectangle": (1, 2, 3, 4)}}}, "no 'rectangle'"),
        ({"key_slices": {3: {"points": [(1, 2)]}}}, r"\(x, y, True\)"),
        ({"key_slices": {3: np.arange(400).reshape(20, 20)}}, "no box on a slice"),
        ({"key_slices": {3: {"points": [(1, 2, False)]}}}, "all points are negative"),
        ({"key_slices": {3: {"mask": np.zeros((3, 3))}}}, "empty"),
        ({"key_slices": {3: (1, 1, 2, 2)}, "slice_range": (4, 2)}, "reversed"),
        ({"key_slices": {3: (1, 1, 2, 2)}, "slice_range": 3}, "give the first and the last slice"),
        ({"key_slices": {3: (1, 1, 2, 2)}, "slice_range": (1,)}, "give the first and the last slice"),
        ({"key_slices": {3: (1, 1, 2, 2)}, "slice_range": ("a", "b")}, "give the first and the last slice"),
        ({"key_slices": {10: (1, 1, 2, 2)}}, "slice 10 lies outside the volume"),
        ({"key_slices": {3: (1, 1, 2, 20)}}, "lies outside the slice"),
        ({"key_slices": {3: (1, 1, 2)}}, r"give \(x0, y0, x1, y1\)"),
        ({"key_slices": {3: (1, 1, 2, 2)}, "slice_range": (4, 6)}, "key slice 3 lies outside slices 4 to 6"),
        ({"key_slices": {3: (1, 1, 2, 2)}, "slice_range": (3, 10)}, "slice 10 lies outside the volume"),
        ({"box": BOX, "slice_range": (2, 3)}, "a slice range goes with key slices"),
        ({"box": BOX, "key_slices": {7: (1, 1, 2, 2)}}, "key slice 7 lies outside slices 1 to 5"),
        ({"points": [(1, 1, 10)]}, "lies outside the volume: K runs from 0 to 9"),
        ({"points": [(1, 1, float("nan"))]}, "lies outside the volume"),
        ({"points": [(30, 1, 3)]}, "lies outside the slice"),
        ({"points": [(1, 1)]}, r"give \(i, j, k\)"),
        ({"points": "here"}, r"give \(i, j, k\)"),
        ({"points": [(1, 1, 1)], "point_labels": [True, False]}, "2 labels for 1 points"),
        ({"point_labels": [True]}, "without points"),
        ({"points": [(1, 1, 1)], "point_labels": [False]}, "all points are negative"),
        ({"box": BOX, "points": [(9, 5, 3)]}, "lies outside the 3D box"),
        ({"mask": MASK[:5]}, r"give bool \(k, j, i\) of shape \(10, 20, 30\)"),
        ({"mask": MASK.astype(np.uint8)}, "give bool"),
        ({"mask": MASK & False}, "the mask is empty"),
        ({"mask": MASK, "key_slices": {3: SlicePrompt(mask=MaskPrompt(mask=MASK[3]))}}, "slice 3 has two masks"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(prompt: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        volume_prompt(DIMENSIONS, "K", **prompt)
    assert "\n" not in str(error.value)


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(InputError, match="choose I, J or K"):
        volume_prompt(DIMENSIONS, "Z", box=BOX)


@pytest.mark.parametrize("axis", "IJK")
def test_key_masks_are_the_slices_of_a_labelmap_that_hold_something(axis: str) -> None:
    labelmap = np.zeros(DIMENSIONS[::-1], np.uint8)
    slices = np.moveaxis(labelmap, "KJI".index(axis), 0)
    slices[2, 3:6, 4:8], slices[7, 5, 5] = 3, 1
    prompt = volume_prompt(DIMENSIONS, axis, key_masks=labelmap).stack
    assert list(prompt.slices) == [2, 7] and prompt.kinds == {"key mask"}
    for index, mask in prompt.key_masks.items():
        assert mask.dtype == bool and np.array_equal(mask, slices[index] > 0)
    by_index = volume_prompt(DIMENSIONS, axis, key_masks={index: slices[index] for index in (7, 2)}).stack
    assert all(np.array_equal(by_index.key_masks[index], mask) for index, mask in prompt.key_masks.items())


def test_key_masks_go_with_other_prompts_on_other_slices() -> None:
    mask = np.zeros((20, 30), bool)
    mask[6:9, 4:20] = True
    prompt = volume_prompt(DIMENSIONS, "K", box=BOX, key_masks={4: mask, 5: mask & False}).stack
    assert (prompt.box3d, prompt.slice_range) == (Box(3, 4, 8, 9), (1, 5))
    assert list(prompt.key_masks) == [4, 5] and not prompt.key_masks[5].any()
    beside = volume_prompt(DIMENSIONS, "K", key_slices={2: (1, 2, 3, 4)}, key_masks={4: mask}).stack
    assert list(beside.slices) == [2, 4] and list(beside.key_masks) == [4]
    again = volume_prompt(DIMENSIONS, "K", key_slices=dict(beside.slices)).stack
    assert np.array_equal(again.key_masks[4], mask)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"key_masks": {4: np.ones((20, 30))}, "key_slices": {4: (1, 2, 3, 4)}}, "slice 4 has a key mask"),
        ({"key_masks": {4: np.ones((20, 30))}, "points": [(5, 5, 4)]}, "slice 4 has a key mask"),
        ({"key_masks": np.zeros((10, 20, 30), bool)}, "the mask is empty"),
        ({"key_masks": np.ones((10, 30, 20), bool)}, "shape"),
        ({"key_masks": {4: np.zeros((20, 30))}}, "all key masks are empty"),
        ({"key_masks": {4: np.ones((30, 20))}}, "does not fit a slice"),
        ({"key_masks": {10: np.ones((20, 30))}}, "outside the volume"),
        ({"key_masks": {4: np.ones((20, 30))}, "slice_range": (5, 8)}, "lies outside slices 5 to 8"),
        ({"key_masks": {"four": np.ones((20, 30))}}, "cannot be read"),
        ({"key_masks": "labels.nrrd"}, "not an array"),
    ],
)
def test_key_masks_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        volume_prompt(DIMENSIONS, "K", **given)


def test_a_rotated_roi_cuts_no_key_mask() -> None:
    mask = np.ones((20, 30), bool)
    stack = StackPrompt({3: SlicePrompt(key_mask=KeyMask(mask))})
    small = OrientedBox((1.0, 0.0, 0.0, -5.0, 0.0, 1.0, 0.0, -5.0, 0.0, 0.0, 1.0, 0.0))
    prompt = VolumePrompt("K", stack, small)
    for index, kept in ((3, mask), (2, None)):
        found = prompt.limited(SliceResult(index, mask, None, 1.0, 1.0, False), np.eye(4)).mask
        assert np.array_equal(found, mask) == (kept is not None)
