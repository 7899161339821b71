"""Prompts derived from the truth tell what they say, and nothing more."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind, prompt_from_truth
from support.shapes import ellipsoid

TRUTH = ellipsoid((20, 60, 70), (10.0, 30.0, 35.0), (6.4, 14.0, 18.0))


def prompt(kind: str, truth: np.ndarray = TRUTH, **options):
    return prompt_from_truth(truth, PromptKind.parse(kind), **options)


def test_box3d_is_the_bounding_box() -> None:
    given = prompt("box3d")
    assert (given.slice_range, given.box3d) == ((4, 16), Box(17, 16, 53, 44))


def test_midslice_knows_one_rectangle_and_nothing_else() -> None:
    given = prompt("midslice")
    assert {index: one.box for index, one in given.slices.items()} == {10: Box.from_mask(TRUTH[10])}
    assert given.slice_range is None and given.box3d is None


def test_midslice_of_an_object_with_a_hole_in_the_middle_lies_where_the_object_is() -> None:
    broken = TRUTH.copy()
    broken[9:11] = False
    (index,) = prompt("midslice", broken).slices
    assert broken[index].any() and abs(index - 10) <= 2


def test_keyslices_are_spread_over_the_extent_with_both_ends() -> None:
    assert list(prompt("keyslices:3").slices) == [4, 10, 16]
    assert list(prompt("keyslices:all").slices) == list(range(4, 17))
    assert prompt("keyslices:3").slice_range == (4, 16)
    assert list(prompt("keyslices:1").slices) == [10]
    assert len(prompt("keyslices:50").slices) == 13, "never more than there are slices"


def test_jitter_is_bounded_reproducible_and_each_cases_own() -> None:
    steady = prompt("box3d").box3d
    assert steady is not None
    seen = set()
    for seed in range(30):
        moved = prompt("box3d", jitter=5, seed=seed, case="a").box3d
        assert moved == prompt("box3d", jitter=5, seed=seed, case="a").box3d
        assert moved is not None
        difference = np.subtract(moved.xyxy, steady.xyxy)
        assert np.abs(difference).max() <= 5 and (difference == difference.round()).all()
        seen.add(moved.xyxy)
    assert len(seen) > 25
    assert prompt("box3d", jitter=5, case="a").box3d != prompt("box3d", jitter=5, case="b").box3d


def test_jitter_never_leaves_the_slice_nor_turns_a_narrow_box_over() -> None:
    narrow = np.zeros((3, 20, 20), bool)
    narrow[1, 0:2, 18:20] = True
    for seed in range(50):
        box = prompt("box3d", narrow, jitter=5, seed=seed).box3d
        assert box is not None and box.intersection(Box.of_slice(20, 20)) == box


@pytest.mark.parametrize("text", ["box", "keyslices", "keyslices:0", "keyslices:-1", "keyslices:two", ""])
def test_unknown_prompts_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(InputError, match="keyslices:all"):
        PromptKind.parse(text)


def test_names_survive_the_round_trip() -> None:
    for text in ("box3d", "midslice", "keyslices:3", "keyslices:all"):
        assert str(PromptKind.parse(text)) == text


def test_keymasks_are_the_truth_on_the_slices_of_keyslices() -> None:
    given = prompt("keymasks:3", jitter=5)
    assert list(given.slices) == [4, 10, 16] and given.slice_range == (4, 16) and given.kinds == {"key mask"}
    assert all(np.array_equal(mask, TRUTH[index]) for index, mask in given.key_masks.items())
    assert str(PromptKind.parse("keymasks:3")) == "keymasks:3"
    for text in ("keymasks", "keymasks:0", "keymasks:all"):
        with pytest.raises(InputError, match="keymasks:N"):
            PromptKind.parse(text)
