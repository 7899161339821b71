"""Writes the current result of a segment, replaces it when it is corrected, and notices when it is undone."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import slicer
import vtk

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.results import StackResult
from ...engine.review import SlicesToReview
from ...engine.volume.voxel_box import CroppedMask, Index
from ..state.edits import Edits
from ..state.segment_state import SegmentState
from ..volume.view_plane import Plane
from .edited_slices import WrittenObject
from .segment_editor import SegmentEditor
from .segment_tags import review_of, slice_names, tag_provenance, tag_review
from .segment_writer import SegmentChange, SegmentWriter, Written
from .segmentation_grid import SegmentVoxels, place_mask, reference_geometry

_REMEMBERED = 10
"""Number of writes that are tracked: the Segment Editor keeps as many undo steps."""
SAMPLED_VOXELS = 20_000
"""How many of the voxels that a write has changed are compared later. In mode "replace" they may be as many as the volume
has, and several writes are tracked."""


class TrackedWrite:
    """A write, compared with the segment as it is now whenever `look` is called.

    The Segment Editor does not report what Undo and Redo have changed. Of many changed voxels, `SAMPLED_VOXELS` that are
    spread evenly stand for all.

    Args:
        change: what the write has changed.
    """

    def __init__(self, change: SegmentChange) -> None:
        self._segment, first = change.segment, change.box.first
        self._added = _sampled_difference(change.after, change.before, first)
        self._removed = _sampled_difference(change.before, change.after, first)
        self.undone = False
        """Whether everything that was written was gone at some `look`, and was not completely back at a later one."""
        self.there = bool(len(self._added))
        """Whether the segment held some of the added voxels at the last `look`."""

    def look(self) -> None:
        """Set `undone`. It stays as it is for a write that changed nothing, or if the segment cannot be read."""
        added, removed = self._segment.holds(self._added), self._segment.holds(self._removed)
        if added is None or removed is None or not (added.size or removed.size):
            return
        self.there = bool(added.any())
        still_there = [part for part in (added, ~removed) if part.size]
        if not all(part.any() for part in still_there):
            self.undone = True
        elif all(part.all() for part in still_there):
            self.undone = False


@dataclass(frozen=True)
class _Write:
    """A write of one form of a result.

    Attributes:
        result: the form that was written.
        lineage: common to all forms of the result.
        segment: the segment that was written to.
        added: what the segment holds because of this form and earlier ones; None in modes other than "add".
        tracked: whether it is still there.
        object: what the segment held then; None if it cannot be read, or voxels were only removed.
        number: different for all writes.
    """

    result: StackResult
    lineage: int | None
    segment: SegmentVoxels
    added: CroppedMask | None
    tracked: TrackedWrite
    object: WrittenObject | None
    number: int


class ResultWriter:
    """Writes `state.current.result` into the segment; a corrected result takes the place of its earlier form.

    In mode "add", voxels that an earlier form of the result has added and the corrected form lacks are removed from the
    segment. What the segment held before stays. In mode "remove", a correction only removes more.

    Slices that the user has edited in the segment since the result's run began stay as they are, in modes "add" and "replace".

    Undo and Redo in the Segment Editor are noticed: `state.current.applied` and `undone` follow them.

    Args:
        state: the segment and its result.
    """

    def __init__(self, state: SegmentState) -> None:
        self._state = state
        self._writes: list[_Write] = []
        self._segment_changed = False
        self._numbers = itertools.count()
        self._checked: StackResult | None = None
        """The current result at the last `check_undo`."""
        self._stop = _observe_changes(state.segmentation_node, self._on_segment_changed)

    @property
    def undo_suspected(self) -> bool:
        """Whether the segment has changed since the last `check_undo`, or an earlier result is the current one again."""
        return self._segment_changed or (bool(self._writes) and self._state.current.result is not self._checked)

    def close(self) -> None:
        """Observe the segment no longer."""
        self._stop()

    def write(self, editor: SegmentEditor) -> Written:
        """Write the result through an editor that has the segment selected. See `SegmentWriter.write`.

        Raises:
            InputError: there is no result, or it cannot be written; nothing was changed.
            WriteError: the editor failed; the segmentation was restored.
        """
        state, current = self._state, self._state.current
        result, plane = current.result, current.plane
        if result is None or plane is None:
            raise InputError(_("there is no result to write: draw a rectangle and let the run finish"))
        state.check_nodes()
        self.check_undo()
        mode, stack, masks = state.parameters.mode, state.stack(plane), result.to_stack()
        kept = {} if mode == "remove" else self._edited_since_run(masks)
        found = self._placed(stack.to_volume(masks)) if kept else None
        for index, edited in kept.items():
            masks[index] = edited
        mask = stack.to_volume(masks)
        edits_replaced = self._edits_of_another_object() if mode == "replace" else 0
        writer = SegmentWriter(state.segmentation_node, state.segment_id, editor)
        earlier = self._last_form() if mode == "add" else None
        written = writer.write(mask, state.volume_node, mode, None if earlier is None else earlier.added)
        if (change := written.change) is not None:
            added = None if mode != "add" else _added(change, earlier)
            written_mask = CroppedMask.of(change.mask, change.box.first)
            held = None if mode == "remove" else WrittenObject.now(change.segment, written_mask, found)
            tracked, number = TrackedWrite(change), next(self._numbers)
            write = _Write(result, current.lineage, change.segment, added, tracked, held, number)
            # What was undone cannot be redone any more.
            self._writes = [*(one for one in self._writes if not one.tracked.undone), write][-_REMEMBERED:]
        self._tag(result, plane, earlier)
        self._segment_changed, self._checked = False, result
        current.applied, current.undone = True, False
        return replace(written, slices_kept=len(kept), edits_replaced=edits_replaced)

    def _placed(self, mask: np.ndarray) -> CroppedMask:
        """A mask of the volume in the voxels of the segmentation."""
        volume_node, segmentation_node = self._state.volume_node, self._state.segmentation_node
        reference = reference_geometry(segmentation_node, volume_node)
        return place_mask(mask, volume_node, segmentation_node, reference)[0]

    def _tag(self, result: StackResult, plane: Plane, earlier: _Write | None) -> None:
        """Say in the segment where the result comes from, and which of its slices need review."""
        state, current = self._state, self._state.current
        segment = state.segmentation_node.GetSegmentation().GetSegment(state.segment_id)
        before = SlicesToReview() if state.parameters.mode == "replace" else review_of(segment)
        needed, seen, replaced = (
            slice_names(state.volume_node, plane, indices)
            for indices in (
                result.slices_to_review,
                current.seen,
                [] if earlier is None else earlier.result.slices_to_review,
            )
        )
        provenance = "" if current.run is None else current.run.provenance
        to_review = before.with_written(needed, seen, replaced)
        tag_provenance(state.segmentation_node, state.segment_id, provenance, to_review)

    def look_at(self, index: int) -> None:
        """The user looks at a slice of the result. Where it is applied, the segment tells so."""
        state, current = self._state, self._state.current
        if state.gone or current.plane is None or not current.look_at(index) or not current.applied:
            return
        segment = state.segmentation_node.GetSegmentation().GetSegment(state.segment_id)
        before = review_of(segment)
        seen = before.needed & set(slice_names(state.volume_node, current.plane, [index]))
        changed = self._segment_changed
        tag_review(segment, SlicesToReview(before.needed, before.seen | seen))
        self._segment_changed = changed  # its voxels are the same

    def edits(self) -> Edits:
        """The slices that the user has edited since the current result, or an earlier form of it, was written.

        What other tools of the Segment Editor have drawn counts, and what Undo has taken back does not. Without a form of the
        result in the segment there are none.
        """
        write = self._form_in_segment()
        return Edits() if write is None else Edits(write.number, self._object_on(write, None))

    def object_on(self, index: int) -> np.ndarray | None:
        """bool (rows, columns) mask of the object on a slice, as the segment holds it with the user's edits.

        None if no form of the result is in the segment.
        """
        write = self._form_in_segment()
        return None if write is None else self._object_on(write, [index]).get(index)

    def _object_on(self, write: _Write, indices: list[int] | None) -> dict[int, np.ndarray]:
        state, plane = self._state, self._state.current.plane
        if plane is None or write.object is None:
            return {}
        return write.object.masks_on(state.stack(plane), state.segmentation_node, indices)

    def _form_in_segment(self) -> _Write | None:
        """The last write that was not undone, if it is of a form of the current result."""
        if self._state.gone:
            return None
        self.check_undo()
        last = self._last_write()
        return last if last is not None and last.lineage == self._state.current.lineage else None

    def _last_write(self) -> _Write | None:
        return next((write for write in reversed(self._writes) if not write.tracked.undone), None)

    def _edits_of_another_object(self) -> int:
        """Edited voxels of the object that was written last, if the result is one of another object."""
        last = self._last_write()
        if last is None or last.lineage == self._state.current.lineage or last.object is None:
            return 0
        return last.object.edited_voxels()

    def _edited_since_run(self, masks: np.ndarray) -> dict[int, np.ndarray]:
        """The object in the segment on slices that were edited, or whose edits were undone, since the run began.

        Without those where the user has made the result's own mask final since.

        Args:
            masks: the result, bool (slices, rows, columns).
        """
        current, prompts = self._state.current, self._state.prompts
        if current.run is None:
            return {}
        edits = self.edits()
        newer = edits.newer_than(current.run.edits)
        for index in edits.undone_since(current.run.edits):
            if (mask := self.object_on(index)) is not None:
                newer[index] = mask
        for index, key in ({} if prompts is None else prompts.keys).items():
            if key.origin != "kept" or key.key_mask is None or index not in newer:
                continue
            if current.settles(index, newer[index]) and np.array_equal(key.key_mask.key_mask.mask, masks[index]):
                del newer[index]
        return newer

    def check_undo(self) -> None:
        """If it is suspected, find out which writes were undone or redone, and set the flags of the current result."""
        state, current = self._state, self._state.current
        if not self.undo_suspected or state.gone:
            return
        self._segment_changed, self._checked = False, current.result
        self._look()
        own = next((write for write in reversed(self._writes) if write.result is current.result), None)
        if own is None:
            return
        # Another form of the result may have taken its place.
        forms = (write for write in reversed(self._writes) if write.lineage == own.lineage)
        found = (next((form for form in forms if not form.tracked.undone), None) is own, own.tracked.undone)
        if (current.applied, current.undone) != found:
            current.applied, current.undone = found
            state.notes = []  # they told what the write had done
            state.changed.emit()

    def _look(self) -> None:
        # Undo goes from the last step to the first: a write is undone with any earlier one; and where its voxels are gone
        # while those of a later one are there, it was not undone but replaced.
        later_there = False
        for write in reversed(self._writes):
            write.tracked.look()
            write.tracked.undone = write.tracked.undone and not later_there
            later_there = later_there or write.tracked.there
        undone = False
        for write in self._writes:
            write.tracked.undone = undone = undone or write.tracked.undone

    def _last_form(self) -> _Write | None:
        """The write whose voxels a correction takes the place of, if there is one."""
        state, last = self._state, self._form_in_segment()
        if last is None:
            return None
        # Indices of voxels are worth nothing after the user has specified another geometry.
        reference = reference_geometry(state.segmentation_node, state.volume_node)
        now = SegmentVoxels(state.segmentation_node, state.segment_id, reference)
        return last if now.has_grid_of(last.segment) else None

    def _on_segment_changed(self) -> None:
        # In the middle of a change the segment may be empty, so it is not looked at now.
        if self._writes and not self._segment_changed:
            self._segment_changed = True
            self._state.changed.emit()


def _sampled_difference(mask: np.ndarray, other: np.ndarray, first: Index) -> np.ndarray:
    """Voxels of a bool (k, j, i) mask that another mask lacks, as (N, 3) indices (k, j, i).

    Args:
        first: index of the masks' first voxel.
    """
    # One slice at a time, to keep the arrays small.
    total = sum(int(np.count_nonzero(one & ~another)) for one, another in zip(mask, other, strict=True))
    step, counted = -(-total // SAMPLED_VOXELS) or 1, 0
    sampled = [np.zeros((0, 3), np.int64)]
    for k, (one, another) in enumerate(zip(mask, other, strict=True)):
        pixels = np.argwhere(one & ~another)
        chosen = pixels[-counted % step :: step]
        counted += len(pixels)
        sampled.append(np.insert(chosen, 0, k, axis=1) + first)
    return np.concatenate(sampled).astype(np.int32)


def _added(change: SegmentChange, earlier: _Write | None) -> CroppedMask:
    """Voxels that the segment holds only because of the result."""
    only_new = ~change.before
    if earlier is not None and earlier.added is not None:
        only_new |= earlier.added.inside(change.box)
    return CroppedMask.of(change.mask & change.after & only_new, change.box.first)


def _observe_changes(
    segmentation_node: slicer.vtkMRMLSegmentationNode, changed: Callable[[], None]
) -> Callable[[], object]:
    """Call a method whenever the voxels of a segment change. Returns what ends that. Holds the method's owner weakly."""
    segmentation, weak = segmentation_node.GetSegmentation(), weakref.WeakMethod(changed)

    def on_change(_segmentation: vtk.vtkObject, _event: str) -> None:
        if (method := weak()) is not None:
            method()

    # Undo and Redo invoke the first event, edits the second.
    events = (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SourceRepresentationModified)
    tags = [segmentation.AddObserver(event, on_change) for event in events]
    owner = getattr(changed, "__self__")  # noqa: B009 - bound methods have it, the type does not
    return weakref.finalize(owner, _remove_observers, segmentation, tags)


def _remove_observers(segmentation: slicer.vtkSegmentation, tags: list[int]) -> None:
    for tag in tags:
        segmentation.RemoveObserver(tag)
