"""What the mouse does in a slice view: a rectangle is drawn or corrected, or a click is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.errors import InputError, MedSAMError
from ...engine.i18n import tr as _
from ...engine.prompts import Points
from ..state.prompts import KeySlice, Prompts
from ..volume.view_plane import Plane, ViewGeometry
from .correction import opposite_corner
from .rectangle_drag import RectangleDrag

if TYPE_CHECKING:
    from .contour_editor import ContourEditor


class MouseInteraction:
    """From the press of the button to what it means for the prompts.

    Args:
        contouring: whose prompts are drawn.
    """

    def __init__(self, contouring: ContourEditor) -> None:
        self._of = contouring

    def press(self, view: ViewGeometry, xy: tuple[float, float], add: bool) -> bool:
        """As `ContourEditor.press`."""
        of = self._of
        of.problem = None
        of.clicks.begin()
        of.stop_looking()
        try:
            of.check_nodes()
            plane = of.plane_in(view)
            if add and of.plane not in (None, plane):
                raise InputError(
                    _("the key slices lie in another plane: add one in a view of that plane, or draw without Shift")
                )
            of.rectangle.begin(plane, of.stack(plane), view, self._held(view, xy), add)
            of.rectangle.points, of.rectangle.joins = self._points_kept(plane), self._joined(plane)
        except MedSAMError as error:
            of.fail(error)
            return False
        of.step()
        of.tell()
        return True

    def move(self, xy: tuple[float, float]) -> None:
        """As `ContourEditor.move`."""
        if self._of.rectangle.drag is not None:
            self._of.rectangle.move(xy)
            self._of.tell()

    def release(self, xy: tuple[float, float], negative: bool) -> None:
        """As `ContourEditor.release`."""
        of = self._of
        pressed = of.rectangle.drag
        drag = of.rectangle.end(xy)
        if drag is None or drag.box is None:
            if pressed is not None and pressed.is_click(xy):
                self._click(pressed, not negative)
            of.clicks.refresh()
            of.tell()
            return
        plane, known = of.rectangle.plane, of.rectangle.joins
        before, self._of.correcting = of.prompts, None
        corrects = known is not None and of.result is not None and drag.index in of.result
        key = KeySlice(drag.box, "corrected" if corrects else "drawn", of.rectangle.points)
        index, stack = drag.index, of.rectangle.stack
        of.change_prompts(Prompts(plane, {index: key}) if known is None else known.with_key(index, key, stack))
        of.run()
        of.runs.before = [before]

    def escape(self) -> bool:
        """As `ContourEditor.escape`."""
        of = self._of
        if of.rectangle.drop():
            of.forget_preview()
            of.tell()
            return True
        if self._of.correcting is not None:
            self._of.correcting = None
            of.tell()
            return True
        if not of.running:
            return of.clicks.drop()
        before = list(of.runs.before)
        of.cancel()
        if before:
            of.change_prompts(before[0])
            of.tell()
        return True

    def correct(self, index: int) -> None:
        """As `ContourEditor.correct`."""
        of = self._of
        of.problem = None
        of.rectangle.drop()
        of.forget_preview()
        key = None if of.prompts is None else of.prompts.keys.get(index)
        self._of.correcting = index if key is not None and key.box is not None else None
        of.tell()

    def _click(self, pressed: RectangleDrag, positive: bool) -> None:
        try:
            self._of.check_nodes()
            self._of.clicks.click(self._of.rectangle.plane, pressed, positive)
        except MedSAMError as error:
            self._of.fail(error)

    def _joined(self, plane: Plane) -> Prompts | None:
        """What the rectangle becomes part of: with Shift, or on a key slice, the other key slices stay."""
        drag, known = self._of.rectangle.drag, self._of.prompts
        if drag is None or known is None or known.plane != plane:
            return None
        return known if drag.adds_key or drag.index in known.keys else None

    def _points_kept(self, plane: Plane) -> Points | None:
        """Clicks on the slice that is drawn on: they stay with its new rectangle, if the model understands them."""
        drag, prompts = self._of.rectangle.drag, self._of.prompts
        if drag is None or prompts is None or prompts.plane != plane or "points" not in self._of.clicks.kinds:
            return None
        return prompts.keys[drag.index].points if drag.index in prompts.keys else None

    def _held(self, view: ViewGeometry, xy: tuple[float, float]) -> tuple[float, float]:
        """Where the rectangle begins: at `xy`, or in the corner across from the one that is taken hold of there."""
        index, prompts = self._of.correcting, self._of.prompts
        box = None if index is None or prompts is None or index not in prompts.keys else prompts.keys[index].box
        if index is None or box is None:
            return xy
        return opposite_corner(self._of.stack(), index, box, view, xy) or xy
