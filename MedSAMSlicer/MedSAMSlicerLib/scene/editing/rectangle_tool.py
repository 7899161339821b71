"""The rectangle that is being drawn, or the click that it may turn out to be."""

from __future__ import annotations

from ...engine.prompts import Box, Points, SlicePrompt, as_slice_prompt
from ..display.overlay import StackImage
from ..state.prompts import Prompts
from ..volume.view_plane import Plane, Stack, ViewGeometry
from .preview_queue import PreviewRequest
from .rectangle_drag import RectangleDrag
from .slice_preview import SlicePreview


class RectangleTool:
    """One rectangle at a time.

    Args:
        preview: shows the mask in it.
    """

    def __init__(self, preview: SlicePreview) -> None:
        self._preview = preview
        self.drag: RectangleDrag | None = None
        self.points: Points | None = None
        """Clicks on the rectangle's slice that stay with it."""
        self.joins: Prompts | None = None
        """The prompts that the rectangle becomes part of; None: it begins anew."""
        self.plane = Plane("K")
        """Plane of the rectangle that is being drawn, or was drawn last."""
        self._stack: Stack | None = None
        self._asked = False

    @property
    def stack(self) -> Stack:
        """Slices that the rectangle is drawn on. There is none before the first `begin`."""
        assert self._stack is not None
        return self._stack

    @property
    def image(self) -> StackImage | None:
        """The mask that is previewed; None if there is none to be seen."""
        return self._preview.image

    @property
    def shown(self) -> PreviewRequest | None:
        """What `image` is the answer to."""
        return self._preview.shown

    def begin(self, plane: Plane, stack: Stack, view: ViewGeometry, xy: tuple[float, float], adds_key: bool) -> None:
        """What is previewed stays until the rectangle is large enough to be one. Raises InputError if `xy` lies outside
        of the volume."""
        self.drag, self.plane, self._stack = RectangleDrag(stack, view, xy, adds_key), plane, stack
        self.points, self.joins, self._asked = None, None, False

    def move(self, xy: tuple[float, float]) -> None:
        """Draw on; a preview is asked for if the box has changed."""
        if self.drag is None:
            return
        before, box = self.drag.box, self.drag.to(xy)
        if box is not None and box != before:
            if not self._asked:
                self._preview.forget()
                self._preview.use(self.plane, self.stack)
            self._asked = True
            prompt, index = self.prompt(box), self.drag.index
            joins = self.joins
            solid = None if joins is None else joins.solid_around(index, as_slice_prompt(prompt), self.stack)
            self._preview.request(index, prompt, solid=solid)
        elif box is None and self._asked:
            self._preview.forget()

    def prompt(self, box: Box) -> Box | SlicePrompt:
        """What is asked with the box: the clicks that stay go with it."""
        return box if self.points is None else SlicePrompt(box, self.points)

    def end(self, xy: tuple[float, float]) -> RectangleDrag | None:
        """The rectangle, done; None if it is too small to mean one. Its preview stays until it is forgotten."""
        if self.drag is None:
            return None
        drag, self.drag = self.drag, None
        return None if drag.to(xy) is None else drag

    def drop(self) -> bool:
        """Forget the rectangle. False if none was being drawn."""
        was_drawing, self.drag = self.drag is not None, None
        return was_drawing
