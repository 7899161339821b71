"""Writes a result into the segment through whatever Segment Editor hands out for that, in one undo step."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.results import StackResult
from ..editing.contour_editor import ContourEditor
from ..state.modes import Mode
from .modifier_labelmap import make_modifier
from .segment_writer import Written
from .undo_tracking import Part, SegmentVoxels, WrittenVoxels

_REMEMBERED = 10
"""Writes; as many as the Segment Editor's own undo steps."""


class Editor(Protocol):
    """What an effect can do to the segment that is selected in the Segment Editor."""

    def reference(self) -> slicer.vtkOrientedImageData | None:
        """An image of the segmentation's geometry; None if that cannot be had."""
        ...

    def selected(self) -> slicer.vtkOrientedImageData | None:
        """The selected segment, 0 outside and more inside, in the segmentation's geometry."""
        ...

    def save_for_undo(self) -> None: ...

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        """Through the editor's masking."""
        ...


@dataclass(frozen=True)
class _Added:
    """Voxels that the segment owes to a result: bool (k, j, i) array of a part."""

    part: Part
    voxels: np.ndarray


@dataclass(frozen=True)
class _Write:
    """One write: which result, what the segment owes to it and its earlier forms, and what it changed."""

    result: StackResult
    lineage: int | None
    added: _Added | None
    voxels: WrittenVoxels


class ResultWriter:
    """Writes the result of one contouring, and its corrected form in its place when it is written again.

    What a correction takes away from the result, it takes away from the segment, if it was this result that had added
    it: what was in the segment before stays. In mode "remove" a correction only removes more.

    Undo and Redo in the Segment Editor are noticed: `kept.applied` and `kept.undone` of the contouring say how the
    result stands in the segment.
    """

    def __init__(self, contouring: ContourEditor) -> None:
        self._contouring = contouring
        self._writes: list[_Write] = []
        self.waiting = False
        """Whether the segment has changed since somebody looked at it, perhaps by Undo."""
        self._stop = _observe_changes(contouring, self._changed)

    def close(self) -> None:
        """Observe the segment no longer."""
        self._stop()

    def write(self, editor: Editor) -> Written:
        """Write in one undo step; none is taken if there is nothing to do.

        Raises:
            InputError: there is no result, the segment or the volume is gone or has changed, or no voxel of the
                segmentation is hit; nothing was changed.
        """
        contouring = self._contouring
        result, plane = contouring.result, contouring.kept.plane
        if result is None or plane is None:
            raise InputError(_("there is no result to write: draw a rectangle and let the run finish"))
        contouring.check_nodes()
        self.look_again()
        reference, mode = editor.reference(), contouring.parameters.mode
        if reference is None:
            raise InputError(_("the segmentation has no geometry to write to: choose its source volume"))
        mask = contouring.stack(plane).to_volume(result.to_stack())
        modifier = make_modifier(mask, contouring.volume_node, contouring.segmentation_node, reference)
        new = np.asarray(_voxels(modifier.labelmap) > 0)
        earlier = self._added_by_earlier_forms(new)
        stale = _stale(earlier, new) if mode == "add" else None
        if modifier.voxels == 0 and stale is None and mode != "replace":
            contouring.kept.applied, contouring.kept.undone = True, False
            return Written(0, modifier.voxels_outside)

        # All that follows is done in the part of the voxels that can change: the whole is large.
        part = Part.around(new)
        if earlier is not None:
            part = part.together(earlier.part)
        if mode == "replace":
            part = Part((0, 0, 0), new.shape)
        segment = SegmentVoxels(contouring.segmentation_node, contouring.segment_id, modifier.labelmap)
        before = segment.read(part)
        there = _seen_by(editor, part, new.shape) if before is None else before
        added = _Added(part, _owed(part, new, there, earlier)) if mode == "add" else None
        self._modify(editor, modifier.labelmap, stale, mode)
        after = segment.read(part)
        if before is not None and after is not None:
            write = _Write(result, contouring.kept.lineage, added, WrittenVoxels(segment, part, before, after))
            # What was undone cannot be redone after this.
            kept = [one for one in self._writes if not one.voxels.undone]
            self._writes = [*kept, write][-_REMEMBERED:]
        self.waiting = False
        contouring.kept.applied, contouring.kept.undone = True, False
        return Written(modifier.voxels, modifier.voxels_outside)

    @staticmethod
    def _modify(editor: Editor, labelmap: slicer.vtkOrientedImageData, stale: np.ndarray | None, mode: Mode) -> None:
        editor.save_for_undo()
        if stale is not None:
            editor.modify(_like(labelmap, stale), "remove")
        if mode == "replace":
            # The editor takes the old content to have the modifier's voxels; adding nothing gives it those.
            editor.modify(_like(labelmap, np.zeros_like(_voxels(labelmap))), "add")
        editor.modify(labelmap, mode)

    def _added_by_earlier_forms(self, new: np.ndarray) -> _Added | None:
        """Voxels that earlier forms of the result have added, as far as they were not undone."""
        last = next((one for one in reversed(self._writes) if not one.voxels.undone), None)
        if last is None or last.added is None or last.lineage != self._contouring.kept.lineage:
            return None
        fits = (np.add(last.added.part.low, last.added.part.size) <= new.shape).all()
        return last.added if fits else None

    def look_again(self) -> None:
        """Look what has become of what was written, if the segment has changed. To be called while `waiting`."""
        contouring, kept = self._contouring, self._contouring.kept
        if not self.waiting or contouring.gone:
            return
        self.waiting = False
        before = False
        for write in self._writes:
            write.voxels.look()
            # Steps are undone from the last to the first.
            write.voxels.undone = before = before or write.voxels.undone
        last = next((write for write in reversed(self._writes) if write.result is kept.result), None)
        if last is not None and kept.undone is not last.voxels.undone:
            kept.applied, kept.undone = not last.voxels.undone, last.voxels.undone
            contouring.tell()

    def _changed(self) -> None:
        # Half-way through a change the segment may be empty: what came of it is seen afterwards.
        if self._writes and not self.waiting:
            self.waiting = True
            self._contouring.tell()


