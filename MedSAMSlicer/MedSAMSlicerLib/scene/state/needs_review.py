"""Slices of a result that a person should look at, in the order of the stack."""

from __future__ import annotations

from ...engine.results import StackResult


def doubtful_slices(result: StackResult) -> list[int]:
    """Indices of the flagged slices, lowest first. A key slice is the user's own word and not among them."""
    return [found.index for found in result if found.needs_review and not found.key]


def next_doubtful(result: StackResult, after: int) -> int | None:
    """The next flagged slice above `after`, or the lowest one if there is none above; None if none is flagged."""
    doubtful = doubtful_slices(result)
    return next((index for index in doubtful if index > after), doubtful[0] if doubtful else None)
