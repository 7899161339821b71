"""Which slices a change of key slices affects: those between the nearest unchanged key slices."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult, StackResult
from MedSAMSlicerLib.engine.stack import ArrayStack

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.state.partial_run import PartialRun, PartialStack, partial_run_for  # noqa: E402

A, B = Box(1, 1, 4, 4), Box(2, 2, 5, 5)


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ({3: A, 7: A, 12: A}, {3: A, 7: B, 12: A}, PartialRun(3, 12, True, True)),
        ({3: A, 12: A}, {3: A, 7: A, 12: A}, PartialRun(3, 12, True, True)),
        ({3: A, 7: A, 12: A}, {3: A, 12: A}, PartialRun(3, 12, True, True)),
        ({3: A, 7: A}, {3: A, 7: B}, PartialRun(3, 19, True, False)),
        ({3: A, 7: A}, {7: A}, PartialRun(0, 7, False, True)),
        ({7: A}, {7: B}, PartialRun(0, 19)),
        ({7: A}, {9: A}, PartialRun(0, 19)),
        ({3: A, 7: A, 9: A, 12: A}, {3: A, 7: B, 9: B, 12: A}, PartialRun(3, 12, True, True)),
        ({3: A, 7: A}, {3: A, 7: A}, None),
    ],
)
def test_part_between_the_neighbours(before: dict[int, Box], after: dict[int, Box], part: PartialRun | None) -> None:
    assert partial_run_for(before, after, 20) == part


def test_the_neighbours_guide_the_run_but_keep_their_results() -> None:
    part = PartialRun(3, 12, True, True)
    assert [index for index in range(20) if part.replaces(index)] == list(range(4, 12))
    prompt = part.prompt_of(StackPrompt({1: A, 3: A, 7: B, 12: A, 15: A}))
    assert {index: given.box for index, given in prompt.slices.items()} == {0: A, 4: B, 9: A}
    assert prompt.slice_range == (0, 9)  # between two key slices the object goes on


def test_beyond_the_last_key_slice_the_object_may_end() -> None:
    prompt = PartialRun(7, 19, True, False).prompt_of(StackPrompt({3: A, 7: A, 9: B}))
    assert {index: given.box for index, given in prompt.slices.items()} == {0: A, 2: B}
    assert prompt.slice_range is None
    assert PartialRun(7, 19, True, False).prompt_of(StackPrompt({7: A, 9: B}, (5, 16))).slice_range == (0, 9)


def test_the_slices_outside_the_part_are_kept_from_the_earlier_result() -> None:
    earlier = StackResult((20, 3, 3))
    for index in range(2, 16):
        earlier.add(SliceResult(index, np.ones((3, 3), bool), A, 1.0, 1.0, False))
    part = PartialRun(3, 12, True, True)
    assert part.kept(earlier) == [2, 3, 12, 13, 14, 15]
    assert part.over_whole_stack(20).kept(earlier) == [2, 3, 12, 13, 14, 15]


def test_a_part_is_a_stack_of_its_own() -> None:
    voxels = np.arange(20 * 3 * 4).reshape(20, 3, 4)
    part = PartialStack(ArrayStack(voxels, (1.0, 2.0, 3.0), "K"), PartialRun(5, 9))
    assert part.shape == (5, 3, 4) and part.spacing == (3.0, 2.0, 1.0)
    assert (part.slice_values(4) == voxels[9]).all()
    with pytest.raises(IndexError):
        part.slice_values(5)


def test_a_run_does_not_begin_at_a_key_slice_that_cannot_guide_it() -> None:
    """Slice 8 says that the object is not there: from it alone nothing could be segmented."""
    before, after = {5: "a", 8: "empty", 12: "b"}, {5: "a", 8: "empty"}
    assert partial_run_for(before, after, 20) == PartialRun(8, 19, below=True)
    assert partial_run_for(before, after, 20, guides=[5]) == PartialRun(5, 19, below=True)