def _observe_changes(contouring: ContourEditor, changed: Callable[[], None]) -> Callable[[], object]:
    """Call a method whenever the voxels of a segment change; returns what ends that. Holds its owner weakly."""
    segmentation, weak = contouring.segmentation_node.GetSegmentation(), weakref.WeakMethod(changed)

    def on_change(_segmentation: vtk.vtkObject, _event: str) -> None:
        if (tell := weak()) is not None:
            tell()

    # Undo and Redo tell of segments, edits of their source representation.
    events = (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SourceRepresentationModified)
    tags = [segmentation.AddObserver(event, on_change) for event in events]
    owner = getattr(changed, "__self__")  # noqa: B009 - a bound method, which the type does not say
    return weakref.finalize(owner, _remove_observers, segmentation, tags)


def _remove_observers(segmentation: slicer.vtkSegmentation, tags: list[int]) -> None:
    for tag in tags:
        segmentation.RemoveObserver(tag)


def _stale(earlier: _Added | None, new: np.ndarray) -> np.ndarray | None:
    """All voxels, true where the earlier form of the result had added one and this one has none; None if nowhere."""
    if earlier is None or not (stale := earlier.voxels & ~earlier.part.of(new)).any():
        return None
    voxels = np.zeros_like(new)
    earlier.part.of(voxels)[...] = stale
    return voxels


def _seen_by(editor: Editor, part: Part, shape: tuple[int, ...]) -> np.ndarray:
    """bool (k, j, i): a part of the segment as the editor gives it; nothing if it has another geometry."""
    image = editor.selected()
    voxels = None if image is None else _voxels(image)
    return np.zeros(part.size, bool) if voxels is None or voxels.shape != shape else part.of(voxels) > 0


def _owed(part: Part, new: np.ndarray, there: np.ndarray, earlier: _Added | None) -> np.ndarray:
    """Voxels of the result that the segment owes to it, in a part that holds those of its earlier form."""
    ours = ~there
    if earlier is not None:
        earlier.part.within(part).of(ours)[...] |= earlier.voxels
    return np.asarray(ours & part.of(new))


def _voxels(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """(k, j, i) view; of no voxels if the image has none."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return np.zeros((0, 0, 0), np.uint8)
    return np.asarray(vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]))


def _like(labelmap: slicer.vtkOrientedImageData, voxels: np.ndarray) -> slicer.vtkOrientedImageData:
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(labelmap)
    _voxels(image)[...] = voxels
    return image
