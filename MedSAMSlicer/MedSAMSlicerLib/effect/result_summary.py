"""What the options frame shows of a result: counts, and one coloured cell for each slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from slicer.i18n import tr as _

from ..engine.results import SliceResult, StackResult

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

# Okabe and Ito's palette: told apart by colour-blind people too. Slices that need review also have a mark.
UNRELIABLE, RELIABLE = (213, 94, 0), (0, 114, 178)
NO_RESULT = (128, 128, 128)
KEY_MARK, REVIEW_MARK = "◆", "!"


class StripCell(NamedTuple):
    """A cell of the confidence strip."""

    mark: str
    color: Color
    tooltip: str


@dataclass(frozen=True)
class ResultSummary:
    """Summary of a result.

    Attributes:
        first_slice: slice of the first cell.
        cells: confidence strip: all slices from the first to the last of the result.
        found: number of slices with a non-empty mask.
        to_review: number of slices that need review.
    """

    first_slice: int
    cells: tuple[StripCell, ...]
    found: int
    to_review: int


@dataclass
class _Cells:
    """Cells of the slices of a result, made once: a result grows during a run, and the strip is shown ten times a second."""

    by_slice: dict[int, tuple[SliceResult | None, StripCell]] = field(default_factory=dict)

    def of(self, index: int, found: SliceResult | None, name_of: Callable[[int], str]) -> StripCell:
        known = self.by_slice.get(index)
        if known is None or known[0] is not found:
            cell = _empty_cell(name_of(index)) if found is None else _cell(found, name_of(index))
            known = self.by_slice[index] = (found, cell)
        return known[1]


_cells: WeakKeyDictionary[StackResult, _Cells] = WeakKeyDictionary()


def summary_of(result: StackResult, name_of: Callable[[int], str]) -> ResultSummary:
    """Summary of a result, which may grow; cells are remembered as long as the result exists.

    Args:
        name_of: what the user knows a slice by, besides its number.
    """
    cells = _cells.setdefault(result, _Cells())
    by_index = {found.index: found for found in result.cropped()}
    first, last = min(by_index, default=0), max(by_index, default=-1)
    return ResultSummary(
        first,
        tuple(cells.of(index, by_index.get(index), name_of) for index in range(first, last + 1)),
        sum(1 for found in by_index.values() if found.mask.size),
        len(result.slices_to_review),
    )


def color_of(confidence: float) -> Color:
    """Color of a confidence between 0 and 1; values outside are clipped."""
    share = min(max(confidence, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(UNRELIABLE, RELIABLE, strict=True))
    return (red, green, blue)


def _cell(found: SliceResult, name: str) -> StripCell:
    percent = round(100 * min(max(found.confidence, 0), 1))
    text = _("Slice {name}: confidence {percent} %").format(name=name, percent=percent)
    if found.provisional:
        text = f"{text}, {_('first answer')}"
    if found.interpolated:
        text = f"{text}, {_('interpolated')}"
    mark = ""
    if found.key:
        mark, text = KEY_MARK, f"{text}, {_('key slice')}"
    elif found.needs_review and not found.provisional:
        mark, text = REVIEW_MARK, f"{text}, {_('needs review')}"
    return StripCell(mark, color_of(found.confidence), text)


def _empty_cell(name: str) -> StripCell:
    return StripCell("", NO_RESULT, _("Slice {name}: no result").format(name=name))
