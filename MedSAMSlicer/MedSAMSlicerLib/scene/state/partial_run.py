"""Which slices to segment again after a change of key slices: those between the nearest unchanged key slices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ...engine.prompts import StackPrompt
from ...engine.results import StackResult
from ..volume.view_plane import Stack


@dataclass(frozen=True)
class PartialRun:
    """A run over a part of a stack; all indices are those of the whole stack.

    Attributes:
        first, last: first and last slice that the engine segments. Key slices at either end, which have not changed,
            guide the run and keep their results.
        below, above: whether `first` and `last` are such key slices.
        replaced: first and last slice whose results the run replaces, where these are fewer than it segments.
    """

    first: int
    last: int
    below: bool = False
    above: bool = False
    replaced: tuple[int, int] | None = None

    def replaces(self, index: int) -> bool:
        """Whether the run replaces the result of slice `index`."""
        first, last = self.replaced or (self.first + self.below, self.last - self.above)
        return first <= index <= last

    def kept(self, earlier: StackResult) -> list[int]:
        """The slices of an earlier result that the run does not replace."""
        return [index for index in earlier.indices if not self.replaces(index)]

    def over_whole_stack(self, slices: int) -> PartialRun:
        """A run over all `slices` of the stack that replaces the same ones.

        Within a 3D box the result of each slice depends on the whole box. The slices are encoded already, so segmenting
        them again takes little time.
        """
        return PartialRun(0, slices - 1, replaced=(self.first + self.below, self.last - self.above))

    def prompt_of(self, prompt: StackPrompt) -> StackPrompt:
        """The prompt of the whole stack with slices counted from `first`.

        The object is known to continue between two key slices, so their slice range covers the whole part.
        """
        slices = {
            index - self.first: given for index, given in prompt.slices.items() if self.first <= index <= self.last
        }
        first, last = prompt.slice_range or (self.first, self.last)
        slice_range = None
        if prompt.slice_range is not None or (self.below and self.above):
            slice_range = (max(first, self.first) - self.first, min(last, self.last) - self.first)
        in_view = None if prompt.in_view is None else prompt.in_view - self.first
        return StackPrompt(slices, slice_range, prompt.box3d, in_view)


def partial_run_for(
    before: Mapping[int, object], after: Mapping[int, object], slices: int, guides: Collection[int] | None = None
) -> PartialRun | None:
    """The part of a stack of `slices` slices that a change of key slices affects; None if nothing changed.

    Args:
        before, after: slice index -> prompt of the key slice, in the earlier run and now.
        guides: key slices that can guide a run of a part at whose end they lie; None for all of them.
    """
    changed = sorted(index for index in {*before, *after} if before.get(index) != after.get(index))
    if not changed:
        return None
    guides = after if guides is None else guides
    unchanged = [index for index in after if before.get(index) == after[index] and index in guides]
    below = max((index for index in unchanged if index < changed[0]), default=None)
    above = min((index for index in unchanged if index > changed[-1]), default=None)
    return PartialRun(
        0 if below is None else below,
        slices - 1 if above is None else above,
        below is not None,
        above is not None,
    )


class PartialStack:
    """The slices `first` to `last` of a stack as a stack of their own. Satisfies `ValueSource`."""

    def __init__(self, stack: Stack, part: PartialRun) -> None:
        self._stack, self._part = stack, part

    @property
    def shape(self) -> tuple[int, int, int]:
        _slices, rows, columns = self._stack.shape
        return (self._part.last - self._part.first + 1, rows, columns)

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._stack.spacing

    def slice_values(self, index: int) -> np.ndarray:
        if not 0 <= index < self.shape[0]:
            raise IndexError(f"slice {index} of a part of {self.shape[0]}")
        return self._stack.slice_values(index + self._part.first)
