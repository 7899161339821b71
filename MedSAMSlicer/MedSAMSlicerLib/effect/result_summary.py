"""What the options frame shows of a result: counts, and one coloured cell for each slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


# With the number of slices that the result had: during a run it grows.
_summaries: WeakKeyDictionary[StackResult, tuple[int, ResultSummary]] = WeakKeyDictionary()


def summary_of(result: StackResult, name_of: Callable[[int], str]) -> ResultSummary:
    """Summary of a result, which may grow; remembered as long as the result exists.

    Args:
        name_of: what the user knows a slice by, besides its number.
    """
    size, summary = _summaries.get(result, (-1, None))
    if summary is None or size != len(result):
        by_index = {found.index: _cell(found, name_of(found.index)) for found in result.cropped()}
        first, last = min(by_index, default=0), max(by_index, default=-1)
        summary = ResultSummary(
            first,
            tuple(by_index.get(index) or _empty_cell(name_of(index)) for index in range(first, last + 1)),
            sum(1 for found in result.cropped() if found.mask.any()),
            len(result.slices_to_review),
        )
        _summaries[result] = (len(result), summary)
    return summary


def color_of(confidence: float) -> Color:
    """Color of a confidence between 0 and 1; values outside are clipped."""
    share = min(max(confidence, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(UNRELIABLE, RELIABLE, strict=True))
    return (red, green, blue)


def _cell(found: SliceResult, name: str) -> StripCell:
    percent = round(100 * min(max(found.confidence, 0), 1))
    text = _("Slice {name}: confidence {percent} %").format(name=name, percent=percent)
    mark = ""
    if found.key:
        mark, text = KEY_MARK, f"{text}, {_('key slice')}"
    elif found.needs_review:
        mark, text = REVIEW_MARK, f"{text}, {_('needs review')}"
    return StripCell(mark, color_of(found.confidence), text)


def _empty_cell(name: str) -> StripCell:
    return StripCell("", NO_RESULT, _("Slice {name}: no result").format(name=name))
