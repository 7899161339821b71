"""What the Segment Editor effect drives: one segment of one volume, from the first prompt to the finished result.

Everything that can be decided without Qt is decided here and in the files that this one puts together. Nothing blocks:
the owner calls `step` from a timer while `busy`, and is told through `on_change` that something looks different.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import numpy as np
import slicer

from ..engine.errors import Cancelled, InputError, MedSAMError
from ..engine.intensity import Window
from ..engine.prompts import Points
from ..engine.results import SliceResult
from ..engine.runner import Runner
from ..engine.stack_result import StackResult
from ..engine.words import tr as _
from .click_tool import ClickTool
from .contour_run import ContourRun
from .correction import opposite_corner
from .drag import Drag
from .effect_parameters import EffectParameters
from .kept_result import Basis, KeptResult
from .look_ahead import LookAhead
from .node_watch import NodeWatch
from .progress import Progress
from .prompts import KeySlice, Prompts
from .reach import reach_of
from .rectangle_tool import RectangleTool
from .roi import roi_to_prompt
from .roi_solid import RoiSolid
from .slice_preview import SlicePreview
from .slice_reader import SliceReader
from .slice_stack import SliceStack, default_axis_of
from .view_plane import Plane, Stack, ViewGeometry, plane_of

SEARCH_SECONDS = 0.02
"""How long a step may read voxels for the window, so that the application stays responsive."""


class Contouring:
    """Prompts, previews, runs and the result of one segment. Writes nothing; `apply_result` does.

    Args:
        volume_node, segmentation_node, segment_id: of one scene. When one of them leaves it, `gone` becomes True.
        runner: may be shared with others; not closed here.
        parameters: the options; read whenever they matter.
        on_change: something looks different.
        on_result: a run has finished.
        clock: seconds, never running backwards.

    Raises:
        InputError: a node or the segment is in no scene, or the volume cannot be used.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        runner: Runner,
        parameters: EffectParameters,
        on_change: Callable[[], None] = lambda: None,
        on_result: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.volume_node, self.segmentation_node, self.segment_id = volume_node, segmentation_node, segment_id
        self.parameters = parameters
        self.reader = SliceReader(volume_node, parameters, clock)
        self.preview = SlicePreview(self.reader, runner, parameters, lambda: self._on_change(), self._fail)
        self.rectangle = RectangleTool(self.preview)
        self.clicks = ClickTool(self)
        self.kept = KeptResult()
        self.prompts: Prompts | None = None
        self.progress: Progress | None = None
        self.problem: MedSAMError | None = None
        """What went wrong last; None after the next action."""
        self.notes: list[str] = []
        """What the engine wants the user to read about the result."""
        self.correcting: int | None = None
        """Key slice whose rectangle has handles: dragging a corner of it, or over it, replaces it."""
        self.gone = False
        self._runner, self._on_change, self._on_result = runner, on_change, on_result
        self._ahead = LookAhead(self.reader, runner, parameters, clock)
        self._run: ContourRun | None = None
        self._wanted = self._suspended = False
        self._window: Window | None = None
        self._before_drawing: list[Prompts | None] = []
        self._watch = NodeWatch(volume_node, segmentation_node, segment_id, self._lost)
        default_axis_of(volume_node)
        self.read_prompts()

    # Where things lie

    @property
    def plane(self) -> Plane | None:
        """Plane of the prompts and the result."""
        return None if self.prompts is None else self.prompts.plane

    def stack(self, plane: Plane | None = None) -> Stack:
        """The volume in slices of a plane, or of the prompts'. Raises InputError if it cannot be used."""
        return (plane or self.plane or Plane(default_axis_of(self.volume_node))).stack(self.volume_node)

    def plane_in(self, view: ViewGeometry) -> Plane:
        """Plane of a rectangle drawn in the view: the one in use, if the view shows that."""
        if self.plane is not None and self.plane.is_shown_by(view, self.volume_node):
            return self.plane
        return plane_of(view, self.volume_node)

    def index_in(self, view: ViewGeometry, plane: Plane | None = None) -> int:
        """Slice that the view's middle lies in, or the nearest one of the stack."""
        stack = self.stack(plane or self.plane_in(view))
        middle = view.to_world((view.size[0] / 2, view.size[1] / 2))
        return int(np.clip(np.floor(stack.world_to_slice(middle[None])[0, 0] + 0.5), 0, stack.shape[0] - 1))

    @property
    def result(self) -> StackResult | None:
        return self.kept.result

    def check_nodes(self) -> None:
        """Raises InputError if the volume, the segmentation or the segment is gone."""
        self._watch.check()

    def tell(self) -> None:
        """Something about the kept result looks different."""
        self._on_change()

    # Drawing

    def press(self, view: ViewGeometry, xy: tuple[float, float], add: bool) -> bool:
        """Begin a rectangle or a click. `add`: the other key slices stay. False if it cannot begin; `problem` says why."""
        self.problem = None
        self.clicks.begin()
        self._ahead.stop()
        try:
            self._watch.check()
            plane = self.plane_in(view)
            if add and self.plane not in (None, plane):
                raise InputError(
                    _("the key slices lie in another plane: add one in a view of that plane, or draw without Shift")
                )
            self.rectangle.begin(plane, self.stack(plane), view, self._held(view, xy), add)
            self.rectangle.points = self._points_kept(plane)
        except MedSAMError as error:
            self._fail(error)
            return False
        self.step()
        self._on_change()
        return True

    def move(self, xy: tuple[float, float]) -> None:
        """Draw the rectangle on; its preview is asked for."""
        if self.rectangle.drag is not None:
            self.rectangle.move(xy)
            self._on_change()

    def release(self, xy: tuple[float, float], negative: bool = False) -> None:
        """End the rectangle: its slice becomes a key slice, and a run begins. A click only refines the preview.

        Args:
            negative: what a click says is that the object is not there.
        """
        pressed = self.rectangle.drag
        drag = self.rectangle.end(xy)
        if drag is None or drag.box is None:
            if pressed is not None and pressed.is_click(xy):
                self._click(pressed, not negative)
            self.clicks.refresh()
            self._on_change()
            return
        plane, known = self.rectangle.plane, self.prompts
        before, self.correcting = self.prompts, None
        if known is not None and (plane != known.plane or not (drag.adds_key or drag.index in known.keys)):
            known = None
        corrects = known is not None and self.result is not None and drag.index in self.result
        key = KeySlice(drag.box, "corrected" if corrects else "drawn", self.rectangle.points)
        self.change_prompts(Prompts(plane, {drag.index: key}) if known is None else known.with_key(drag.index, key))
        self.run()
        self._before_drawing = [before]

    def escape(self) -> bool:
        """Drop the rectangle that is being drawn, or cancel the run and drop the rectangle that began it, or drop what
        was clicked since the last run.

        A rectangle that was to be corrected stays as it is. Returns False if there is nothing of the kind.
        """
        if self.rectangle.drop():
            self._forget_preview()
            self._on_change()
            return True
        if self.correcting is not None:
            self.correcting = None
            self._on_change()
            return True
        if not self.running:
            return self.clicks.drop()
        before = list(self._before_drawing)
        self.cancel()
        if before:
            self.change_prompts(before[0])
            self._on_change()
        return True

    def _click(self, pressed: Drag, positive: bool) -> None:
        try:
            self._watch.check()
            self.clicks.click(self.rectangle.plane, pressed, positive)
        except MedSAMError as error:
            self._fail(error)

    def _points_kept(self, plane: Plane) -> Points | None:
        """Clicks on the slice that is drawn on: they stay with its new rectangle, if the model understands them."""
        drag, prompts = self.rectangle.drag, self.prompts
        if drag is None or prompts is None or prompts.plane != plane or "points" not in self.clicks.kinds:
            return None
        return prompts.keys[drag.index].points if drag.index in prompts.keys else None

    def _held(self, view: ViewGeometry, xy: tuple[float, float]) -> tuple[float, float]:
        """Where the rectangle begins: at `xy`, or in the corner across from the one that is taken hold of there."""
        index, prompts = self.correcting, self.prompts
        box = None if index is None or prompts is None or index not in prompts.keys else prompts.keys[index].box
        if index is None or box is None:
            return xy
        return opposite_corner(self.stack(), index, box, view, xy) or xy

    # Prompts

    def correct(self, index: int) -> None:
        """Have the rectangle of a key slice corrected: by its corners, or by drawing another one on that slice."""
        self.problem = None
        self.rectangle.drop()
        self._forget_preview()
        key = None if self.prompts is None else self.prompts.keys.get(index)
        self.correcting = index if key is not None and key.box is not None else None
        self._on_change()

    def take_roi(self, roi_node: slicer.vtkMRMLMarkupsROINode) -> None:
        """Take an ROI as a 3D box, in the volume's own slices, and run. A `problem` says why not."""
        self.problem = None
        try:
            self._watch.check()
            plane = Plane(default_axis_of(self.volume_node))
            stack = cast(SliceStack, self.stack(plane))
            prompt = roi_to_prompt(roi_node, stack)
            solid = RoiSolid.of(roi_node, stack.ijk_to_world, stack.dimensions)
        except MedSAMError as error:
            self._fail(error)
            return
        keys = {index: KeySlice(box, "roi") for index, box in prompt.keys.items()}
        before = self.prompts
        self.change_prompts(Prompts(plane, keys, prompt.reach, prompt.bounds, solid))
        self.run()
        self._before_drawing = [before]

    def remove_key(self, index: int) -> None:
        """Make a key slice an ordinary one; what lies between its neighbours is run again."""
        if self.prompts is None or index not in self.prompts.keys:
            return
        left = self.prompts.without_key(index)
        if left is None:
            self.discard()
        else:
            self.change_prompts(left)
            self.run()

    def discard(self) -> None:
        """Forget prompts and result. What was applied stays in the segment."""
        self.cancel()
        self.problem, self.notes = None, []
        self.change_prompts(None)
        self.kept.drop()
        self.rectangle.drop()
        self.preview.forget()
        self._on_change()

    def read_prompts(self) -> None:
        """Take the key slices that stand in the options: after a scene was loaded, or a script has set them."""
        try:
            content = self.parameters.prompts_of(self.segment_id, self.volume_node, self.segmentation_node)
            if content == (None if self.prompts is None else self.prompts.content()):
                self.clicks.refresh()  # perhaps with another model
                return
            self._take(None if content is None else Prompts.from_content(content))
        except InputError as error:
            self._fail(error)

    # Running

    @property
    def running(self) -> bool:
        """Whether a run goes on, or is about to begin."""
        return self._wanted or (self._run is not None and self._run.busy and not self._run.stopping)

    @property
    def busy(self) -> bool:
        """Whether `step` has to be called."""
        under_way = self._run is not None and self._run.busy
        waiting = self._wanted or under_way or self.preview.busy or not self._runner.idle
        return waiting or (not self.gone and (self._ahead.waiting > 0 or self._searching()))

    def run(self) -> None:
        """Have the prompts' result computed. What of the earlier result doesn't change is kept."""
        self.problem = None
        self._ahead.stop()
        self._before_drawing = []
        if self.prompts is None:
            self._fail(InputError(_("nothing is marked yet: draw a rectangle around the object in a slice view")))
            return
        if self._run is not None and self._run.busy:
            self._run.cancel()
        self.progress, self._wanted = None, True
        self.step()
        self._on_change()

    def cancel(self) -> None:
        """End the run without a result. An earlier result stays; nothing is written."""
        self._wanted = False
        self._before_drawing = []
        if self._run is not None and self._run.busy:
            self._run.cancel()
        self.rectangle.drop()
        self._forget_preview()
        self._on_change()

    def step(self) -> None:
        """Let everything go on that waits for time."""
        self._runner.step()
        if self.gone:
            return
        try:
            window = self.reader.advance(SEARCH_SECONDS)
        except MedSAMError as error:
            if self._wanted or self.preview.busy:
                self._wanted = False
                self.preview.forget()
                self._fail(error)
            return
        self.preview.pause(window is None)
        if window != self._window:
            self._window = window
            self._on_change()
        if window is None or (self._run is not None and self._run.busy):
            return
        if self._wanted and self._runner.running:
            return  # a run for another segment was cancelled and is about to end
        if self._wanted:
            self._wanted = False
            self._begin()
        elif self.rectangle.drag is None:
            self._ahead.step()

    def _searching(self) -> bool:
        try:
            return self.reader.window is None
        except MedSAMError:
            return False  # told when something is asked for that needs it

    def _begin(self) -> None:
        prompts, window = self.prompts, self.reader.window
        if prompts is None or window is None:
            return
        try:
            reach = reach_of(self.parameters, prompts.plane, prompts.keys) if prompts.reach is None else None
            choice = self.parameters.choice
            prompt = prompts.stack_prompt(choice.model, reach)
            limits = (prompt.reach, prompt.bounds, prompts.solid)
            basis: Basis = (prompts.plane, limits, choice, self.reader.state)
            part = self.kept.part_for(prompts, basis)
            self.kept.begin(self.stack(), part)
            self._run = ContourRun(
                self.volume_node,
                self.segmentation_node,
                self.segment_id,
                self._runner,
                plane=prompts.plane,
                prompt=prompt,
                window=window,
                choice=choice,
                limited=prompts.limited,
                part=part,
                earlier=self.result,
                on_slice=lambda found: self._slice_found(found, prompts),
                on_progress=self._progressed,
                on_finished=lambda result: self._finished(result, prompts, basis, choice.model),
                on_failed=self._failed,
            )
            self.clicks.run_begins()
        except MedSAMError as error:
            self._failed(error)

    def _slice_found(self, found: SliceResult, prompts: Prompts) -> None:
        self.kept.add(found)
        shown = self.preview.shown
        # What was clicked since the run began is newer than what it finds.
        if shown is not None and shown.index == found.index and prompts is self.prompts:
            self.preview.forget()

    def _progressed(self, progress: Progress) -> None:
        self.progress = progress
        self._on_change()

    def _finished(self, result: StackResult, prompts: Prompts, basis: Basis, model: str) -> None:
        self.notes = [] if self._run is None else self._run.notes
        self.progress, self._before_drawing = None, []
        self.kept.finish(result, prompts, basis, model)
        self.clicks.run_finished()
        self.rectangle.drop()
        self._forget_preview()
        self._on_change()
        if not self._wanted:
            self._on_result()

    def _failed(self, error: MedSAMError) -> None:
        self.progress = None
        if not (self.gone or self._suspended):
            self.kept.restore(self.stack)
        if not self._wanted:
            self.rectangle.drop()
            self._forget_preview()
        if not isinstance(error, Cancelled):
            self._wanted = False
            self.problem = error
        self._on_change()

    # Ahead of need

    def look_at(self, view: ViewGeometry) -> None:
        """The user looks at a view: the slices around its own are encoded while nothing else is to be done, and what was
        clicked on its slice is seen again."""
        self._look_at_clicks(view)
        if self.gone or self.running or self.rectangle.drag is not None or not self.parameters.flag("EncodeAhead"):
            self._ahead.stop()
            return
        try:
            plane = self.plane_in(view)
            self._ahead.look_at(plane, self.stack(plane), self.index_in(view, plane))
        except MedSAMError:
            self._ahead.stop()  # told when the user draws there

    def _look_at_clicks(self, view: ViewGeometry) -> None:
        if self.gone or self.prompts is None:
            return
        try:
            plane = self.plane_in(view)
            self.clicks.look_at(plane, self.index_in(view, plane))
        except MedSAMError:
            return  # told when the user clicks there

    def stop_looking(self) -> None:
        """Encode nothing more ahead until the next `look_at`."""
        self._ahead.stop()

    def forget_encoded(self) -> None:
        """The engine is about to lose what it has encoded."""
        self._ahead.forget()

    # While another segment is selected

    def suspend(self) -> None:
        """End what goes on, and keep the result without what it looks like, which takes the memory."""
        self._suspended = True
        self.cancel()
        self._ahead.stop()
        self.kept.image = None

    def resume(self) -> None:
        """Go on with the result that was kept. Raises InputError if the volume cannot be used any more."""
        self._suspended = False
        self.kept.restore(self.stack)
        self.problem, self.notes = None, []
        self.read_prompts()

    # The end

    def close(self) -> None:
        """Cancel what goes on and let go of the scene. The prompts stay in the options."""
        self._on_change = self._on_result = lambda: None
        self._suspended = True
        self.cancel()
        self._ahead.forget()
        self._watch.stop()

    def _lost(self, reason: MedSAMError) -> None:
        if self.gone:
            return
        if self.running or self.rectangle.drag is not None or (self.result is not None and not self.kept.applied):
            self.problem = reason
        self.gone, self._wanted = True, False
        self._ahead.forget()
        self.rectangle.drop()
        self.preview.forget()
        self.kept.drop()
        self._on_change()

    def _fail(self, error: MedSAMError) -> None:
        self.problem = error
        self._on_change()

    def _forget_preview(self) -> None:
        """But for what was clicked, which is asked for again."""
        self.preview.forget()
        if not (self.gone or self._suspended):
            self.clicks.refresh()

    def change_prompts(self, prompts: Prompts | None) -> None:
        """Take these and keep them in the options. No run begins."""
        self._take(prompts)
        content = None if prompts is None else prompts.content()
        self.parameters.set_prompts_of(self.segment_id, self.volume_node, self.segmentation_node, content)

    def _take(self, prompts: Prompts | None) -> None:
        if prompts is None or prompts.plane != self.kept.plane:
            self.kept.drop()
        if prompts is None or self.correcting not in prompts.keys:
            self.correcting = None
        self.prompts = prompts
        self.clicks.forget_steps()
