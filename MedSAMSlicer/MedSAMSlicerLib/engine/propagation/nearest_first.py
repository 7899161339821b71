"""Order of propagations that do not depend on each other: slices near the one that the user looks at come first.

The order changes no mask. It only decides which slices a user sees first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from ..results import SliceResult
from .slice_predictor import SlicePredictor


class Walk:
    """One propagation.

    Args:
        order: its slices, in the order in which they are predicted. It may end before the last of them.
        results: their results; nothing is predicted before the first one is requested.
    """

    def __init__(self, order: Iterable[int], results: Iterator[SliceResult]) -> None:
        self.left, self.results = deque(order), results


def nearest_first(
    predictor: SlicePredictor, walks: Sequence[Walk], in_view: int, certain: bool = True
) -> Iterator[SliceResult]:
    """Take turns among propagations: the one whose next slice is nearest to `in_view` continues.

    Args:
        predictor: predictor of the stack, which encodes slices in the background in this order.
        walks: propagations that do not depend on each other.
        in_view: slice that the user looks at.
        certain: whether all slices will be predicted; see `SlicePredictor.announce`.

    Yields:
        The results of all of them.
    """
    under_way = [walk for walk in walks if walk.left]
    predictor.announce(_order([walk.left for walk in under_way], in_view), certain)
    while under_way:
        walk = min(under_way, key=lambda one: abs(one.left[0] - in_view))
        result = next(walk.results, None)
        if result is not None:
            yield result
            if len(walk.left) > 1:  # the last one stays: the next turn finds out that no result is left
                walk.left.popleft()
        else:
            under_way.remove(walk)
            predictor.announce(_order([one.left for one in under_way], in_view), certain)


def _order(orders: Iterable[Iterable[int]], in_view: int) -> list[int]:
    """The slices in the order in which `nearest_first` comes to them."""
    left = [deque(order) for order in orders]
    merged = []
    while left := [order for order in left if order]:
        merged.append(min(left, key=lambda order: abs(order[0] - in_view)).popleft())
    return merged
