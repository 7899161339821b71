"""What a change of key slices concerns: from the neighbour below to the one above."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult, StackResult
from MedSAMSlicerLib.engine.stack import ArrayStack

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.state.partial_run import Part, PartStack, merged, part_to_run, prompt_for  # noqa: E402

A, B = Box(1, 1, 4, 4), Box(2, 2, 5, 5)


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ({3: A, 7: A, 12: A}, {3: A, 7: B, 12: A}, Part(3, 12, True, True)),
        ({3: A, 12: A}, {3: A, 7: A, 12: A}, Part(3, 12, True, True)),
        ({3: A, 7: A, 12: A}, {3: A, 12: A}, Part(3, 12, True, True)),
        ({3: A, 7: A}, {3: A, 7: B}, Part(3, 19, True, False)),
        ({3: A, 7: A}, {7: A}, Part(0, 7, False, True)),
        ({7: A}, {7: B}, Part(0, 19)),
        ({7: A}, {9: A}, Part(0, 19)),
        ({3: A, 7: A, 9: A, 12: A}, {3: A, 7: B, 9: B, 12: A}, Part(3, 12, True, True)),
        ({3: A, 7: A}, {3: A, 7: A}, None),
    ],
)
def test_part_between_the_neighbours(before: dict[int, Box], after: dict[int, Box], part: Part | None) -> None:
    assert part_to_run(before, after, 20) == part


def test_the_neighbours_guide_the_run_but_keep_their_results() -> None:
    part = Part(3, 12, True, True)
    assert [index for index in range(20) if part.replaces(index)] == list(range(4, 12))
    prompt = prompt_for(part, StackPrompt({1: A, 3: A, 7: B, 12: A, 15: A}))
    assert {index: given.box for index, given in prompt.slices.items()} == {0: A, 4: B, 9: A}
    assert prompt.slice_range == (0, 9)  # between two key slices the object goes on


def test_beyond_the_last_key_slice_the_object_may_end() -> None:
    prompt = prompt_for(Part(7, 19, True, False), StackPrompt({3: A, 7: A, 9: B}))
    assert {index: given.box for index, given in prompt.slices.items()} == {0: A, 2: B}
    assert prompt.slice_range is None
    assert prompt_for(Part(7, 19, True, False), StackPrompt({7: A, 9: B}, (5, 16))).slice_range == (0, 9)


def test_results_are_merged_and_what_is_no_longer_found_goes() -> None:
    def found(index: int, value: bool) -> SliceResult:
        return SliceResult(index, np.full((3, 3), value), A, 1.0, 1.0, False)

    earlier, new = StackResult((20, 3, 3)), StackResult((10, 3, 3))
    for index in range(2, 16):
        earlier.add(found(index, True))
    for index in (0, 1, 4, 9):
        new.add(found(index, False))
    result = merged(earlier, Part(3, 12, True, True), new)
    assert [one.index for one in result] == [2, 3, 4, 7, 12, 13, 14, 15]
    assert [one.index for one in result if not one.mask.any()] == [4, 7]


def test_a_part_is_a_stack_of_its_own() -> None:
    voxels = np.arange(20 * 3 * 4).reshape(20, 3, 4)
    part = PartStack(ArrayStack(voxels, (1.0, 2.0, 3.0), "K"), Part(5, 9))
    assert part.shape == (5, 3, 4) and part.spacing == (3.0, 2.0, 1.0)
    assert (part.slice_values(4) == voxels[9]).all()
    with pytest.raises(IndexError):
        part.slice_values(5)
