"""Clicks on slices: each one refines the previewed mask of its slice and can be undone; none of them begins a run.

A click is stored in the key slice of its slice, together with the rectangle that the slice may have and, if the slice
has a result, with the mask that the model found there: so the click corrects that mask. With a model that takes neither
points nor masks, clicks correct what it finds in a rectangle: that of the slice, or the one around the slice's result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...engine.errors import InputError, MedSAMError
from ...engine.i18n import tr as _
from ...engine.models.catalogue import find_model
from ...engine.prompts import Box, Points
from ..state.prompts import KeySlice, Origin, Prompts
from ..state.segment_state import SegmentState
from ..state.stored_mask import StoredMask
from ..volume.content import content_time
from ..volume.view_plane import Plane, ViewGeometry
from .rectangle_tool import RectangleTool
from .segment_slice import segment_on_slice
from .slice_preview import SlicePreview


@dataclass(frozen=True)
class _Step:
    """A change that `undo` takes back.

    Attributes:
        index: slice that it was made on.
        before: the prompts before it.
    """

    index: int
    before: Prompts | None


class PointTool:
    """Adds clicks to the prompts, takes them back, and previews what they mean.

    Args:
        state: prompts that the clicks are added to.
        rectangle: no clicks are previewed while it is drawn.
        preview: shows the mask that the clicks give.
    """

    def __init__(self, state: SegmentState, rectangle: RectangleTool, preview: SlicePreview) -> None:
        self._state, self._rectangle, self._preview = state, rectangle, preview
        self._steps: list[_Step] = []
        self._led_to: Prompts | None = None
        """The prompts after the last of `_steps`."""
        self._in_result = 0
        """How many of `_steps` the current result had taken into account when the last of them was made."""
        self._seen: tuple[Plane, int] | None = None
        self._previewed: tuple[Plane, int] | None = None
        self._refused = False

    # What there is

    @property
    def refused(self) -> bool:
        """Whether the last click was ignored: the model, which is still chosen, takes no points where no rectangle is."""
        return self._refused and "points" not in self._state.parameters.prompt_kinds

    @property
    def pending(self) -> list[int]:
        """Key slices with clicks or a mask that the current result has not taken into account, in increasing order."""
        prompts = self._state.prompts
        return [] if prompts is None else [index for index in prompts.keys if self._pending(index) is not None]

    @property
    def clicked_last(self) -> bool:
        """Whether the last change of the prompts was a click or a start from the segment."""
        return bool(self._history())

    @property
    def can_undo(self) -> bool:
        """Whether `undo` has something to take back."""
        return bool(self._history()) or self._clicked_in_view() is not None

    @property
    def can_drop(self) -> bool:
        """Whether `drop` has something to take back."""
        history = self._history()
        return len(history) > self._run_steps(history)

    def shows(self, plane: Plane, index: int) -> bool:
        """Whether a mask for clicks is previewed on this slice; it takes the place of an earlier result there."""
        preview = self._preview
        if preview.tag is None or preview.shown is None:
            return False
        return (preview.plane, preview.shown.index) == (plane, index)

    # What the user does

    def begin(self) -> None:
        """Forget that the last click was refused: the button is pressed again."""
        self._refused = False

    def click(self, plane: Plane, index: int, pixel: tuple[float, float], positive: bool) -> None:
        """Mark a pixel of a slice as object or background.

        If the model takes no points, and the slice has neither a rectangle nor a result, only `refused` changes.

        Args:
            pixel: (column, row) in slice pixels.

        Raises:
            InputError: the key slices lie in another plane, or the first click on a slice marks background.
        """
        key = self._key(plane, index)
        box = None if key is None else key.box
        if "points" not in self._state.parameters.prompt_kinds:
            box = box or self._around_result(index)
            if box is None:
                self._refused = True
                return
        self._refused = False
        x, y = pixel
        points = Points(((x, y),), (positive,))
        if key is not None and key.points is not None:
            points = key.points.with_point(x, y, positive)
        self._change(plane, index, KeySlice(box, self._origin(index, key), points, self._starting_mask(index, key)))

    def start_from_segment(self, view: ViewGeometry) -> None:
        """Make the segment's own mask on the slice in view the start of the next prediction there.

        Raises:
            InputError: the model takes no masks, the key slices lie in another plane, or the segment is empty there.
        """
        state = self._state
        find_model(state.parameters.get("Model")).check_prompts({"mask"})
        plane = state.plane_in(view)
        stack, index = state.stack(plane), state.index_in(view, plane)
        key = self._key(plane, index)
        mask = segment_on_slice(state.segmentation_node, state.segment_id, stack, index)
        if not mask.any():
            raise InputError(_("the segment is empty on this slice: go to a slice that shows it, or draw it first"))
        box, points = (None, None) if key is None else (key.box, key.points)
        self._change(plane, index, KeySlice(box, "segment", points, StoredMask.of_mask(mask)))

    def undo(self) -> bool:
        """Take back the last click, or the last start from the segment. Returns False if there is none.

        Clicks that were loaded with the scene are taken back on the slice in view.
        """
        state, history = self._state, self._history()
        if history:
            index, before, left = history[-1].index, history[-1].before, history[:-1]
        else:
            seen = self._clicked_in_view()
            if seen is None or state.prompts is None:
                return False
            index, before, left = seen, state.prompts.without_last_point(seen), []
        self._restore(before, left)
        if state.plane is not None:
            self._previewed = (state.plane, index)
        self.refresh()
        state.changed.emit()
        return True

    def drop(self) -> bool:
        """Take back all clicks since the last run. Returns False if there are none."""
        if not self.can_drop:
            return False
        history = self._history()
        run = self._run_steps(history)
        self._restore(history[run].before, history[:run])
        self.refresh()
        self._state.changed.emit()
        return True

    # Preview

    def look_at(self, view: ViewGeometry) -> None:
        """Preview the clicks on the slice that the view shows."""
        state = self._state
        if state.gone or state.prompts is None:
            return
        try:
            plane = state.plane_in(view)
            index = state.index_in(view, plane)
        except MedSAMError:
            return  # reported when the user clicks there
        self._seen = (plane, index)
        if plane == state.plane and self._pending(index) is not None:
            self._previewed = self._seen
        self.refresh()

    def show_again(self) -> None:
        """Forget whatever is previewed, and preview the clicks again."""
        self._preview.forget()
        self.refresh()

    def refresh(self) -> None:
        """Preview the clicks as they are now, with the model that is chosen now."""
        state, preview = self._state, self._preview
        if state.hidden or self._previewed is None or self._rectangle.drawing:
            return
        plane, index = self._previewed
        key = self._pending(index) if plane == state.plane else None
        if key is None:
            if preview.tag is not None:
                preview.forget()
            return
        choice = state.parameters.choice
        oriented_box = None if state.prompts is None else state.prompts.oriented_box
        tag = (plane, index, key.given, choice, oriented_box, content_time(state.volume_node))
        if preview.tag == tag:
            return
        if preview.tag is None or preview.tag[:2] != tag[:2]:
            preview.forget()
        try:
            preview.use(plane, state.stack(plane))
        except MedSAMError:
            preview.forget()
            return  # reported when the user clicks there
        preview.request(index, key.prompt_for(choice.model), tag, oriented_box)

    # Key slices

    def _pending(self, index: int) -> KeySlice | None:
        """The key slice, if it has clicks or a mask that the model takes and the current result does not know."""
        prompts = self._state.prompts
        key = None if prompts is None else prompts.keys.get(index)
        if key is None or key.is_box or not self._state.parameters.takes(key.prompt.kinds):
            return None
        return None if self._state.current.given_on(index) == key.given else key

    def _clicked_in_view(self) -> int | None:
        """The slice that the user looks at, if there are clicks on it."""
        prompts = self._state.prompts
        if self._seen is None or prompts is None or self._seen[0] != prompts.plane:
            return None
        key = prompts.keys.get(self._seen[1])
        return None if key is None or key.points is None else self._seen[1]

    def _key(self, plane: Plane, index: int) -> KeySlice | None:
        prompts = self._state.prompts
        if prompts is None:
            return None
        if plane != prompts.plane:
            raise InputError(
                _("the key slices lie in another plane: click in a view of that plane, or discard them first")
            )
        return prompts.keys.get(index)

    def _origin(self, index: int, key: KeySlice | None) -> Origin:
        current = self._state.current
        if current.given_on(index) is not None or current.found_on(index) is not None:
            return "corrected"
        return "clicked" if key is None or key.origin == "roi" else key.origin

    def _around_result(self, index: int) -> Box | None:
        """Box around the mask that the slice's result has."""
        found = self._state.current.found_on(index)
        return None if found is None else Box.from_mask(found.mask)

    def _starting_mask(self, index: int, key: KeySlice | None) -> StoredMask | None:
        """The mask that the prediction starts from: the slice's result; while clicks are pending, the same as before."""
        if "mask" not in self._state.parameters.prompt_kinds:
            return None
        current, before = self._state.current, None if key is None else key.mask
        if key is not None and current.given_on(index) != key.given:
            return before
        return current.mask_on(index, self._state.parameters.get("Model")) or before

    # Steps

    def _history(self) -> list[_Step]:
        """The steps that led to the current prompts; empty if the prompts were changed in another way."""
        return self._steps if self._state.prompts is self._led_to else []

    def _run_steps(self, history: list[_Step]) -> int:
        """How many steps of the history the last run has taken into account."""
        prompts = self._state.current.prompts
        stages = [*(step.before for step in history), self._state.prompts]
        counts = [count for count, stage in enumerate(stages) if stage is not None and stage is prompts]
        # The prompts of the result are not among them if the last of these steps were undone.
        return counts[-1] if counts else min(self._in_result, len(history))

    def _change(self, plane: Plane, index: int, key: KeySlice) -> None:
        state, history = self._state, self._history()
        before = state.prompts
        changed = Prompts(plane, {index: key}) if before is None else before.with_key(index, key, state.stack(plane))
        self._set(changed, [*history, _Step(index, before)], self._run_steps(history), state.change_prompts)
        self._previewed = self._seen = (plane, index)
        self.refresh()
        state.changed.emit()

    def _restore(self, prompts: Prompts | None, steps: list[_Step]) -> None:
        self._set(prompts, steps, min(self._run_steps(self._history()), len(steps)), self._state.restore_prompts)

    def _set(
        self, prompts: Prompts | None, steps: list[_Step], in_result: int, use: Callable[[Prompts | None], None]
    ) -> None:
        # Before the change, because callbacks of the change may read `can_undo`.
        self._steps, self._led_to, self._in_result = steps, prompts, in_result
        use(prompts)
