"""Which slices of a segment need review, which of them a person has looked at, and the tags in which segments keep that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

TO_REVIEW_TAG = "MedSAMSlicer.SlicesToReview"
"""Tag of a segment with the names of the slices that need review, between spaces."""
SEEN_TAG = "MedSAMSlicer.SlicesLookedAt"
"""Tag of a segment with the names of those that a person has looked at since they were contoured."""
REVIEWED_TAG = "MedSAMSlicer.Reviewed"
"""Tag of a segment: "yes" or "no", if a person said whether it was reviewed, whatever the other tags say."""
REVIEWED_BY_TAG, REVIEWED_ON_TAG = "MedSAMSlicer.ReviewedBy", "MedSAMSlicer.ReviewedOn"
"""Tags of a segment: who has reviewed it, and when, only if the user entered it."""


@dataclass(frozen=True)
class SlicesToReview:
    """Slices of a segment that need review.

    Attributes:
        needed: their names, without spaces.
        seen: names of those that a person has looked at.
    """

    needed: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()

    @classmethod
    def from_tags(cls, tag_of: Callable[[str], str]) -> SlicesToReview:
        """Read the tags of a segment; `tag_of` gives the text of a tag, empty if there is none."""
        needed = frozenset(tag_of(TO_REVIEW_TAG).split())
        return cls(needed, needed & frozenset(tag_of(SEEN_TAG).split()))

    def tags(self) -> dict[str, str]:
        """The tags that keep this, which `from_tags` reads."""
        return {TO_REVIEW_TAG: " ".join(sorted(self.needed)), SEEN_TAG: " ".join(sorted(self.seen))}

    @property
    def all_seen(self) -> bool:
        """Whether a person has looked at all of them; False if none needs review, because then nobody has looked at any."""
        return bool(self.needed) and self.needed == self.seen

    def with_written(self, needed: Iterable[str], seen: Iterable[str], replaced: Iterable[str] = ()) -> SlicesToReview:
        """After a result was written into the segment, too: its slices have to be looked at again.

        Args:
            needed, seen: of the result.
            replaced: slices of an earlier form of the result, which no longer counts.
        """
        needed = frozenset(needed)
        kept = self.needed - frozenset(replaced) - needed
        return SlicesToReview(kept | needed, (self.seen & kept) | (needed & frozenset(seen)))


def is_reviewed(tag_of: Callable[[str], str]) -> bool:
    """Whether a segment counts as reviewed: a person said so, or has looked at every slice that needs it.

    Args:
        tag_of: gives the text of a tag of the segment, empty if there is none.
    """
    said = tag_of(REVIEWED_TAG)
    return said == "yes" if said else SlicesToReview.from_tags(tag_of).all_seen
