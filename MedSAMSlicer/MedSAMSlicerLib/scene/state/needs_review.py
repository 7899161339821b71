"""Slices of a result that need review by a person."""

from __future__ import annotations

from ...engine.results import StackResult


def slices_to_review(result: StackResult) -> list[int]:
    """Indices of the slices that need review, in ascending order. Key slices, given by the user, are not among them."""
    return [found.index for found in result if found.needs_review and not found.key]


def next_slice_to_review(result: StackResult, after: int) -> int | None:
    """The first slice after `after` that needs review, else the first of all; None if no slice needs review."""
    indices = slices_to_review(result)
    return next((index for index in indices if index > after), indices[0] if indices else None)
