"""Clicks on slices: each refines the mask that is seen there at once, and can be taken back; none begins a run.

What is clicked on a slice goes into its key slice, together with the rectangle that it may have and, where the slice has
a result already, with what the model found there: so a click corrects. A run goes through it when the user says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.errors import InputError, MedSAMError
from ...engine.i18n import tr as _
from ...engine.models.catalogue import find_model
from ...engine.prompts import Points
from ..state.prompts import KeySlice, Origin, Prompts
from ..state.stored_mask import StoredMask
from ..volume.view_plane import Plane, ViewGeometry
from .rectangle_drag import RectangleDrag
from .segment_slice import segment_on_slice

if TYPE_CHECKING:
    from .contour_editor import ContourEditor


class PointTool:
    """Clicks, how they are taken back, and the preview of what they mean.

    Args:
        contouring: whose prompts the clicks become part of.
    """

    def __init__(self, contouring: ContourEditor) -> None:
        self._of = contouring
        self._steps: list[tuple[int, Prompts | None]] = []
        """Slice of each step, and the prompts before it; oldest first."""
        self._in_run = self._done = 0
        self._seen: tuple[Plane, int] | None = None
        self._previewed: tuple[Plane, int] | None = None
        self._refused = False

    # What there is

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of prompt that the chosen model takes; none while the choice cannot be read."""
        try:
            return find_model(self._of.parameters.get("Model")).prompts
        except InputError:
            return frozenset()

    @property
    def refused(self) -> bool:
        """Whether the last click was for nothing, because the model that is still chosen takes no points."""
        return self._refused and "points" not in self.kinds

    @property
    def pending(self) -> list[int]:
        """Key slices with clicks or a mask that no run has gone through yet, lowest first."""
        prompts = self._of.prompts
        return [] if prompts is None else [index for index in prompts.keys if self._pending(index) is not None]

    @property
    def can_undo(self) -> bool:
        """Whether `undo` has something to take back."""
        return bool(self._steps) or self._clicked_in_view() is not None

    def shows(self, plane: Plane, index: int) -> bool:
        """Whether what is previewed is this slice, so that an earlier result is not to be seen there."""
        preview = self._of.preview
        return preview.asked is not None and preview.shown is not None and (preview.plane, preview.shown.index) == (
            plane, index,
        )  # fmt: skip

    # What the user does

    def click(self, plane: Plane, drag: RectangleDrag, positive: bool) -> None:
        """Say that the object is, or is not, where the button was pressed.

        Does nothing but remember that, if the model takes no points.

        Raises:
            InputError: the key slices lie in another plane, or the first click on a slice says only where nothing is.
        """
        if "points" not in self.kinds:
            self._refused = True
            return
        key = self._key(plane, drag.index)
        x, y = drag.pixel
        points = Points(((x, y),), (positive,))
        if key is not None and key.points is not None:
            points = key.points.with_point(x, y, positive)
        clicked = KeySlice(
            None if key is None else key.box, self._origin(drag.index, key), points, self._start(drag.index, key)
        )
        self._change(plane, drag.index, clicked)

    def start_from_segment(self, view: ViewGeometry) -> None:
        """Have the model start from what the segment holds on the slice in view.

        Raises:
            InputError: the model takes no masks, the key slices lie in another plane, or the segment is empty there.
        """
        of = self._of
        find_model(of.parameters.get("Model")).check_prompts({"mask"})
        plane = of.plane_in(view)
        stack, index = of.stack(plane), of.index_in(view, plane)
        key = self._key(plane, index)
        mask = segment_on_slice(of.segmentation_node, of.segment_id, stack, index)
        if not mask.any():
            raise InputError(_("the segment is empty on this slice: go to a slice where it is not, or draw it first"))
        box, points = (None, None) if key is None else (key.box, key.points)
        self._change(plane, index, KeySlice(box, "segment", points, StoredMask.of_mask(mask)))

    def undo(self) -> bool:
        """Take the last click, or the last start from the segment, back. False if there is none."""
        of = self._of
        if self._steps:
            index, before = self._steps[-1]
            self._restore(before, self._steps[:-1])
        else:
            seen = self._clicked_in_view()
            if seen is None or of.prompts is None:
                return False
            index = seen
            self._restore(of.prompts.without_last_point(index), [])
        if of.plane is not None:
            self._previewed = (of.plane, index)
        self.refresh()
        of.tell()
        return True

    def drop(self) -> bool:
        """Take back all clicks since the last run. False if there are none."""
        if len(self._steps) <= self._done:
            return False
        self._restore(self._steps[self._done][1], self._steps[: self._done])
        self.refresh()
        self._of.tell()
        return True

    def begin(self) -> None:
        """The mouse was pressed: what was said of the last click is old."""
        self._refused = False

    # What happens around it

    def forget_steps(self) -> None:
        """The prompts were changed in another way: there is no way back through the clicks before."""
        self._steps, self._in_run, self._done = [], 0, 0

    def run_begins(self) -> None:
        """A run begins with the prompts as they are."""
        self._in_run = len(self._steps)

    def run_finished(self) -> None:
        """What it went through is no longer dropped by `drop`; `undo` still takes it back."""
        self._done = min(self._in_run, len(self._steps))

    def look_at_view(self, view: ViewGeometry) -> None:
        """The user looks at a view: what was clicked on its slice is previewed again."""
        of = self._of
        if of.gone or of.prompts is None:
            return
        try:
            plane = of.plane_in(view)
            self._look_at(plane, of.index_in(view, plane))
        except MedSAMError:
            return  # told when the user clicks there

    def _look_at(self, plane: Plane, index: int) -> None:
        self._seen = (plane, index)
        if plane == self._of.plane and self._pending(index) is not None:
            self._previewed = self._seen
        self.refresh()

    def refresh(self) -> None:
        """Have the preview show what was clicked, as it is now, with the model that is chosen now."""
        of = self._of
        drag = of.rectangle.drag
        if of.gone or self._previewed is None or (drag is not None and drag.box is not None):
            return
        plane, index = self._previewed
        key = self._pending(index) if plane == of.plane else None
        if key is None:
            if of.preview.asked is not None:
                of.preview.forget()
            return
        solid = None if of.prompts is None else of.prompts.solid
        wanted = (plane, index, key.given, of.parameters.choice, solid)
        if of.preview.asked == wanted:
            return
        if of.preview.asked is None or of.preview.asked[:2] != wanted[:2]:
            of.preview.forget()
        try:
            of.preview.use(plane, of.stack(plane))
        except MedSAMError:
            of.preview.forget()
            return  # told when the user clicks there
        of.preview.request(index, key.prompt_for(of.parameters.choice.model), wanted, solid)

    @property
    def _model(self) -> str:
        return self._of.parameters.get("Model")

    def _pending(self, index: int) -> KeySlice | None:
        """The key slice, if it has clicks or a mask that the model takes and that no run has gone through."""
        prompts = self._of.prompts
        key = None if prompts is None else prompts.keys.get(index)
        if key is None or key.is_box or not key.prompt.kinds <= self.kinds:
            return None
        return None if self._of.kept.given_on(index) == key.given else key

    def _clicked_in_view(self) -> int | None:
        """The slice that the user looks at, if there are clicks on it."""
        prompts = self._of.prompts
        if self._seen is None or prompts is None or self._seen[0] != prompts.plane:
            return None
        key = prompts.keys.get(self._seen[1])
        return None if key is None or key.points is None else self._seen[1]

    def _key(self, plane: Plane, index: int) -> KeySlice | None:
        prompts = self._of.prompts
        if prompts is None:
            return None
        if plane != prompts.plane:
            raise InputError(
                _("the key slices lie in another plane: click in a view of that plane, or discard them first")
            )
        return prompts.keys.get(index)

    def _origin(self, index: int, key: KeySlice | None) -> Origin:
        if self._of.kept.given_on(index) is not None or self._of.kept.found_on(index) is not None:
            return "corrected"
        return "clicked" if key is None or key.origin == "roi" else key.origin

    def _start(self, index: int, key: KeySlice | None) -> StoredMask | None:
        """What the model starts from: the slice's last answer; while that is not yet corrected by a run, the same."""
        if "mask" not in self.kinds:
            return None
        kept = self._of.kept
        if key is not None and kept.given_on(index) != key.given:
            return key.mask
        found = kept.mask_on(index, self._model)
        if found is not None:
            return found
        return None if key is None else key.mask

    def _change(self, plane: Plane, index: int, key: KeySlice) -> None:
        of = self._of
        before, steps, counts = of.prompts, self._steps, (self._in_run, self._done)
        changed = Prompts(plane, {index: key}) if before is None else before.with_key(index, key, of.stack(plane))
        of.change_prompts(changed)
        self._steps, (self._in_run, self._done) = [*steps, (index, before)], counts
        self._previewed = self._seen = (plane, index)
        self.refresh()
        of.tell()

    def _restore(self, prompts: Prompts | None, steps: list[tuple[int, Prompts | None]]) -> None:
        counts = (self._in_run, self._done)
        self._of.change_prompts(prompts)
        self._steps = steps
        self._in_run, self._done = (min(count, len(steps)) for count in counts)
