"""Final masks of slices: those that the user keeps, and those that were edited in the segment since the last run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ..state.edits import Edits
from ..state.prompts import KeySlice, Prompts
from ..state.segment_state import SegmentState
from ..state.slice_range import chosen_slice_range
from ..state.stored_mask import StoredKeyMask
from ..volume.view_plane import Stack, ViewGeometry
from .segment_slice import segment_on_slice


class EditedObject(Protocol):
    """The object in the segment, with what the user has edited since it was written; see `ResultWriter`."""

    def edits(self) -> Edits: ...

    def object_on(self, index: int) -> np.ndarray | None: ...


def keep_slice(state: SegmentState, edited: EditedObject | None, view: ViewGeometry) -> int:
    """Make what the segment holds on the slice in view final. No run begins.

    A result that is not applied takes the place of the segment. Where other objects are in the same segment, an applied
    result stands for the object.

    Returns:
        The slice.

    Raises:
        InputError: the key slices lie in another plane, or nothing is there to keep and nothing else is marked.
    """
    plane = state.plane_in(view)
    if state.prompts is not None and state.prompts.plane != plane:
        raise InputError(
            _("the key slices lie in another plane: keep a slice in a view of that plane, or discard them first")
        )
    stack, index = state.stack(plane), state.index_in(view, plane)
    mask = _shown_on(state, edited, stack, index)
    if state.prompts is None and not mask.any():
        raise InputError(_("the segment is empty on this slice: go to a slice that shows it, or draw it first"))
    key = KeySlice(None, "kept", key_mask=StoredKeyMask.of(mask))
    before = state.prompts
    settle(state, edited, index)
    state.change_prompts(Prompts(plane, {index: key}) if before is None else before.with_key(index, key, stack))
    return index


def settle(state: SegmentState, edited: EditedObject | None, index: int) -> None:
    """The user decides about the final mask of a slice: edits that were made there until now do not count any more."""
    state.current.settled[index] = None if edited is None else edited.object_on(index)


def _shown_on(state: SegmentState, edited: EditedObject | None, stack: Stack, index: int) -> np.ndarray:
    """bool (rows, columns) mask of the object on a slice, as the views show it."""
    current = state.current
    same_object = state.prompts is not None and state.prompts.lineage == current.lineage and not current.outdated
    if same_object and current.result is not None and not current.applied:
        found = current.found_on(index)
        return np.zeros(stack.shape[1:], bool) if found is None else found.mask
    mask = edited.object_on(index) if same_object and edited is not None else None
    return segment_on_slice(state.segmentation_node, state.segment_id, stack, index) if mask is None else mask


def with_edited_slices(state: SegmentState, edited: Edits, prompts: Prompts, stack: Stack) -> Prompts:
    """The prompts with the slices that were edited since the current result's run began as final ones.

    What was marked on a slice since then counts more, and the user may have removed its final mask. Edits that were undone
    do not count, nor those outside of the slices that the options allow.

    Args:
        edited: the edited slices of the segment.
        stack: slices of the prompts' plane.
    """
    current = state.current
    if current.run is None or prompts.lineage != current.lineage:
        return prompts
    newer, undone = edited.newer_than(current.run.edits), edited.undone_since(current.run.edits)
    edits = {index: mask for index, mask in newer.items() if not current.settles(index, mask)}
    known = current.run.prompts.keys
    for index, key in prompts.keys.items():
        if key.origin != "edited" or index in edits:
            continue
        before = known.get(index)
        if not _is_same(key, before) or index in undone:
            remaining = prompts.without_key(index)
            prompts = prompts if remaining is None else remaining
            if before is not None and index not in undone:
                prompts = prompts.with_key(index, before, stack)
    allowed = prompts.slice_range
    if allowed is None:
        allowed = chosen_slice_range(state.parameters, prompts.plane, stack, prompts.keys)
        edits = {index: mask for index, mask in edits.items() if allowed is None or allowed[0] <= index <= allowed[1]}
    return prompts.with_key_masks(_newer(edits, prompts, known), "edited", stack)


def _newer(edits: Mapping[int, np.ndarray], prompts: Prompts, known: Mapping[int, KeySlice]) -> dict[int, np.ndarray]:
    """Edits of slices on which nothing else was marked since the last run. One that a kept mask does not settle came later."""
    newer = {}
    for index, mask in edits.items():
        key = prompts.keys.get(index)
        if key is None or key.origin in ("edited", "kept") or _is_same(key, known.get(index)):
            newer[index] = mask
    return newer


def _is_same(key: KeySlice, other: KeySlice | None) -> bool:
    return other is not None and key.given == other.given
