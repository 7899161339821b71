"""What the Segment Editor effect drives: one segment of one volume, from the first prompt to the finished result.

Everything that can be decided without Qt is decided here and in the files that this one puts together. Nothing blocks:
the owner calls `step` from a timer while `busy`, and is told through `on_change` that something looks different.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import slicer

from ...engine.errors import InputError, MedSAMError
from ...engine.i18n import tr as _
from ...engine.intensity import Window
from ...engine.results import SliceResult, StackResult
from ...engine.serving.inference_client import InferenceClient
from ..state.current_result import CurrentResult
from ..state.effect_parameters import EffectParameters
from ..state.prompts import Prompts
from ..state.roi_prompts import prompts_in_roi
from ..state.segment_state import SegmentState
from ..volume.view_plane import ViewGeometry
from ..worker.progress import Progress
from .mouse_interaction import MouseInteraction
from .point_tool import PointTool
from .prefetch import Prefetcher
from .rectangle_tool import RectangleTool
from .run_controller import RunController
from .slice_preview import SlicePreview
from .slice_reader import SliceReader

SEARCH_SECONDS = 0.02
"""How long a step may read voxels for the window, so that the application stays responsive."""


class ContourEditor(SegmentState):
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
        runner: InferenceClient,
        parameters: EffectParameters,
        on_change: Callable[[], None] = lambda: None,
        on_result: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(volume_node, segmentation_node, segment_id, parameters)
        self.changed.connect(on_change)
        self.lost.connect(self._end)
        self.reader = SliceReader(volume_node, parameters, clock)
        self.preview = SlicePreview(self.reader, runner, parameters, self.changed.emit, self.fail)
        self.rectangle = RectangleTool(self.preview)
        self.clicks = PointTool(self)
        self.drawing = MouseInteraction(self)
        self.runs = RunController(self, self.reader, runner)
        self.runs.started.connect(self.clicks.run_begins)
        self.runs.slice_found.connect(self._slice_found)
        self.runs.finished.connect(self._run_finished)
        self.runs.failed.connect(self._run_failed)
        self._runner, self._on_result = runner, on_result
        self._ahead = Prefetcher(self.reader, runner, parameters, clock)
        self._window: Window | None = None
        self.read_prompts()

    @property
    def result(self) -> StackResult | None:
        return self.current.result

    @property
    def state(self) -> SegmentState:
        """Prompts, options and result."""
        return self

    @property
    def kept(self) -> CurrentResult:
        return self.current

    def tell(self) -> None:
        """Something looks different."""
        self.changed.emit()

    # Drawing

    def press(self, view: ViewGeometry, xy: tuple[float, float], add: bool) -> bool:
        """Begin a rectangle or a click. `add`: the other key slices stay. False if it cannot begin; `problem` says why."""
        return self.drawing.press(view, xy, add)

    def move(self, xy: tuple[float, float]) -> None:
        """Draw the rectangle on; its preview is asked for."""
        self.drawing.move(xy)

    def release(self, xy: tuple[float, float], negative: bool = False) -> None:
        """End the rectangle: its slice becomes a key slice, and a run begins. A click only refines the preview.

        Args:
            negative: what a click says is that the object is not there.
        """
        self.drawing.release(xy, negative)

    def escape(self) -> bool:
        """Drop the rectangle that is being drawn, or cancel the run and drop the rectangle that began it, or drop what
        was clicked since the last run.

        A rectangle that was to be corrected stays as it is. Returns False if there is nothing of the kind.
        """
        return self.drawing.escape()

    def correct(self, index: int) -> None:
        """Have the rectangle of a key slice corrected: by its corners, or by drawing another one on that slice."""
        self.drawing.correct(index)

    # Prompts

    def take_roi(self, roi_node: slicer.vtkMRMLMarkupsROINode) -> None:
        """Take an ROI as a 3D box, in the volume's own slices, and run. A `problem` says why not."""
        self.problem = None
        try:
            self._watch.check()
            prompts = prompts_in_roi(roi_node, self.volume_node)
        except MedSAMError as error:
            self.fail(error)
            return
        before = self.prompts
        self.change_prompts(prompts)
        self.run()
        self.runs.before = [before]

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
        self.tell()

    def read_prompts(self) -> None:
        """As `SegmentState.read_prompts`; what was clicked is previewed with the model that is chosen now."""
        super().read_prompts()
        self.clicks.refresh()

    # Running

    @property
    def running(self) -> bool:
        """Whether a run goes on, or is about to begin."""
        return self.runs.running

    @property
    def progress(self) -> Progress | None:
        """How far the run has come; None if there is none, or it has not begun yet."""
        return self.runs.progress

    @property
    def busy(self) -> bool:
        """Whether `step` has to be called."""
        waiting = self.runs.wanted or self.runs.under_way or self.preview.busy or not self._runner.idle
        return waiting or (not self.gone and (self._ahead.waiting > 0 or self.reader.searching))

    def run(self) -> None:
        """Have the prompts' result computed. What of the earlier result doesn't change is kept."""
        self.problem = None
        self._ahead.stop()
        if self.prompts is None:
            self.runs.before = []
            self.fail(InputError(_("nothing is marked yet: draw a rectangle around the object in a slice view")))
            return
        self.runs.want()
        self.step()
        self.tell()

    def cancel(self) -> None:
        """End the run without a result. An earlier result stays; nothing is written."""
        self.runs.cancel()
        self.rectangle.drop()
        self.forget_preview()
        self.tell()

    def step(self) -> None:
        """Let everything go on that waits for time."""
        self._runner.step()
        if self.gone:
            return
        try:
            window = self.reader.advance(SEARCH_SECONDS)
        except MedSAMError as error:
            if self.runs.wanted or self.preview.busy:
                self.runs.wanted = False
                self.preview.forget()
                self.fail(error)
            return
        self.preview.pause(window is None)
        if window != self._window:
            self._window = window
            self.tell()
        if window is None or self.runs.under_way:
            return
        if self.runs.wanted:
            self.runs.start()
        elif self.rectangle.drag is None:
            self._ahead.step()

    def _slice_found(self, found: SliceResult) -> None:
        shown = self.preview.shown
        # The preview of a click is newer than the run's result; `RunController` tells of no older run.
        if shown is not None and shown.index == found.index:
            self.preview.forget()

    def _run_finished(self) -> None:
        self.clicks.run_finished()
        self.rectangle.drop()
        self.forget_preview()
        self.tell()
        if not self.runs.wanted:
            self._on_result()

    def _run_failed(self) -> None:
        if not self.runs.wanted:
            self.rectangle.drop()
            self.forget_preview()

    # Ahead of need

    def look_at(self, view: ViewGeometry) -> None:
        """The user looks at a view: the slices around its own are encoded while nothing else is to be done, and what was
        clicked on its slice is seen again."""
        self.clicks.look_at_view(view)
        if self.gone or self.running or self.rectangle.drag is not None or not self.parameters.flag("EncodeAhead"):
            self._ahead.stop()
            return
        try:
            plane = self.plane_in(view)
            self._ahead.look_at(plane, self.stack(plane), self.index_in(view, plane))
        except MedSAMError:
            self._ahead.stop()  # told when the user draws there

    def stop_looking(self) -> None:
        """Encode nothing more ahead until the next `look_at`."""
        self._ahead.stop()

    def forget_encoded(self) -> None:
        """The engine is about to lose what it has encoded."""
        self._ahead.forget()

    # While another segment is selected

    def suspend(self) -> None:
        """End what goes on, and keep the result without what it looks like, which takes the memory."""
        self.suspended = True
        self.cancel()
        self._ahead.stop()
        self.kept.image = None

    def resume(self) -> None:
        """Go on with the result that was kept; if the volume cannot show it any more, `problem` says why."""
        self.suspended = False
        self.problem, self.notes = None, []
        self.read_prompts()
        try:
            self.kept.restore(self.stack)
        except MedSAMError as error:
            self.fail(error)

    # The end

    def close(self) -> None:
        """Cancel what goes on and let go of the scene. The prompts stay in the options."""
        super().close()
        self._on_result = lambda: None
        self.suspended = True
        self.cancel()
        self._ahead.forget()

    def _end(self, reason: MedSAMError) -> None:
        if self.running or self.rectangle.drag is not None:
            self.problem = reason
        self.runs.end(reason)
        self._ahead.forget()
        self.rectangle.drop()
        self.preview.forget()

    def forget_preview(self) -> None:
        """But for what was clicked, which is asked for again."""
        self.preview.forget()
        if not self.hidden:
            self.clicks.refresh()

    def _use(self, prompts: Prompts | None) -> None:
        super()._use(prompts)
        self.clicks.forget_steps()
