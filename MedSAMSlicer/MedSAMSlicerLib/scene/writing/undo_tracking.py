"""Whether a write is still in its segment: the Segment Editor does not report what Undo and Redo have changed."""

from __future__ import annotations

from .segment_writer import SegmentChange


class TrackedWrite:
    """A write, compared with the segment as it is now whenever `look` is called.

    Args:
        change: what the write has changed.
    """

    def __init__(self, change: SegmentChange) -> None:
        self._segment, self._box = change.segment, change.box
        self._added, self._removed = change.after & ~change.before, change.before & ~change.after
        self.undone = False
        """Whether everything that was written was gone at some `look`, and was not completely back at a later one."""

    def look(self) -> None:
        """Set `undone`. It stays as it is for a write that changed nothing, or if the segment cannot be read."""
        changes = [(voxels, held) for voxels, held in ((self._added, True), (self._removed, False)) if voxels.any()]
        now = self._segment.read(self._box) if changes else None
        if now is None:
            return
        if any(not (now[voxels] == held).any() for voxels, held in changes):
            self.undone = True
        elif all((now[voxels] == held).all() for voxels, held in changes):
            self.undone = False
