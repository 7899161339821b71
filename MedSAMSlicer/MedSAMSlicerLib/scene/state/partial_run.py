"""A run over the part of a stack that a change of key slices concerns: from the neighbour below to the one above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...engine.prompts import StackPrompt
from ...engine.results import StackResult
from ..volume.view_plane import Stack


@dataclass(frozen=True)
class Part:
    """Slices that are run again.

    Attributes:
        first, last: slices that the engine sees, included. The neighbouring key slices are among them, because what
            lies between is guided by both; their own results stay.
        below, above: whether there is such a neighbour at the first and at the last slice.
        only: first and last slice that are replaced, where more are run than that.
    """

    first: int
    last: int
    below: bool = False
    above: bool = False
    only: tuple[int, int] | None = None

    def replaces(self, index: int) -> bool:
        """Whether the result of a slice comes from the new run."""
        first, last = self.only or (self.first + self.below, self.last - self.above)
        return first <= index <= last

    def of_whole_stack(self, slices: int) -> Part:
        """The same slices are replaced, but all are run: in a 3D box each slice's answer rests on the whole box.

        They are encoded already, so that running them again takes little time.
        """
        return Part(0, slices - 1, only=(self.first + self.below, self.last - self.above))


def part_to_run(before: Mapping[int, object], after: Mapping[int, object], slices: int) -> Part | None:
    """Part of a stack of so many slices that changes with its key slices; None if nothing changes.

    Args:
        before, after: slice index -> what was given on the key slices of the earlier run, and of now.
    """
    changed = sorted(index for index in {*before, *after} if before.get(index) != after.get(index))
    if not changed:
        return None
    same = [index for index in after if before.get(index) == after[index]]
    below = max((index for index in same if index < changed[0]), default=None)
    above = min((index for index in same if index > changed[-1]), default=None)
    return Part(
        0 if below is None else below,
        slices - 1 if above is None else above,
        below is not None,
        above is not None,
    )


def prompt_for(part: Part, prompt: StackPrompt) -> StackPrompt:
    """`prompt`, of the whole stack, as one of the part's own slices, counted from its first.

    Between two neighbours the object is known to go on, so the whole part is in reach.
    """
    inside = {index - part.first: given for index, given in prompt.slices.items() if part.first <= index <= part.last}
    first, last = prompt.slice_range or (part.first, part.last)
    reach = None
    if prompt.slice_range is not None or (part.below and part.above):
        reach = (max(first, part.first) - part.first, min(last, part.last) - part.first)
    return StackPrompt(inside, reach, prompt.box3d)


def merged(earlier: StackResult, part: Part, new: StackResult) -> StackResult:
    """The earlier result with the part's slices taken from `new`, which counts from the part's first slice."""
    result = StackResult(earlier.shape)
    for found in earlier:
        if not part.replaces(found.index):
            result.add(found)
    for found in new:
        if part.replaces(found.index + part.first):
            result.add(replace(found, index=found.index + part.first))
    return result


class PartStack:
    """Some slices of a stack, as a stack of their own. Satisfies `ValueSource`."""

    def __init__(self, stack: Stack, part: Part) -> None:
        self._stack, self._part = stack, part

    @property
    def shape(self) -> tuple[int, int, int]:
        _slices, rows, columns = self._stack.shape
        return (self._part.last - self._part.first + 1, rows, columns)

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._stack.spacing

    def slice_to_world(self, index: int) -> np.ndarray:
        """(4, 4) that takes (column, row, 0) of a slice to world RAS mm."""
        return self._stack.slice_to_world(index + self._part.first)

    def slice_values(self, index: int) -> np.ndarray:
        if not 0 <= index < self.shape[0]:
            raise IndexError(f"slice {index} of a part of {self.shape[0]}")
        return self._stack.slice_values(index + self._part.first)
