"""Results of a stack: which slices a person should review."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.results import SliceResult, StackResult


def stack_result(needs_review: dict[int, bool], keys: tuple[int, ...] = ()) -> StackResult:
    """A result with these slices, added in this order; True: the slice needs review."""
    result = StackResult((12, 4, 5))
    for index, flagged in needs_review.items():
        mask = np.ones((4, 5), bool)
        result.add(SliceResult(index, mask, None, 0.9, 0.2 if flagged else 0.9, flagged, key=index in keys))
    return result


def test_slices_to_review_are_in_order_and_without_key_slices() -> None:
    result = stack_result({9: True, 3: True, 4: False, 6: True}, keys=(6,))
    assert result.slices_to_review == [3, 9]


@pytest.mark.parametrize(("after", "expected"), [(-1, 3), (2, 3), (3, 7), (6, 7), (7, 9), (9, 3), (11, 3)])
def test_the_next_slice_to_review_is_the_first_above_and_then_the_lowest(after: int, expected: int) -> None:
    result = stack_result({3: True, 5: False, 7: True, 9: True})
    assert result.next_slice_to_review(after) == expected


def test_without_slices_to_review_there_is_no_next_one() -> None:
    assert stack_result({3: False}).next_slice_to_review(-1) is None
    assert StackResult((3, 4, 5)).next_slice_to_review(0) is None


def test_slices_are_taken_over_from_another_result_as_they_are() -> None:
    before = StackResult((12, 4, 5))
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:4] = True
    before.add(SliceResult(3, mask, None, 0.9, 0.4, True, low_res_logits=np.full((2, 2), 1.5, np.float32)))
    before.add(SliceResult(5, np.zeros((4, 5), bool), None, 0.9, 0.4, False))
    after = StackResult((12, 4, 5))
    after.take_over(before, [3, 5])
    assert after.indices == [3, 5] and after[3].needs_review
    np.testing.assert_array_equal(after[3].mask, mask)
    np.testing.assert_array_equal(after[3].low_res_logits, before[3].low_res_logits)
    row, column, crop = after.crop(3)
    assert (row, column) == (1, 2)
    np.testing.assert_array_equal(crop, mask[1:3, 2:4])
    assert after.crop(5)[2].size == 0
    with pytest.raises(InputError):
        StackResult((12, 4, 6)).take_over(before, [3])
